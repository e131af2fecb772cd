-- Who may ask Google about a credential: one replica at a time, and nobody while it rests after a failure. The record is read
-- again with it. Asked again by the same holder it is his.
-- KEYS: cred, lease, rest. ARGV: number, holder, ms, whether there must be a record.
local t = redis.call('TIME')
local now = t[1] * 1000 + math.floor(t[2] / 1000)
local have = redis.call('HGET', KEYS[1], ARGV[1]) or ''
local rest = redis.call('GET', KEYS[3]) or ''
if ARGV[4] == '1' and have == '' then return {now, 3, 0, have, rest} end
local holder = redis.call('GET', KEYS[2])
if holder and holder ~= ARGV[2] then return {now, 1, redis.call('PTTL', KEYS[2]), have, rest} end
if rest ~= '' and not holder then
  local left = tonumber(rest:sub(1, rest:find('|', 1, true) - 1)) - now
  if left > 0 then return {now, 2, left, have, rest} end
end
redis.call('SET', KEYS[2], ARGV[2], 'PX', ARGV[3])
return {now, 0, 0, have, rest}
