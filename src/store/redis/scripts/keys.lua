-- Writes keys of the page, each for itself, and tells of all if one was written. One that is as it shall be is done already.
-- KEYS: meta, news, keys by id, ids by name. ARGV: whether it was sent before, then of each key: id, the version that it must
-- have ('new': there is none, 'any'), name and text (both empty: it is deleted).
local answer, ids, version, told = {}, {}, nil, nil
for at = 2, #ARGV - 1, 4 do ids[#ids + 1] = ARGV[at] end
for at = 2, #ARGV - 1, 4 do
  local id, expected, name, text = ARGV[at], ARGV[at + 1], ARGV[at + 2], ARGV[at + 3]
  local has, present = parts(redis.call('HGET', KEYS[3], id))
  local owner = name ~= '' and redis.call('HGET', KEYS[4], name) or id
  local what = 'done'
  if present == text then what = 'done'
  elseif present and expected == 'new' then what = 'there'
  elseif not present and expected ~= 'new' then
    if text ~= '' or ARGV[1] ~= '1' then what = 'gone' end
  elseif present and expected ~= 'any' and tonumber(expected) ~= has then what = 'other'
  elseif owner ~= id then what = 'taken'
  else
    local is_whole, was = pcall(cjson.decode, present or '{}')
    local called = is_whole and type(was) == 'table' and was.name
    local is_left = called and called ~= name and redis.call('HGET', KEYS[4], called) == id
    if not version then version, told = change('key', table.concat(ids, ' ')) end
    if text == '' then redis.call('HDEL', KEYS[3], id)
    else
      redis.call('HSET', KEYS[3], id, version .. '|' .. text)
      redis.call('HSET', KEYS[4], name, id)
    end
    if is_left then redis.call('HDEL', KEYS[4], called) end
  end
  answer[#answer + 1] = what
end
table.insert(answer, 1, told or told_last())
return answer
