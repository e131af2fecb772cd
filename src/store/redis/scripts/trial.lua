-- Changes that change nothing, since there is no such name: they show whether the server takes changes, and which the user may
-- make; those that do need a place are made when a replica enters. A table that is something else by now is an error, too.
-- The first one must be refused by a server that is full: behind others it would be let through.
-- KEYS: a name that nobody has, tables. ARGV: whether a replica enters, then of each table what it is.
local none = KEYS[1]
redis.call('ZADD', none, 'XX', 0, '-')
redis.call('XADD', none, 'NOMKSTREAM', '*', '-', '-')
redis.call('HDEL', none, '-')
redis.call('PEXPIRE', none, 1)
redis.call('SET', none, '-', 'XX')
local refused
if ARGV[1] == '1' then
  for _, change in ipairs({'HINCRBY', 'HSET'}) do
    local answer = redis.pcall(change, none, '-', 1)
    if type(answer) == 'table' and answer.err then refused = answer end
  end
end
redis.call('DEL', none)
if refused then return refused end
for at = 2, #KEYS do
  local is = redis.call('TYPE', KEYS[at]).ok
  if is ~= 'none' and is ~= ARGV[at] then return redis.error_reply('DAMAGED ' .. KEYS[at]) end
end
return 0
