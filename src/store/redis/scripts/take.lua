-- Takes a note, once: who asks again after a lost answer has the same ticket. What is left of its time must be more than is
-- wanted. KEYS: note. ARGV: ticket, ms.
local text = redis.call('HGET', KEYS[1], 't')
if not text then return {'unknown', ''} end
local taker = redis.call('HGET', KEYS[1], 'by')
if taker and taker ~= ARGV[1] then return {'used', ''} end
if redis.call('PTTL', KEYS[1]) <= tonumber(ARGV[2]) then return {'late', ''} end
redis.call('HSET', KEYS[1], 'by', ARGV[1])
return {'here', text}
