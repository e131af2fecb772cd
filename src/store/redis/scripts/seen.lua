-- What each script begins with that changes credentials or keys, or reads what is to be changed. A store that knows of less changes than who asks was emptied or
-- restored: nothing is written into it before it was read anew. The last argument is how many changes were seen.
-- One that was emptied may count as many again, but nobody has made it.
local changes, schema = unpack(redis.call('HMGET', KEYS[1], 'changes', 'schema'))
if not schema or tonumber(changes or 0) < tonumber(ARGV[#ARGV]) then
  return redis.error_reply('BEHIND the store has lost changes')
end
