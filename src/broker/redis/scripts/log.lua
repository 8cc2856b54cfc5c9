-- Precedes the scripts about logs: the state of one log, and what is cut off at its old end.
--
-- A log is two keys: `m:` its state (below), and `s:` a stream with one entry per tag and batch. The id of an entry is
-- the offset of its last message and the time of the batch; its only field holds the number of messages, for each its
-- bytes and the bytes of its payload, then all bytes. The state outlives the messages, so that offsets go on.
local state_format = '>BI4I4dI4dc20dddddd'
local state_bytes = 97
local day_ms = 86400000

-- epoch, birth (the epoch of the first of a chain of epochs that share their offsets), top, the previous epoch and how
-- far it reached, run id of the server that stamped last, time of the last message, ttl, a time that the oldest message
-- is not older than, bytes ever appended, when expiry was last set, when the tag was last listed, marks.
local function open_log(place, create)
  local log = { place = place, key = place.base .. 'm:' .. place.name, stream = place.base .. 's:' .. place.name }
  local state = redis.call('GET', log.key)
  if state then
    local _
    _, log.epoch, log.birth, log.top, log.prev_epoch, log.prev_top, log.run, log.last, log.ttl, log.head, log.bytes,
      log.expiry, log.listed = struct.unpack(state_format, state)
    log.marks = string.sub(state, state_bytes + 1)
    if log.run ~= run then
      -- Another server, or this one started anew: it may hold less than what was acknowledged.
      log.prev_epoch, log.prev_top, log.run = log.epoch, log.top, run
      log.epoch = new_epoch(log.epoch)
      log.changed = true
    end
    return log
  end
  if not create then return nil end
  -- A script that has written anything may write on where the server is full: nothing is to be written here without need.
  if redis.call('EXISTS', log.stream) == 1 then redis.call('DEL', log.stream) end
  log.epoch = new_epoch(0)
  log.birth, log.top, log.prev_epoch, log.prev_top, log.run = log.epoch, 0, 0, 0, run
  log.last, log.ttl, log.head, log.bytes, log.expiry, log.listed, log.marks = 0, 0, 0, 0, 0, 0, ''
  log.changed = true
  return log
end

local function save_log(log)
  local state = struct.pack(state_format, 1, log.epoch, log.birth, log.top, log.prev_epoch, log.prev_top, log.run,
    log.last, log.ttl, log.head, log.bytes, log.expiry, log.listed) .. log.marks
  if log.top == 0 then
    redis.call('SET', log.key, state, 'PX', 7 * day_ms)
  elseif log.ttl > 0 then
    redis.call('SET', log.key, state, 'PX', digits(log.ttl + 7 * day_ms))
  else
    redis.call('SET', log.key, state)
  end
end

-- Offset of the last message of an entry, its time, its bytes; nil where there is no entry from `from` on.
local function entry_from(log, from)
  local found = redis.call('XRANGE', log.stream, from, '+', 'COUNT', 1)[1]
  if not found then return nil end
  local offset, time = string.match(found[1], '^(%d+)-(%d+)$')
  return tonumber(offset), tonumber(time), found[2][2]
end

local function oldest_of(log)
  local offset, _, entry = entry_from(log, '-')
  if not offset then return log.top + 1 end
  return offset - struct.unpack('>I4', entry) + 1
end

-- Drops entries that are older than the ttl: their times grow, so the first young one is found by halving.
local function drop_aged(log)
  local limit = now - log.ttl
  if log.ttl == 0 or log.head >= limit then return end
  log.changed = true
  local low, time = entry_from(log, '-')
  if not low then
    log.head = now
    return
  end
  if time < limit then
    if log.last < limit then
      redis.call('DEL', log.stream)
      log.head = now
      return
    end
    low = low + 1
    local high = log.top
    while low < high do
      local middle = math.floor((low + high) / 2)
      local offset, then_ms = entry_from(log, digits(middle))
      if then_ms < limit then low = offset + 1 else high = middle end
    end
    redis.call('XTRIM', log.stream, 'MINID', '=', digits(low))
    low, time = entry_from(log, '-')
  end
  log.head = time
end

-- Marks remember, at some eight places of the kept bytes, how many had been appended: nothing need be read to trim by bytes.
local function drop_beyond_bytes(log, bytes_max)
  if bytes_max == 0 then
    log.marks = ''
    return
  end
  local marked = #log.marks > 0 and struct.unpack('>d', log.marks, #log.marks - 7) or 0
  if #log.marks == 0 or log.bytes - marked >= bytes_max / 8 then
    log.marks = log.marks .. struct.pack('>dd', log.top, log.bytes)
  end
  local cut, past = 0, 1
  while past < #log.marks do
    local offset, bytes = struct.unpack('>dd', log.marks, past)
    if log.bytes - bytes < bytes_max then break end
    cut, past = offset, past + 16
  end
  if cut > 0 then
    log.marks = string.sub(log.marks, past)
    redis.call('XTRIM', log.stream, 'MINID', '=', digits(cut + 1))
  end
end
