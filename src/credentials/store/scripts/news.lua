-- Tells what has changed since, for who may not have heard of all of it, and whether the server is fit for use.
-- KEYS: the changes, their count. ARGV: number of the last change that was heard of, how many to tell at most, anything
-- but '' to see whether a write is taken.

local refusal = ''
if ARGV[3] ~= '' then
  -- What is there, once more: of all commands that want room, the one that changes nothing.
  local reply = redis.pcall('SET', KEYS[2], redis.call('GET', KEYS[2]) or '0')
  refusal = string.match(reply.err or '', '^-?(%u+)') or ''
end
local total = redis.call('GET', KEYS[2]) or '0'
local oldest = 0
if redis.call('ZCARD', KEYS[1]) >= CHANGES_REMEMBERED then
  oldest = tonumber(redis.call('ZRANGE', KEYS[1], 0, 0, 'WITHSCORES')[2])
end
return {
  integer(now),
  process(),
  total,
  integer(oldest),
  -- What is numbered beyond the count is no change of a hub's: who took it for one would wait for news from there on.
  redis.call('ZRANGEBYSCORE', KEYS[1], '(' .. ARGV[1], total, 'WITHSCORES', 'LIMIT', 0, ARGV[2]),
  policy(),
  refusal,
}
