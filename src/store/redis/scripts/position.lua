-- Up to where the news go, whose store it is, how many replicas know what it has lost, and how many records each table has.
-- KEYS: meta, news, lost, tables ... ARGV: ms of silence after which a replica counts as gone.
local t = redis.call('TIME')
local now = t[1] * 1000 + math.floor(t[2] / 1000)
local changes, pool = unpack(redis.call('HMGET', KEYS[1], 'changes', 'pool'))
local lost = redis.call('ZCOUNT', KEYS[3], now - tonumber(ARGV[1]), '+inf')
local answer = {changes or '0', told_last(), tostring(now), pool or '', tostring(lost)}
for at = 4, #KEYS do answer[#answer + 1] = tostring(redis.call('HLEN', KEYS[at])) end
return answer
