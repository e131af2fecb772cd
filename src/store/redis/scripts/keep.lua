-- Keeps a note that is taken once. KEYS: note. ARGV: text, ms.
redis.call('HSET', KEYS[1], 't', ARGV[1])
redis.call('PEXPIRE', KEYS[1], ARGV[2])
return 1
