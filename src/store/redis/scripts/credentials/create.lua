-- Takes a record in, unless it is there: then that one is returned. Asked again with the same text it is the same record.
-- KEYS: meta, news, print, cred. ARGV: print, text, wished number or ''.
local number = redis.call('HGET', KEYS[3], ARGV[1])
local is_new = not number
if is_new then
  number = tonumber(redis.call('HGET', KEYS[1], 'next') or 0)
  -- A smaller one has been somebody's: of an item of a config, or of one that may come back.
  if ARGV[3] ~= '' and tonumber(ARGV[3]) > number then number = tonumber(ARGV[3]) end
end
-- What `tostring` makes of a number ends after 14 digits.
number = string.format('%.0f', number)
local have = redis.call('HGET', KEYS[4], number)
local version, told
if not have then version, told = change('cred', number) end
if is_new then
  redis.call('HSET', KEYS[1], 'next', string.format('%.0f', number + 1))
  redis.call('HSET', KEYS[3], ARGV[1], number)
end
if have then
  local _, text = parts(have)
  return {tonumber(number), have, text == ARGV[2] and 1 or 0, told_last()}
end
have = version .. '|' .. ARGV[2]
redis.call('HSET', KEYS[4], number, have)
return {tonumber(number), have, 1, told}
