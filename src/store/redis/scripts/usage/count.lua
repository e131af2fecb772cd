-- Adds a batch of usage to the sums, once for each number, and says up to which number there is everything. After another
-- server took over there may be a gap: then nothing is added, unless what is missing cannot be sent any more.
-- KEYS: number, versions, sums, day, hour. ARGV: number, oldest that can be sent, name of the day, of the hour, fields and amounts
local last, number = tonumber(redis.call('GET', KEYS[1]) or '0'), tonumber(ARGV[1])
if number <= last or (number ~= last + 1 and ARGV[1] ~= ARGV[2]) then return last end
local t = redis.call('TIME')
redis.call('HSETNX', KEYS[2], 'since', t[1])
for at, name in ipairs({'total', ARGV[3], ARGV[4]}) do
  for field = 5, #ARGV, 2 do redis.call('HINCRBY', KEYS[at + 2], ARGV[field], ARGV[field + 1]) end
  redis.call('HINCRBY', KEYS[2], name, 1)
end
-- 401 days, and three.
redis.call('PEXPIRE', KEYS[4], 34646400000)
redis.call('PEXPIRE', KEYS[5], 259200000)
redis.call('SET', KEYS[1], number, 'PX', 604800000)
return number
