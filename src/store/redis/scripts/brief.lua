-- Counts what ends by itself, and takes out what has ended. KEYS: meta, news, table. ARGV: of each its id and ms; 0 ms: it is
-- forgotten. A record is when it ends and how often it was counted.
local t = redis.call('TIME')
local now = t[1] * 1000 + math.floor(t[2] / 1000)
local ids, living, all = {}, {}, redis.call('HGETALL', KEYS[3])
for at = 1, #all, 2 do
  local _, text = parts(all[at + 1])
  local ends, times = string.match(text, '^(%d+) (%d+)')
  if tonumber(ends) > now then living[all[at]] = {ends, times} else ids[#ids + 1] = all[at] end
end
local ended = #ids
for at = 1, #ARGV, 2 do ids[#ids + 1] = ARGV[at] end
local version = change('brief', table.concat(ids, ' '))
for at = 1, ended do redis.call('HDEL', KEYS[3], ids[at]) end
for at = 1, #ARGV, 2 do
  local id, ms = ARGV[at], tonumber(ARGV[at + 1])
  if ms == 0 then
    redis.call('HDEL', KEYS[3], id)
    living[id] = nil
  else
    local was = living[id] or {now + ms, 0}
    living[id] = {was[1], was[2] + 1}
    redis.call('HSET', KEYS[3], id, version .. '|' .. was[1] .. ' ' .. was[2] + 1)
  end
end
return 1
