-- Ends rests of a credential: all of them, or the block: whichever it is (0), or if it ends by itself and not later than then.
-- KEYS: meta, news, cool, rest. ARGV: number, end of the block in ms, 0 or ''.
if ARGV[2] == '' or ARGV[2] == '0' then redis.call('DEL', KEYS[4]) end
local rests = rests_of(ARGV[1])
if not next(rests) then return told_last() end
if ARGV[2] == '' then rests = {}
else
  local block, seen = rests[''], tonumber(ARGV[2])
  -- Ends went by two clocks.
  if not block or (seen > 0 and (block[1] == 0 or block[1] > seen + 1000)) then return told_last() end
  rests[''] = nil
end
keep_rests(ARGV[1], rests)
return told_last()
