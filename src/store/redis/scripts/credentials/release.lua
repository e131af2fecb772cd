-- Gives a lease back, and lets the credential rest if the holder has failed. Who has lost the lease says nothing.
-- KEYS: lease, rest. ARGV: holder, ms of the rest (0: none), failures in a row, text.
if redis.call('GET', KEYS[1]) ~= ARGV[1] then return 0 end
redis.call('DEL', KEYS[1])
local span = tonumber(ARGV[2])
if span > 0 then
  local t = redis.call('TIME')
  local ends = t[1] * 1000 + math.floor(t[2] / 1000) + span
  -- How often it has failed is known for a while after the rest.
  redis.call('SET', KEYS[2], string.format('%d|%s|%s', ends, ARGV[3], ARGV[4]), 'PX', span + 600000)
end
return 1
