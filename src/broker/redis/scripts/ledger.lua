-- Changes records of the ledger, if it is as whoever asks has seen it.
-- ARGV: epoch and version as seen, those that follow, the entry for the log of orders, then of each record its name, and
-- `+` with what it is from now on, or `-`.
-- Reply: 1, or 0 where others were first.
local key = 'tc1:{all}:ledger'
local seen = redis.call('HMGET', key, 'epoch', 'version')
if (seen[1] or '') ~= ARGV[2] or (seen[2] or '0') ~= ARGV[3] then return 0 end
-- What is left of a ledger that is put back whole.
if ARGV[2] ~= ARGV[4] then redis.call('DEL', key) end
redis.call('HSET', key, 'epoch', ARGV[4], 'version', ARGV[5])
for i = 7, #ARGV, 2 do
  local value = ARGV[i + 1]
  if string.sub(value, 1, 1) == '+' then
    redis.call('HSET', key, ARGV[i], string.sub(value, 2))
  else
    redis.call('HDEL', key, ARGV[i])
  end
end
redis.call('XADD', 'tc1:{all}:orders', 'MAXLEN', '~', 10000, '*', 'o', ARGV[6])
redis.call(publish, 'tc1:{all}:control', 'o')
return 1
