-- Forgets all usage. KEYS: versions. ARGV: what the names of tables begin with.
local t = redis.call('TIME')
-- First, for a server without memory refuses it, and would take all that follows once something was taken out.
redis.call('HSET', KEYS[1], 'since', t[1])
for _, name in ipairs(redis.call('HKEYS', KEYS[1])) do redis.call('DEL', ARGV[1] .. name) end
redis.call('DEL', KEYS[1])
-- In microseconds, so that whoever has read the old ones sees the difference.
return redis.call('HSET', KEYS[1], 'since', t[1], 'began', t[1] .. '.' .. t[2])
