-- Changes or removes a record that has this version still; else returns what is there. Asked again with the same text it is
-- done already. A new login begins without rests, and a new token ends the block that the old one had earned.
-- KEYS: meta, news, cool, print, cred, lease, rest. ARGV: number, version, text ('': it is removed), print before and after,
-- holder of the lease or '', what ends: 'all', 'grant' or ''.
local have = redis.call('HGET', KEYS[5], ARGV[1])
if not have then return {'', ARGV[3] == '' and 1 or 0, told_last()} end
local has, text = parts(have)
if has ~= tonumber(ARGV[2]) then return {have, ARGV[3] ~= '' and text == ARGV[3] and 1 or 0, told_last()} end
-- All that may be something else than expected is read before anything is written.
local is_holder = ARGV[6] ~= '' and redis.call('GET', KEYS[6]) == ARGV[6]
local rests = ARGV[7] ~= '' and rests_of(ARGV[1])
redis.call('HLEN', KEYS[4])
local version = change('cred', ARGV[1])
if ARGV[3] == '' then
  redis.call('HDEL', KEYS[5], ARGV[1])
  have = ''
else
  have = version .. '|' .. ARGV[3]
  redis.call('HSET', KEYS[5], ARGV[1], have)
  if ARGV[4] ~= ARGV[5] then
    redis.call('HDEL', KEYS[4], ARGV[4])
    redis.call('HSET', KEYS[4], ARGV[5], ARGV[1])
  end
end
if rests then
  redis.call('DEL', KEYS[7])
  if ARGV[7] == 'all' and next(rests) then keep_rests(ARGV[1], {})
  elseif rests[''] and rests[''][4] == 'INVALID_GRANT' then
    rests[''] = nil
    keep_rests(ARGV[1], rests)
  end
end
if is_holder then redis.call('DEL', KEYS[6]) end
return {have, 1, told_last()}
