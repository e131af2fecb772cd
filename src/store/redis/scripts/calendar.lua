-- What all counts begin with: the server's time, and the month of a day, as months since year 0.
local t = redis.call('TIME')
local now, day = t[1] * 1000 + math.floor(t[2] / 1000), math.floor(t[1] / 86400)
local function month_of(day)
  local z = day + 719468
  local era = math.floor(z / 146097)
  local doe = z - era * 146097
  local yoe = math.floor((doe - math.floor(doe / 1460) + math.floor(doe / 36524) - math.floor(doe / 146096)) / 365)
  local doy = doe - (365 * yoe + math.floor(yoe / 4) - math.floor(yoe / 100))
  local mp = math.floor((5 * doy + 2) / 153)
  -- Years that begin in March, and months of them.
  return (yoe + era * 400) * 12 + mp
end
local month = month_of(day)
-- The counts of a key: day, requests, tokens and money of it, begin and requests of the minute, month, tokens, money and
-- requests of it, and what is kept of a line or a replica.
local function counts(name, also)
  local q = redis.call('HMGET', name, 'd', 'r', 't', 'c', 'b', 'n', 'm', 'mt', 'mc', 'mr', also)
  local last = q[11]
  for at = 1, 10 do q[at] = tonumber(q[at] or 0) end
  q[11] = last or '0'
  q.is_fresh = day > q[1]
  if q.is_fresh then q[2], q[3], q[4] = 0, 0, 0 end
  if month > q[7] then q[8], q[9], q[10] = 0, 0, 0 end
  q[1], q[7] = day, month
  -- A clock that was set back earns nothing.
  if now - q[5] >= 60000 then q[5], q[6] = now, 0 elseif q[5] > now then q[5] = now end
  return q
end
-- What is kept of lines and replicas is of no use on another day, nor is any of it after two months.
local function keep(name, q, also, value)
  if q.is_fresh then redis.call('DEL', name) end
  redis.call('HSET', name, 'd', q[1], 'r', q[2], 't', q[3], 'c', q[4], 'b', q[5], 'n', q[6], 'm', q[7], 'mt', q[8],
    'mc', q[9], 'mr', q[10], 'u', now, also, value)
  redis.call('PEXPIRE', name, 5184000000)
end
local function told(q) return {now, q[5], q[6], q[1], q[2], q[3], q[4], q[10], q[8], q[9]} end
