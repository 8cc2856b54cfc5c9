-- Names of logs. Block: the slot keys to look at, from and to; where to begin: negative for those appended to within so many
-- milliseconds, at most `limit`; else the cursor of a scan in the first slot key; bytes that names begin with.
-- Reply: the slot key and cursor to go on from (0 and 0: done; negative: there are more), then names.
local first, last, cursor, within, limit, length
first, last, within, limit, length, at = struct.unpack('>I2I2ddI2', block, at)
local start = string.sub(block, at, at + length - 1)
cursor = ARGV[2]
local names = {}

local function add(name)
  if string.sub(name, 1, length) == start then names[#names + 1] = name end
end

if within >= 0 then
  -- Times are listed to the second.
  local since = digits(now - within - 2000)
  for slot = first, last do
    local found = redis.call('ZRANGEBYSCORE', 'tc1:{' .. slot .. '}:t', since, '+inf', 'LIMIT', 0, digits(limit + 1))
    for _, name in ipairs(found) do add(name) end
    if #found > limit or #names > limit then return { -1, '0', unpack(names, 1, math.min(#names, limit)) } end
  end
  return { 0, '0', unpack(names) }
end

local looked = 0
for slot = first, last do
  repeat
    local found = redis.call('ZSCAN', 'tc1:{' .. slot .. '}:t', cursor, 'COUNT', 256)
    cursor = found[1]
    for i = 1, #found[2], 2 do add(found[2][i]) end
    looked = looked + #found[2] / 2
    if looked >= 2000 and (cursor ~= '0' or slot < last) then
      if cursor == '0' then slot = slot + 1 end
      return { slot, cursor, unpack(names) }
    end
  until cursor == '0'
end
return { 0, '0', unpack(names) }
