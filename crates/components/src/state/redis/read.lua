-- Answers for each of KEYS its value, its version and the milliseconds that it lives on, -1 for ever; or nothing if it
-- is not there. In one step, so that these three belong together.

local items = {}
for i, key in ipairs(KEYS) do
  local kind = redis.call('TYPE', key)['ok']
  local data, version
  if kind == 'hash' then
    data, version = unpack(redis.call('HMGET', key, 'data', 'version'))
  elseif kind == 'string' then
    -- Put there by somebody else.
    data = redis.call('GET', key)
  end
  -- Not nil, at which the answer would end.
  items[i] = data and { data, version or '0', redis.call('PTTL', key) } or false
end
return items
