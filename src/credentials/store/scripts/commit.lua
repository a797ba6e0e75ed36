-- Writes what came of a lease, and ends it; or writes without a lease, if nobody has it, on the ground of what was seen.
-- KEYS: the record, the changes, their count, the key that seals.
-- ARGV: name, digest of the key that seals or '', revision seen, owner or '' for nobody, entry, instant of a call that may
-- have ended what others hold or ''.

local key, changes, count = KEYS[1], KEYS[2], KEYS[3]
local name, digest, seen, owner, entry, called = ARGV[1], ARGV[2], tonumber(ARGV[3]), ARGV[4], ARGV[5], ARGV[6]

local record = read(key)
if not opens(digest, KEYS[4]) then return outcome('elsewhere', record, 0) end

-- Who did not hear that it was kept asks again.
if owner ~= '' and record.last == owner then return outcome('kept', record, 0) end

local is_owner = owner ~= '' and record.owner == owner
local held = 0
if not is_owner then held = held_for(record, '') end

if is_owner or (owner == '' and held == 0 and record.revision == seen) then
  redis.call('HDEL', key, 'owner', 'until')
  if owner ~= '' then redis.call('HSET', key, 'last', owner) end
  -- A doubt that the writer has not seen is not settled by what it writes.
  if record.revision == seen then
    redis.call('HDEL', key, 'doubt')
    record.doubt = ''
  end
  record.entry = entry
  announce(record, name, key, changes, count)
  return outcome('kept', record, 0)
end

if called ~= '' then
  if record.doubt == '' or tonumber(called) < tonumber(record.doubt) then record.doubt = called end
  redis.call('HSET', key, 'doubt', record.doubt)
  announce(record, name, key, changes, count)
end
return outcome(held > 0 and 'held' or 'changed', record, held)
