-- The rests of a credential: by model, and '' for the block, its end in ms (0: until a person acts), whether for a limit, text,
-- reason. What has none left is not kept.
local function rests_of(number)
  local _, text = parts(redis.call('HGET', KEYS[3], number))
  return cjson.decode(text or '{}')
end
local function keep_rests(number, rests)
  local version = change()
  if next(rests) then redis.call('HSET', KEYS[3], number, version .. '|' .. cjson.encode(rests))
  else redis.call('HDEL', KEYS[3], number) end
  tell(version, 'cool', number)
end
