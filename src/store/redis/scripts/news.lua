-- What each script begins with that changes a table of all replicas. A change has a number, which is the version of what it
-- writes, and is told in the stream; a reader that misses a number reads the tables anew. KEYS[1]: meta. KEYS[2]: news.
local function change() return redis.call('HINCRBY', KEYS[1], 'changes', 1) end
local function tell(version, what, ids)
  return redis.call('XADD', KEYS[2], 'MAXLEN', '~', 10000, '*', 'k', what, 'id', ids, 'v', version)
end
local function told_last()
  local last = redis.call('XREVRANGE', KEYS[2], '+', '-', 'COUNT', 1)[1]
  return last and last[1] or '0-0'
end
-- The version and the text of a record; 0 and nil where there is none.
local function parts(record)
  if not record then return 0 end
  local at = string.find(record, '|', 1, true)
  return tonumber(string.sub(record, 1, at - 1)), string.sub(record, at + 1)
end
