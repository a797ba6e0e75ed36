-- Stands before every other script: what a record is, and how it is written. The rules are those of leases.ts.
--
-- A record is a hash: `entry` (sealed), `revision`, `doubt`, `owner` and `until` of the lease, and `last`, who wrote last
-- with a lease. Instants are milliseconds of Redis' own clock.

local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)

-- A record that nobody has written for so long is of an app that nobody has any more.
local FORGOTTEN_AFTER_SECONDS = 30 * 86400
-- How many of the latest changes are remembered, for hubs that did not hear of them. Each name counts once.
local CHANGES_REMEMBERED = 10000

-- Which process this is: another one, be it a replica or the same server after a restart, may have less than the one before.
local function process()
  return string.match(redis.call('INFO', 'server'), 'run_id:(%x+)')
end

-- Whether hubs that were given no key will open what is sealed with the one of this digest: it has to be the one that lies
-- here. Between a loss of everything and the next look of a hub, another may have brought its own.
local function opens(digest, key)
  return digest == '' or digest == redis.sha1hex(redis.call('GET', key) or '')
end

-- What it throws away when it has no room left.
local function policy()
  return string.match(redis.call('INFO', 'memory'), 'maxmemory_policy:([%w-]+)') or ''
end

local function integer(number)
  return string.format('%.0f', number)
end

local function read(key)
  local fields = redis.call('HMGET', key, 'entry', 'revision', 'doubt', 'owner', 'until', 'last')
  return {
    entry = fields[1] or '',
    revision = tonumber(fields[2]) or 0,
    doubt = fields[3] or '',
    owner = fields[4] or '',
    ends = tonumber(fields[5]) or 0,
    last = fields[6] or '',
  }
end

-- No lease lasts so long. One that seems to was given before the clock was set back, and nobody would wait for its end.
local LONGER_THAN_ANY_LEASE_MS = 60000

-- For how many milliseconds somebody other than `owner` has the lease yet.
local function held_for(record, owner)
  if record.owner == '' or record.owner == owner then return 0 end
  local left = record.ends - now
  if left > LONGER_THAN_ANY_LEASE_MS then return 0 end
  return math.max(0, left)
end

-- Gives the record its next revision, and lets all hubs hear of it. The revision is the number of the change, so that a
-- record which somebody took away and a hub wrote anew does not begin again with revisions that are old news to others.
local function announce(record, name, key, changes, count)
  local number = redis.call('INCR', count)
  record.revision = math.max(number, record.revision + 1)
  redis.call('HSET', key, 'entry', record.entry, 'revision', integer(record.revision))
  redis.call('EXPIRE', key, FORGOTTEN_AFTER_SECONDS)
  redis.call('ZADD', changes, number, name)
  redis.call('ZREMRANGEBYRANK', changes, 0, -CHANGES_REMEMBERED - 1)
  redis.call('PUBLISH', changes, cjson.encode({ integer(number), name, record.entry, integer(record.revision), record.doubt }))
end

local function outcome(verdict, record, held_for_ms)
  return { integer(now), verdict, integer(held_for_ms), record.entry, integer(record.revision), record.doubt }
end
