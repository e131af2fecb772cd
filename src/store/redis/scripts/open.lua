-- Makes a store of what was none; what is there stays. KEYS: meta. ARGV: fields and values.
-- In one that was emptied changes may have been counted already.
if redis.call('HEXISTS', KEYS[1], 'schema') == 0 then redis.call('HSET', KEYS[1], unpack(ARGV)) end
return redis.call('HGETALL', KEYS[1])
