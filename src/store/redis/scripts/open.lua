-- Makes a store of what was none; what is there stays. KEYS: meta. ARGV: fields and values.
if redis.call('EXISTS', KEYS[1]) == 0 then redis.call('HSET', KEYS[1], unpack(ARGV)) end
return redis.call('HGETALL', KEYS[1])
