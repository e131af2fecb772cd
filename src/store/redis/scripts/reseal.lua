-- Puts a value in the place of another one, unless that was changed meanwhile. What is said of the value stays as it is: its
-- version, its end. KEYS: name. ARGV: field ('': the value is no field), value before, value.
if ARGV[1] == '' then
  if redis.call('GET', KEYS[1]) ~= ARGV[2] then return 0 end
  redis.call('SET', KEYS[1], ARGV[3], 'KEEPTTL')
else
  if redis.call('HGET', KEYS[1], ARGV[1]) ~= ARGV[2] then return 0 end
  redis.call('HSET', KEYS[1], ARGV[1], ARGV[3])
end
return 1
