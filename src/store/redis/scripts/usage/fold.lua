-- Adds to some fields of a table what it takes from others, whatever was counted meanwhile.
-- KEYS: versions, table. ARGV: name, fields and amounts
for at = 2, #ARGV, 2 do
  if redis.call('HINCRBY', KEYS[2], ARGV[at], ARGV[at + 1]) == 0 then redis.call('HDEL', KEYS[2], ARGV[at]) end
end
return redis.call('HINCRBY', KEYS[1], ARGV[1], 1)
