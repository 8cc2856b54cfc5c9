-- Announces live-only messages. Block: parts, then for each part: place, and the messages as in an entry of a log, behind
-- their length; 0: they are the next argument.
local parts
parts, at = struct.unpack('>I2', block, at)
for index = 0, parts - 1 do
  local place = read_place()
  announce(place, 2, index, '', read_messages())
end
publish_all()
return 0
