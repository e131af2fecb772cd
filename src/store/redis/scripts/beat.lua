-- A replica lives, and may know what the store has lost. Who comes is told to all; who was silent for an hour is forgotten.
-- KEYS: meta, news, alive, replica, lost. ARGV: who, what it is, ms of silence after which one counts as gone, how many changes
-- it has seen, whether it knows of a loss.
local t = redis.call('TIME')
local now = t[1] * 1000 + math.floor(t[2] / 1000)
redis.call('ZREMRANGEBYSCORE', KEYS[3], '-inf', now - 3600000)
local is_new = redis.call('ZADD', KEYS[3], now, ARGV[1]) == 1
redis.call('SET', KEYS[4], ARGV[2], 'PX', 3600000)
local has_lost = tonumber(redis.call('HGET', KEYS[1], 'changes') or 0) < tonumber(ARGV[4])
if has_lost or ARGV[5] == '1' then
  redis.call('ZADD', KEYS[5], now, ARGV[1])
  redis.call('PEXPIRE', KEYS[5], ARGV[3])
else redis.call('ZREM', KEYS[5], ARGV[1]) end
if is_new then change('alive', ARGV[1]) end
local since = now - tonumber(ARGV[3])
local eldest = redis.call('ZRANGEBYSCORE', KEYS[3], since, '+inf', 'WITHSCORES', 'LIMIT', 0, 1)[2]
-- By their names, so that each has another number of others before it.
local rank, alive = 0, redis.call('ZRANGEBYSCORE', KEYS[3], since, '+inf')
for _, who in ipairs(alive) do if who < ARGV[1] then rank = rank + 1 end end
return {now, #alive, rank, redis.call('ZCOUNT', KEYS[5], since, '+inf'), tonumber(eldest)}
