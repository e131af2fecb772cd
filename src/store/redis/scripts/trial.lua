-- A change that changes nothing, since there is no such set: it shows whether the server takes changes. KEYS: a name that nobody has.
return redis.call('ZADD', KEYS[1], 'XX', 0, '-')
