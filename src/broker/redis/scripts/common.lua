-- Precedes every script: the call's header, time, the places that tags have in Redis, and announcing.
-- ARGV[1] is one packed block: header, then what the script is asked for, tag by tag.
local block = ARGV[1]
local slot_levels, clustered, origin, call, seed, run, ahead, at = struct.unpack('>BBc8I4I4c20d', block)
clustered = clustered == 1
-- In a Redis Cluster channels are sharded, as keys are.
local publish = clustered and 'SPUBLISH' or 'PUBLISH'

-- Milliseconds since 1970. `ahead` is 0 except in tests, which let time pass by it.
local clock = redis.call('TIME')
local now = clock[1] * 1000 + math.floor(clock[2] / 1000) + ahead

-- Numbers beyond 2^53 do not occur; tostring() would write large ones as 1e+15.
local function digits(number)
  return string.format('%.0f', number)
end

-- Never 0. The seed is random for each call: math.random of a script is the same every time.
local epochs = 0
local function new_epoch(other)
  epochs = epochs + 1
  local epoch = (seed + epochs * 2654435761) % 4294967296
  while epoch == 0 or epoch == other do epoch = (epoch + 1) % 4294967296 end
  return epoch
end

-- Slot key, bytes of `name` up to the end of the two prefixes (0: none), bytes of the application, and application NUL tag.
local function read_place()
  local slot, short, long, app, length
  slot, short, long, app, length, at = struct.unpack('>I2I2I2BI2', block, at)
  local name = string.sub(block, at, at + length - 1)
  at = at + length
  return { slot = slot, short = short, long = long, app = app, name = name, base = 'tc1:{' .. slot .. '}:' }
end

-- A string costs what it takes to hash all of it, each time one is made: large ones are made as few times as can be. So
-- long messages come as arguments of their own, and what goes to several channels is put together once.
local arguments = 1
local function read_messages()
  local length
  length, at = struct.unpack('>I4', block, at)
  if length == 0 then
    arguments = arguments + 1
    return ARGV[arguments]
  end
  local messages = string.sub(block, at, at + length - 1)
  at = at + length
  return messages
end

-- Everything that one call announces on a channel goes out as one packet, when the script is done with its work.
local channels, pieces = {}, {}
local function gather(channel, app, head, body)
  local all = pieces[channel]
  if all then
    all[#all + 1] = head
    all[#all + 1] = body
  else
    channels[#channels + 1] = channel
    pieces[channel] = { struct.pack('>Bc8I4B', 1, origin, call, #app) .. app, head, body }
  end
end

-- kind 1: messages of a log, 2: relayed messages, 3: a change of presence. `index` counts the frames of the call. What
-- the kind brings is `head` and `body`.
local function announce(place, kind, index, head, body)
  local name = place.name
  local app = string.sub(name, 1, place.app)
  local tag = string.sub(name, place.app + 2)
  head = struct.pack('>BI4I2I2', kind, 4 + #tag + #head + #body, index, #tag) .. tag .. head
  gather(place.base .. 'c:' .. name, app, head, body)
  if place.long > 0 then gather(place.base .. 'p:' .. string.sub(name, 1, place.long), app, head, body) end
  if place.short > 0 then gather(place.base .. 'p:' .. string.sub(name, 1, place.short), app, head, body) end
  -- There the firehose is one channel for each slot key.
  gather((clustered and place.base or 'tc1:') .. 'f:' .. app, app, head, body)
end

local function same(one, other)
  if #one ~= #other then return false end
  for i = 1, #one do
    if one[i] ~= other[i] then return false end
  end
  return true
end

local function publish_all()
  if #channels == 0 then return end
  -- A server of a Cluster hands each packet on to its replicas: those that nobody wants are not worth it.
  local heard = clustered and redis.call('PUBSUB', 'SHARDNUMSUB', unpack(channels))
  local last, packet = {}, nil
  for i, channel in ipairs(channels) do
    if not heard or heard[2 * i] > 0 then
      local all = pieces[channel]
      -- A tag's own channel and its prefixes, or a prefix and the firehose, often bring the same.
      if not same(all, last) then
        packet = #all == 3 and all[1] .. all[2] .. all[3] or table.concat(all)
        last = all
      end
      redis.call(publish, channel, packet)
    end
  end
end
