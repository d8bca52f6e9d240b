-- Of messages of a group, an id and the how manieth attempt each: those of which it is still that attempt are held for another
-- while if ARGV[2] is 0; else they are given back: they have been with somebody for so many milliseconds, and nobody has
-- attempted anything. Answers the ids of the others, which somebody else has, or nobody.
local group, idle = ARGV[1], tonumber(ARGV[2])
local others = {}
for at = 3, #ARGV, 2 do
  local id, attempt = ARGV[at], tonumber(ARGV[at + 1])
  local pending = redis.call('XPENDING', KEYS[1], group, id, id, 1)[1]
  if not pending or pending[4] ~= attempt then
    others[#others + 1] = id
  elseif idle == 0 then
    redis.call('XCLAIM', KEYS[1], group, group, 0, id, 'JUSTID')
  else
    redis.call('XCLAIM', KEYS[1], group, group, 0, id, 'IDLE', idle, 'RETRYCOUNT', attempt - 1, 'JUSTID')
  end
end
return others
