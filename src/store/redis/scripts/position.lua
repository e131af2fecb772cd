-- Up to where the news go, and how many records each table has. KEYS: meta, news, tables ...
local t = redis.call('TIME')
local answer = {redis.call('HGET', KEYS[1], 'changes') or '0', told_last(), tostring(t[1] * 1000 + math.floor(t[2] / 1000))}
for at = 3, #KEYS do answer[at + 1] = tostring(redis.call('HLEN', KEYS[at])) end
return answer
