-- Gives a lease to who asks first on the ground of the present revision, or makes its owner's longer; notes an entry.
-- KEYS: the record, the changes, their count, the key that seals.
-- ARGV: name, digest of the key that seals or '', revision seen, owner, milliseconds it lasts, entry or '', the process that
-- it was asked of.

local key, changes, count = KEYS[1], KEYS[2], KEYS[3]
local name, digest, seen, owner, lasts, entry = ARGV[1], ARGV[2], tonumber(ARGV[3]), ARGV[4], tonumber(ARGV[5]), ARGV[6]

local record = read(key)
-- Leases that another process gave may be lost, and what came of them.
if process() ~= ARGV[7] or not opens(digest, KEYS[4]) then return outcome('elsewhere', record, 0) end

local held = held_for(record, owner)
if held > 0 then return outcome('held', record, held) end
if record.owner ~= owner and record.revision ~= seen then return outcome('changed', record, 0) end

redis.call('HSET', key, 'owner', owner, 'until', integer(now + lasts))
redis.call('EXPIRE', key, FORGOTTEN_AFTER_SECONDS)
if entry ~= '' then
  record.entry = entry
  announce(record, name, key, changes, count)
end
return outcome('kept', record, 0)
