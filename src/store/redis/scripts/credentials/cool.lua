-- Lets a credential rest for a model, or for all: the longer rest stays.
-- KEYS: meta, news, cool, cred. ARGV: number, version that the record must have ('': any), then model, end, whether for a
-- limit, reason, text of each. The answer is whether it had that version.
if ARGV[2] ~= '' and parts(redis.call('HGET', KEYS[4], ARGV[1])) ~= tonumber(ARGV[2]) then return 0 end
local t = redis.call('TIME')
local now = t[1] * 1000 + math.floor(t[2] / 1000)
local rests, is_new = rests_of(ARGV[1]), false
for model, rest in pairs(rests) do
  if rest[1] > 0 and rest[1] <= now then rests[model] = nil end
end
for at = 3, #ARGV - 1, 5 do
  local model, ends = ARGV[at], tonumber(ARGV[at + 1])
  local is = rests[model]
  -- A second more is not worth telling.
  if not is or (is[1] > 0 and (ends == 0 or ends > is[1] + 1000)) then
    is_new = true
    rests[model] = {ends, tonumber(ARGV[at + 2]), ARGV[at + 4], ARGV[at + 3]}
  end
end
if is_new then keep_rests(ARGV[1], rests) end
return 1
