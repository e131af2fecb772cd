-- A replica lives. Who was silent for an hour is forgotten.
-- KEYS: alive, replica. ARGV: who, what it is, ms of silence after which one counts as gone.
local t = redis.call('TIME')
local now = t[1] * 1000 + math.floor(t[2] / 1000)
redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', now - 3600000)
redis.call('ZADD', KEYS[1], now, ARGV[1])
redis.call('SET', KEYS[2], ARGV[2], 'PX', 3600000)
return {now, redis.call('ZCOUNT', KEYS[1], now - tonumber(ARGV[3]), '+inf')}
