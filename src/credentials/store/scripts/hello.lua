-- Introduces a hub and the server to each other. KEYS: the key that seals, for hubs that were given none; the count of
-- changes. ARGV: a key to keep if there is none, or '' where hubs have their own.

if ARGV[1] ~= '' then redis.call('SET', KEYS[1], ARGV[1], 'NX') end
return {
  integer(now),
  process(),
  string.match(redis.call('INFO', 'memory'), 'maxmemory_policy:([%w-]+)') or '',
  redis.call('GET', KEYS[2]) or '0',
  ARGV[1] ~= '' and redis.call('GET', KEYS[1]) or '',
}
