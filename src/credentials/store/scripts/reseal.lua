-- Puts an entry in the place of the same one sealed with another key, if nobody has written meanwhile. Revision and
-- lease stay as they are: nothing has changed of which hubs should hear.
-- KEYS: the record. ARGV: the sealed entry that is there, and the one to be there.

if read(KEYS[1]).entry ~= ARGV[1] then return { integer(now), 'changed' } end
redis.call('HSET', KEYS[1], 'entry', ARGV[2])
return { integer(now), 'kept' }
