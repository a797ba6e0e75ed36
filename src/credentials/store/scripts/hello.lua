-- Introduces a hub and the server to each other. KEYS: the key that seals, for hubs that were given none; the count of
-- changes. ARGV: a key to keep if there is none, or '' where hubs have their own.

-- Where there is one, nothing is written: a server that takes no writes still lets a hub see what it has.
if ARGV[1] ~= '' and not redis.call('GET', KEYS[1]) then redis.call('SET', KEYS[1], ARGV[1]) end
return {
  integer(now),
  process(),
  policy(),
  redis.call('GET', KEYS[2]) or '0',
  ARGV[1] ~= '' and redis.call('GET', KEYS[1]) or '',
}
