-- Frees places among the running requests of a key, and counts what a replica owes of a day, once for each number.
-- KEYS: counts, running. ARGV: who, number (0: nothing is owed), day, requests, tokens, money, places ...
for at = 7, #ARGV do redis.call('ZREM', KEYS[2], ARGV[at]) end
local q = counts(KEYS[1], ARGV[1])
if tonumber(ARGV[2]) > tonumber(q[11]) then
  local requests, tokens, money = tonumber(ARGV[4]), tonumber(ARGV[5]), tonumber(ARGV[6])
  -- A day that has begun there begins here within the second; an earlier one is still of its month.
  local is_of_day = tonumber(ARGV[3]) >= day
  if is_of_day then q[2], q[3], q[4] = q[2] + requests, q[3] + tokens, q[4] + money end
  if is_of_day or month_of(tonumber(ARGV[3])) == month then q[10], q[8], q[9] = q[10] + requests, q[8] + tokens, q[9] + money end
  keep(KEYS[1], q, ARGV[1], ARGV[2])
end
return told(q)
