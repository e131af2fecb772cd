-- The rests of a credential: by model, and '' for the block, its end in ms (0: until a person acts), whether for a limit, text,
-- reason. What has none left is not kept.
local function rests_of(number)
  local _, text = parts(redis.call('HGET', KEYS[3], number))
  local is_whole, rests = pcall(cjson.decode, text or '{}')
  return is_whole and rests or {}
end
local function keep_rests(number, rests)
  local version = change('cool', number)
  if next(rests) then redis.call('HSET', KEYS[3], number, version .. '|' .. cjson.encode(rests))
  else redis.call('HDEL', KEYS[3], number) end
end
