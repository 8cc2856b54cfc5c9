-- Members of tags. Block: parts, then for each part what is done: 1 join, 2 leave, 3 list (with most members), each with
-- a place; 4 end an incarnation in a slot key. Join and leave carry incarnation, generation, client and, for join, info.
--
-- `n:` holds for each tag the members by incarnation of the instance, and the version; `w:` the members that an incarnation
-- has there; `o:` where an incarnation has members, so that they leave without being looked for.
local parts
parts, at = struct.unpack('>I2', block, at)
local replies = {}

-- Grows, also after a tag has lost its last member and after everything was lost.
local function next_version(base)
  local version = math.max((tonumber(redis.call('GET', base .. 'v')) or 0) + 1, now)
  redis.call('SET', base .. 'v', digits(version))
  return version
end

local function count_of(key)
  local fields = redis.call('HGETALL', key)
  local count, version, incarnations = 0, 0, {}
  for i = 1, #fields, 2 do
    if fields[i] == 'v' then
      version = tonumber(fields[i + 1])
    else
      count = count + tonumber(fields[i + 1])
      incarnations[#incarnations + 1] = fields[i]
    end
  end
  return count, version, incarnations
end

-- `joined` and `left` are packed members. Frames of a call that have the same index count as copies of one.
local frames = 0
local function tell(place, joined, left)
  local key = place.base .. 'n:' .. place.name
  local count = count_of(key)
  local version = next_version(place.base)
  if count == 0 then redis.call('DEL', key) else redis.call('HSET', key, 'v', digits(version)) end
  announce(place, 3, frames, struct.pack('>ddI4', version, count, #joined) .. table.concat(joined),
    struct.pack('>I4', #left) .. table.concat(left))
  frames = frames + 1
end

-- Field: generation and client; value: 0, or 1 and the info.
local function packed(field, value)
  return string.sub(field, 1, 8) .. struct.pack('>I2I2', #field - 8, #value) .. string.sub(field, 9) .. value
end

local function read_name(place)
  local start, length = at
  local incarnation
  incarnation, length, at = struct.unpack('>c8I2', block, at)
  local field = string.sub(block, at, at + 7 + length)
  at = at + 8 + length
  return incarnation, field
end

local function join(place)
  local incarnation, field = read_name(place)
  local length
  length, at = struct.unpack('>I2', block, at)
  local value = string.sub(block, at, at + length - 1)
  at = at + length
  local key = place.base .. 'w:' .. incarnation .. place.name
  local known = redis.call('HGET', key, field)
  if known == value then return end
  redis.call('HSET', key, field, value)
  if not known and redis.call('HINCRBY', place.base .. 'n:' .. place.name, incarnation, 1) == 1 then
    redis.call('SADD', place.base .. 'o:' .. incarnation,
      struct.pack('>I2I2I2BI2', place.slot, place.short, place.long, place.app, #place.name) .. place.name)
  end
  tell(place, { packed(field, value) }, {})
end

local function forget(place, incarnation)
  redis.call('HDEL', place.base .. 'n:' .. place.name, incarnation)
  redis.call('SREM', place.base .. 'o:' .. incarnation,
    struct.pack('>I2I2I2BI2', place.slot, place.short, place.long, place.app, #place.name) .. place.name)
end

local function leave(place)
  local incarnation, field = read_name(place)
  local key = place.base .. 'w:' .. incarnation .. place.name
  local known = redis.call('HGET', key, field)
  if not known then return end
  redis.call('HDEL', key, field)
  if redis.call('HINCRBY', place.base .. 'n:' .. place.name, incarnation, -1) <= 0 then forget(place, incarnation) end
  tell(place, {}, { packed(field, known) })
end

local function list(place)
  local most
  most, at = struct.unpack('>I4', block, at)
  local count, version, incarnations = count_of(place.base .. 'n:' .. place.name)
  if count == 0 then version = tonumber(redis.call('GET', place.base .. 'v')) or 0 end
  local members = {}
  if count <= most then
    for _, incarnation in ipairs(incarnations) do
      local fields = redis.call('HGETALL', place.base .. 'w:' .. incarnation .. place.name)
      for i = 1, #fields, 2 do members[#members + 1] = packed(fields[i], fields[i + 1]) end
    end
  end
  return struct.pack('>ddI4', version, count, #members) .. table.concat(members)
end

-- Some tags of an incarnation lose its members; answers whether there are more.
local function finish()
  local slot, incarnation
  slot, incarnation, at = struct.unpack('>I2c8', block, at)
  local after = at
  local own = block
  local places = redis.call('SRANDMEMBER', 'tc1:{' .. slot .. '}:o:' .. incarnation, 32)
  for _, one in ipairs(places) do
    block, at = one, 1
    local place = read_place()
    local key = place.base .. 'w:' .. incarnation .. place.name
    local fields = redis.call('HGETALL', key)
    local left = {}
    for i = 1, #fields, 2 do left[#left + 1] = packed(fields[i], fields[i + 1]) end
    redis.call('DEL', key)
    forget(place, incarnation)
    tell(place, {}, left)
  end
  block, at = own, after
  return #places == 32 and 1 or 0
end

for _ = 1, parts do
  local what
  what, at = struct.unpack('>B', block, at)
  if what == 4 then
    replies[#replies + 1] = finish()
  else
    local place = read_place()
    if what == 1 then
      join(place)
      replies[#replies + 1] = 0
    elseif what == 2 then
      leave(place)
      replies[#replies + 1] = 0
    else
      replies[#replies + 1] = list(place)
    end
  end
end
publish_all()
return replies
