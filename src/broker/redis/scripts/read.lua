-- Reads logs. Block: parts, then for each part: place, what is wanted, ttl (negative: as the log remembers it), the offset
-- after which messages are wanted, at most how many, at most how many bytes.
-- Wanted: 0 the top of a log that exists, 1 its position, 2 the same of a log that begins to exist, and messages.
-- Reply: for each part a list: the position (empty: no such log), then id and content of entries.
local parts
parts, at = struct.unpack('>I2', block, at)
local replies = {}

-- Entries from the first that holds a message after `after`, until they are enough whatever of the first is left out.
local function read_entries(log, into, after, count, bytes)
  local read, from = 4, digits(after + 1)
  local messages, size, first = 0, 0, true
  while true do
    local found = redis.call('XRANGE', log.stream, from, '+', 'COUNT', read)
    for _, one in ipairs(found) do
      local entry = one[2][2]
      into[#into + 1] = one[1]
      into[#into + 1] = entry
      if not first then
        local held = struct.unpack('>I4', entry)
        messages = messages + held
        size = size + #entry - 4 - 8 * held
      end
      first = false
      if messages >= count or size > bytes then return end
    end
    if #found < read then return end
    from = '(' .. found[#found][1]
    read = math.min(read * 2, 64)
  end
end

for _ = 1, parts do
  local place = read_place()
  local wanted, ttl, after, count, bytes
  wanted, ttl, after, count, bytes, at = struct.unpack('>Bdddd', block, at)
  local log = open_log(place, wanted == 2)
  local reply = { '' }
  if log then
    if ttl >= 0 and log.ttl ~= ttl then
      log.ttl = ttl
      log.changed = true
    end
    local oldest = 0
    if wanted > 0 then
      drop_aged(log)
      oldest = oldest_of(log)
    end
    reply[1] = struct.pack('>I4ddI4d', log.epoch, log.top, oldest, log.prev_epoch, log.prev_top)
    if count > 0 and after < log.top and oldest <= log.top then read_entries(log, reply, after, count, bytes) end
    if log.changed then save_log(log) end
  elseif wanted == 1 then
    redis.call('ZREM', place.base .. 't', place.name)
  end
  replies[#replies + 1] = reply
end
return replies
