-- Finds records, a part of them at a time. KEYS: the changes, so that a cluster knows which node is meant.
-- ARGV: where to go on, or '0'; what the keys of records look like.

local found = redis.call('SCAN', ARGV[1], 'MATCH', ARGV[2], 'COUNT', 1000)
return { integer(now), found[1], found[2] }
