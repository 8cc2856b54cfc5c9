-- A beat of an instance: renews its lease, proves the feed's connection alive, and finds instances that have died.
-- Block: incarnation, ms of the lease, number of slot keys that it is to have members in from now on, these.
-- Reply: the slot levels that hold, whether the lease was held, then of each dead incarnation its name and its slot keys.
local incarnation, lease, count
incarnation, lease, count, at = struct.unpack('>c8dI2', block, at)
redis.call('SET', 'tc1:{all}:levels', slot_levels, 'NX')
local levels = tonumber(redis.call('GET', 'tc1:{all}:levels'))
local reply = { levels, 0 }
if levels ~= slot_levels then return reply end

local leases = 'tc1:{all}:leases'
local held = tonumber(redis.call('ZSCORE', leases, incarnation) or 0)
if held > now then reply[2] = 1 end
-- Who finds its lease expired takes another incarnation: the members of this one are leaving.
if held == 0 or held > now then
  redis.call('ZADD', leases, digits(now + lease), incarnation)
  for _ = 1, count do
    local slot
    slot, at = struct.unpack('>I2', block, at)
    redis.call('SADD', 'tc1:{all}:of:' .. incarnation, slot)
  end
end
for _, dead in ipairs(redis.call('ZRANGEBYSCORE', leases, '-inf', digits(now), 'LIMIT', 0, 8)) do
  -- One instance at a time sees to it.
  if dead ~= incarnation and redis.call('SET', 'tc1:{all}:claim:' .. dead, 1, 'NX', 'PX', 5000) then
    reply[#reply + 1] = dead
    reply[#reply + 1] = redis.call('SMEMBERS', 'tc1:{all}:of:' .. dead)
  end
end
redis.call(publish, 'tc1:{all}:i:' .. origin, digits(call))
return reply
