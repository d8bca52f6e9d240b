-- Takes over those messages of a group that have been with somebody for ARGV[2] milliseconds, ARGV[3] at most: for each its id,
-- the how manieth attempt this is, and its fields. One that is in the stream no more is forgotten.
local group, idle, count = ARGV[1], ARGV[2], ARGV[3]
local taken = {}
for _, due in ipairs(redis.call('XPENDING', KEYS[1], group, 'IDLE', idle, '-', '+', count)) do
  local entry = redis.call('XCLAIM', KEYS[1], group, group, idle, due[1])[1]
  if entry then
    taken[#taken + 1] = {entry[1], due[4] + 1, entry[2]}
  else
    redis.call('XACK', KEYS[1], group, due[1])
  end
end
return taken
