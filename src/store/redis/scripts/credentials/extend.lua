-- Prolongs leases that are their holder's, or nobody's any more. KEYS: leases ... ARGV: ms, holders ...
for at = 1, #KEYS do
  local holder = redis.call('GET', KEYS[at])
  if not holder or holder == ARGV[at + 1] then redis.call('SET', KEYS[at], ARGV[at + 1], 'PX', ARGV[1]) end
end
return 1
