-- Connections of this incarnation, by key, and of all whose lease holds.
-- ARGV: incarnation, ms for which the counts are kept if nothing is heard, what is wanted, then its arguments. To acquire: key,
-- bound, ms of a lease, and when it was first asked, or 0.
-- Reply: 1, or 0 where the bound is reached; or when it was first asked, where one that counts towards it was not heard of since
-- then: it may have died, and is to be asked about again.
local incarnation, keep, what = ARGV[2], ARGV[3], ARGV[4]
local own = 'tc1:{all}:k:' .. incarnation
if what == 'acquire' then
  local name, most, lease, asked = ARGV[5], tonumber(ARGV[6]), tonumber(ARGV[7]), tonumber(ARGV[8])
  if asked == 0 then asked = now end
  local count, unsure = tonumber(redis.call('HGET', own, name) or 0), 0
  local leases = redis.call('ZRANGEBYSCORE', 'tc1:{all}:leases', '(' .. digits(now), '+inf', 'WITHSCORES')
  for i = 1, #leases, 2 do
    if leases[i] ~= incarnation then
      local theirs = tonumber(redis.call('HGET', 'tc1:{all}:k:' .. leases[i], name) or 0)
      count = count + theirs
      if tonumber(leases[i + 1]) - lease <= asked then unsure = unsure + theirs end
    end
  end
  if count >= most then return count - unsure < most and asked or 0 end
  redis.call('HINCRBY', own, name, 1)
else
  if what == 'recount' then redis.call('DEL', own) end
  for i = 5, #ARGV, 2 do
    if redis.call('HINCRBY', own, ARGV[i], ARGV[i + 1]) <= 0 then redis.call('HDEL', own, ARGV[i]) end
  end
end
redis.call('PEXPIRE', own, keep)
return 1
