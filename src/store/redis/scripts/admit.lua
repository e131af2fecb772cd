-- Counts a request of a key, unless a limit is reached. An ask that comes again after a lost answer counts once: it has the
-- number that its line had last. Refusals count nothing.
-- KEYS: counts, running. ARGV: limits in the order of the program (-1: none), place, its ms, what is owed: requests, tokens
-- and money of the day, tokens and money of the month, as how many requests it counts, line, number.
local q = counts(KEYS[1], ARGV[16])
local limit, owed = {}, {}
for at = 1, 7 do limit[at] = tonumber(ARGV[at]) end
for at = 1, 5 do owed[at] = tonumber(ARGV[9 + at]) end
local requests = tonumber(ARGV[15])
local why, wait = 0, 0
if q[11] ~= ARGV[17] then
  local more, run = requests - 1, 0
  if limit[7] >= 0 then
    redis.call('ZREMRANGEBYSCORE', KEYS[2], '-inf', now)
    run = redis.call('ZCARD', KEYS[2])
  end
  local used = {q[8] + owed[4], q[9] + owed[5], q[4] + owed[3], q[2] + owed[1] + more, q[3] + owed[2], q[6] + more, run}
  for at = 7, 1, -1 do
    if limit[at] >= 0 and used[at] >= limit[at] then why = at end
  end
  -- The end of the month is known to who asks.
  if why >= 3 and why <= 5 then wait = (day + 1) * 86400000 - now
  elseif why == 6 then wait = q[5] + 60000 - now
  elseif why == 7 then wait = 1000 end
  if why == 0 then
    q[2], q[6], q[10] = q[2] + requests, q[6] + requests, q[10] + requests
    keep(KEYS[1], q, ARGV[16], ARGV[17])
    if limit[7] >= 0 then
      redis.call('ZADD', KEYS[2], now + tonumber(ARGV[9]), ARGV[8])
      redis.call('PEXPIRE', KEYS[2], tonumber(ARGV[9]) + 1000)
    end
  end
end
local told = told(q)
table.insert(told, 1, wait)
table.insert(told, 1, why)
return told
