-- The instances whose lease holds, and what they tell of themselves.
-- ARGV: incarnation and what it tells, or nothing; ms for which that is kept.
-- Reply: of each instance what it tells, and how many ms ago it did.
local incarnation, told, keep = ARGV[2], ARGV[3], ARGV[4]
if incarnation ~= '' then
  redis.call('SET', 'tc1:{all}:info:' .. incarnation, digits(now) .. ' ' .. told, 'PX', keep)
  redis.call('PEXPIRE', 'tc1:{all}:k:' .. incarnation, keep)
end
local reply = {}
for _, each in ipairs(redis.call('ZRANGEBYSCORE', 'tc1:{all}:leases', '(' .. digits(now), '+inf')) do
  local info = redis.call('GET', 'tc1:{all}:info:' .. each)
  if info then
    local space = string.find(info, ' ', 1, true)
    reply[#reply + 1] = string.sub(info, space + 1)
    reply[#reply + 1] = now - tonumber(string.sub(info, 1, space - 1))
  end
end
return reply
