-- What each script begins with that changes credentials or keys. A store that knows of less changes than who asks was emptied or
-- restored: nothing is written into it before it was read anew. The last argument is how many changes were seen.
if tonumber(redis.call('HGET', KEYS[1], 'changes') or 0) < tonumber(ARGV[#ARGV]) then
  return redis.error_reply('BEHIND the store has lost changes')
end
