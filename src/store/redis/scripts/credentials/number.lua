-- The numbers of items that every replica has in its config; each item has one number for ever.
-- KEYS: meta, print. ARGV: prints ...
local numbers = {}
for at = 1, #ARGV - 1 do
  local number = redis.call('HGET', KEYS[2], ARGV[at])
  if not number then
    number = redis.call('HINCRBY', KEYS[1], 'next', 1) - 1
    redis.call('HSET', KEYS[2], ARGV[at], number)
  end
  numbers[at] = tonumber(number)
end
return numbers
