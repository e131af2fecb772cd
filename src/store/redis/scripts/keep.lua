-- Keeps notes. KEYS: notes. ARGV: ms, texts.
for at, note in ipairs(KEYS) do
  redis.call('HSET', note, 't', ARGV[at + 1])
  redis.call('PEXPIRE', note, ARGV[1])
end
return 1
