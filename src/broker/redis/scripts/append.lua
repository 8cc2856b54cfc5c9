-- Appends what one turn publishes to some tags, announces it, and answers with the positions.
-- Block: parts, window of the keys in ms, then for each part: place, size, ttl, bytes, whether keys follow (their bytes,
-- then for each message its length or 65535 for none, and the key), bytes of the messages, and the messages as in an entry, behind their length; 0: they are the next argument.
-- Reply: for each part the epoch, and 0 and the first offset where all were appended, else 1 and for each message its
-- offset, negative where its key was used before.
local parts, window
parts, window, at = struct.unpack('>I2d', block, at)
local reply = {}

local function read_keys(count)
  local keys = {}
  for i = 1, count do
    local length
    length, at = struct.unpack('>I2', block, at)
    if length < 65535 then
      keys[i] = string.sub(block, at, at + length - 1)
      at = at + length
    end
  end
  return keys
end

-- Used keys stand in one hash per tag and window; what is still in its window is in this one or the one before.
local function find_used(log, keys, count)
  local wanted, places = {}, {}
  for i = 1, count do
    if keys[i] and not places[keys[i]] then
      wanted[#wanted + 1] = keys[i]
      places[keys[i]] = true
    end
  end
  local used = {}
  local bucket = math.floor(now / window)
  for age = 1, 0, -1 do
    local hash = log.place.base .. 'k:' .. digits(bucket - age) .. ':' .. log.place.name
    local found = redis.call('HMGET', hash, unpack(wanted))
    for i, value in ipairs(found) do
      if value then
        local birth, offset, time = struct.unpack('>I4dd', value)
        if birth == log.birth and offset <= log.top and now - time < window then used[wanted[i]] = offset end
      end
    end
  end
  return used
end

local function note_used(log, fresh)
  local hash = log.place.base .. 'k:' .. digits(math.floor(now / window)) .. ':' .. log.place.name
  redis.call('HSET', hash, unpack(fresh))
  redis.call('PEXPIRE', hash, digits(window * 2 + 60000))
end

-- The messages of `entry` that `indexes` name, as an entry of their own.
local function pick(entry, count, indexes)
  local lengths, bytes = {}, {}
  local start, next_index, from = 5 + 8 * count, 1, 0
  for i = 1, count do
    local length = struct.unpack('>I4', entry, 5 + 8 * (i - 1))
    if indexes[next_index] == i - 1 then
      lengths[next_index] = string.sub(entry, 5 + 8 * (i - 1), 12 + 8 * (i - 1))
      bytes[next_index] = string.sub(entry, start + from, start + from + length - 1)
      next_index = next_index + 1
    end
    from = from + length
  end
  return struct.pack('>I4', #indexes) .. table.concat(lengths) .. table.concat(bytes)
end

local function store(log, entry, size, bytes_max)
  log.last = math.max(log.last, now)
  local id = digits(log.top) .. '-' .. digits(log.last)
  if log.top > size then
    redis.call('XADD', log.stream, 'MINID', '~', digits(log.top - size + 1), id, 'b', entry)
  else
    redis.call('XADD', log.stream, id, 'b', entry)
  end
  drop_aged(log)
  drop_beyond_bytes(log, bytes_max)
  if log.ttl > 0 and now - log.expiry > log.ttl / 8 then
    redis.call('PEXPIRE', log.stream, digits(log.ttl * 1.25 + 1000))
    log.expiry = now
  elseif log.ttl == 0 and log.expiry > 0 then
    redis.call('PERSIST', log.stream)
    log.expiry = 0
  end
  -- Tags by the time of their last append, to the second.
  if now - log.listed >= 1000 or now < log.listed then
    redis.call('ZADD', log.place.base .. 't', digits(now), log.place.name)
    log.listed = now
  end
end

-- Which messages are new, and where each of them stands.
local function stamp(log, keys, count)
  local used = find_used(log, keys, count)
  local offsets, indexes, fresh = {}, {}, {}
  for i = 1, count do
    local key = keys[i]
    local before = key and used[key]
    if before then
      offsets[i] = -before
    else
      log.top = log.top + 1
      offsets[i] = log.top
      indexes[#indexes + 1] = i - 1
      if key then
        used[key] = log.top
        fresh[#fresh + 1] = key
        fresh[#fresh + 1] = struct.pack('>I4dd', log.birth, log.top, now)
      end
    end
  end
  if #fresh > 0 then note_used(log, fresh) end
  return offsets, indexes
end

for index = 0, parts - 1 do
  local place = read_place()
  local size, ttl, bytes_max, keyed, bytes, length
  size, ttl, bytes_max, keyed, at = struct.unpack('>dddB', block, at)
  local keys_at = at
  if keyed == 1 then
    length, at = struct.unpack('>I4', block, at)
    keys_at = at
    at = at + length
  end
  bytes, at = struct.unpack('>I4', block, at)
  local entry = read_messages()
  local after = at
  local count = struct.unpack('>I4', entry)

  local log = open_log(place, true)
  log.ttl = ttl
  local first = log.top + 1
  local appended, which = count, ''
  if keyed == 1 then
    at = keys_at
    local offsets, indexes = stamp(log, read_keys(count), count)
    appended = #indexes
    if appended < count then
      if appended > 0 then
        local before = #entry - 8 * count
        entry = pick(entry, count, indexes)
        bytes = bytes - (before - (#entry - 8 * appended))
      end
      local packed = {}
      for i = 1, appended do packed[i] = struct.pack('>I2', indexes[i]) end
      which = struct.pack('>I2', appended) .. table.concat(packed, '', 1, appended)
      for i = 1, count do packed[i] = struct.pack('>d', offsets[i]) end
      reply[#reply + 1] = struct.pack('>I4B', log.epoch, 1) .. table.concat(packed, '', 1, count)
    end
  else
    log.top = log.top + count
  end
  if appended == count then reply[#reply + 1] = struct.pack('>I4Bd', log.epoch, 0, first) end
  if appended > 0 then
    log.bytes = log.bytes + bytes
    store(log, entry, size, bytes_max)
    local head = struct.pack('>I4ddB', log.epoch, first, log.last, #which > 0 and 1 or 0) .. which
    announce(place, 1, index, head, entry)
    save_log(log)
  elseif log.changed then
    save_log(log)
  end
  at = after
end
publish_all()
return table.concat(reply)
