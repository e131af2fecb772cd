-- Takes a record in, unless it is there: then that one is returned. Asked again with the same text it is the same record.
-- KEYS: meta, news, print, cred. ARGV: print, text, wished number or ''.
local number = redis.call('HGET', KEYS[3], ARGV[1])
if not number then
  local next = tonumber(redis.call('HGET', KEYS[1], 'next') or 0)
  number = next
  -- A smaller one has been somebody's: of an item of a config, or of one that may come back.
  if ARGV[3] ~= '' and tonumber(ARGV[3]) > next then number = tonumber(ARGV[3]) end
  redis.call('HSET', KEYS[1], 'next', number + 1)
  redis.call('HSET', KEYS[3], ARGV[1], number)
end
-- What `tostring` makes of a number ends after 14 digits.
number = string.format('%.0f', number)
local have = redis.call('HGET', KEYS[4], number)
if have then
  local _, text = parts(have)
  return {tonumber(number), have, text == ARGV[2] and 1 or 0, told_last()}
end
local version = change()
have = version .. '|' .. ARGV[2]
redis.call('HSET', KEYS[4], number, have)
return {tonumber(number), have, 1, tell(version, 'cred', number)}
