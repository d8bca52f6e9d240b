-- Does to the items in KEYS what ARGV says: first whether `all` of it or nothing is to be done, or `each` by itself,
-- then five words an item: `put` or `delete`; the ETag that it must have, empty for any, `absent` if it must not be
-- there; the milliseconds that it lives, empty for ever; the value; and what is not empty if nobody may overwrite it
-- without an ETag. Answers the numbers of those whose condition does not hold.

local MODE, WORDS = 1, 5
local known = {}

local function version(key)
  if known[key] == nil then
    local kind = redis.call('TYPE', key)['ok']
    if kind == 'none' then
      known[key] = false
    elseif kind == 'hash' then
      known[key] = redis.call('HGET', key, 'version') or 'unknown'
    else
      known[key] = 'unknown'
    end
  end
  return known[key]
end

local function words(i)
  local at = MODE + (i - 1) * WORDS
  return ARGV[at + 1], ARGV[at + 2], ARGV[at + 3], ARGV[at + 4], ARGV[at + 5]
end

-- Whether the condition holds, and then what follows sees the item as it will be: with an ETag that nobody knows yet.
local function holds(i)
  local what, wanted = words(i)
  local is = version(KEYS[i])
  if wanted == 'absent' and is then return false end
  if wanted ~= 'absent' and wanted ~= '' and wanted ~= is then return false end
  known[KEYS[i]] = what == 'put' and 'unknown'
  return true
end

local function write(i)
  local key, what, _, ttl, value, first = KEYS[i], words(i)
  if what == 'delete' then
    redis.call('DEL', key)
    return
  end
  local kind = redis.call('TYPE', key)['ok']
  if kind ~= 'hash' then redis.call('DEL', key) end
  -- First, for it fails where the hash is somebody else's.
  redis.call('HINCRBY', key, 'version', 1)
  redis.call('HSET', key, 'data', value)
  if first ~= '' then redis.call('HSET', key, 'first-write', 0) end
  if ttl ~= '' then
    redis.call('PEXPIRE', key, ttl)
  else
    redis.call('PERSIST', key)
  end
end

local failed = {}
-- All conditions before the first write: Redis takes nothing back.
for i = 1, #KEYS do
  if not holds(i) then
    failed[#failed + 1] = i
    if ARGV[MODE] == 'all' then return failed end
  elseif ARGV[MODE] == 'each' then
    write(i)
  end
end
if ARGV[MODE] == 'all' then
  for i = 1, #KEYS do write(i) end
end
return failed
