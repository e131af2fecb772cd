-- The texts of notes; empty where there is none. KEYS: notes.
local texts = {}
for at, note in ipairs(KEYS) do texts[at] = redis.call('HGET', note, 't') or '' end
return texts
