-- What each script begins with that changes a table of all replicas. A change has a number, which is the version of what it
-- writes, and is told in the stream; a reader that misses a number reads the tables anew. It is told before it is written: a
-- script that fails half-way is not taken back, and news of nothing harm nobody. Nor does it harm to take out what is not
-- there, which who may not do that learns in time. KEYS[1]: meta. KEYS[2]: news.
local function change(what, ids)
  -- A server that is full refuses what comes first only if that needs a place.
  local version = redis.call('HINCRBY', KEYS[1], 'changes', 1)
  redis.call('HDEL', KEYS[1], '')
  return version, redis.call('XADD', KEYS[2], 'MAXLEN', '~', 10000, '*', 'k', what, 'id', ids, 'v', version)
end
local function told_last()
  local last = redis.call('XREVRANGE', KEYS[2], '+', '-', 'COUNT', 1)[1]
  return last and last[1] or '0-0'
end
-- The version and the text of a record; 0 and nil where there is none. What is damaged has no version.
local function parts(record)
  if not record then return 0 end
  local at = string.find(record, '|', 1, true)
  if not at then return 0, record end
  return tonumber(string.sub(record, 1, at - 1)), string.sub(record, at + 1)
end
