"""The Lua scripts of the queue. Each runs atomically; each says why it has to.

Three rules hold for all of them:
* Plain EVAL and old commands only, so that the same code runs on Redis 6.2 to 8 and on Valkey.
* The first write of a script is one that Redis refuses when memory or disk is full (HSET, SET, XADD). It refuses the
  whole script then, because the decision is made once per script: nothing is ever half done.
* Keys are built from the prefix ARGV[1]; all share one hash tag (`service.redis.keys.TABLE` lists them; a test compares).
"""

from service.jobs.prelude import PRELUDE

# Why atomic: the Idempotency-Key, the limit and the place in the queue must be decided before anyone else's are.
# ARGV: prefix, id, lane, caller, cost, limit, idempotency digest, body digest, its TTL, listed, deadline,
#       then three counted lists: job fields, input fields (payload, attachments), chunks (cost, part)
# Returns {1, id} accepted, {0, id} the same job as before, {-1} full, {-2} key used for another body, {-3} too late
ENQUEUE = """
local id, lane, caller, cost, idem, deadline = ARGV[2], ARGV[3], ARGV[4], ARGV[5], ARGV[7], ARGV[11]
local at = 12
local function list() local n = tonumber(ARGV[at]) local first = at + 1 at = at + 1 + n return first, at - 1 end
local f1, f2 = list()
local i1, i2 = list()
local c1, c2 = list()
if idem ~= '' then
  local seen = redis.call('HMGET', P .. 'idempotency:' .. idem, 'id', 'body')
  if seen[1] and redis.call('EXISTS', P .. 'job:' .. seen[1]) == 1 then
    if seen[2] == ARGV[8] then return {0, seen[1]} end
    return {-2}
  end
end
if redis.call('EXISTS', P .. 'job:' .. id) == 1 then return {0, id} end
local ahead = redis.call('ZCARD', P .. 'waiting:immediate') + redis.call('ZCARD', P .. 'waiting:bulk')
  + redis.call('ZCARD', P .. 'delayed') + redis.call('XLEN', RUNNING)
if ahead + math.max(1, (c2 - c1 + 1) / 2) > tonumber(ARGV[6]) then return {-1} end
if deadline ~= '' then
  local r = redis.call('HMGET', P .. 'rate', 'pictures', 'busy')
  local wait = tonumber(redis.call('HGET', P .. 'fair:immediate', '@cost') or 0)
  if lane == 'bulk' then wait = wait + tonumber(redis.call('HGET', P .. 'fair:bulk', '@cost') or 0) end
  local pictures = tonumber(r[1] or 0)
  if pictures > 0 and now() + wait * tonumber(r[2]) / pictures > tonumber(deadline) then return {-3} end
end
local job, t = P .. 'job:' .. id, now()
redis.call('HSET', P .. 'input:' .. id, unpack(ARGV, i1, i2))
redis.call('HSET', job, 'state', 'queued', 'attempts', 0, 'lane', lane, 'caller', caller, 'cost', cost, 'created', t,
  unpack(ARGV, f1, f2))
if deadline ~= '' then
  redis.call('HSET', job, 'deadline', deadline)
  redis.call('ZADD', P .. 'deadlines', deadline, id)
end
if idem ~= '' then
  redis.call('HSET', P .. 'idempotency:' .. idem, 'id', id, 'body', ARGV[8])
  redis.call('EXPIRE', P .. 'idempotency:' .. idem, ARGV[9])
end
if ARGV[10] == '1' then redis.call('ZADD', P .. 'jobs', t, id) end
note(id, 'queued')
if c2 < c1 then join(id, lane, caller, cost) return {1, id} end
redis.call('HSET', job, 'chunks', (c2 - c1 + 1) / 2)
for i = c1, c2, 2 do
  local chunk = id .. '.' .. (i - c1) / 2
  redis.call('HSET', P .. 'input:' .. chunk, 'part', ARGV[i + 1])  -- the rest of its input is its parent's
  redis.call('HSET', P .. 'job:' .. chunk, 'state', 'queued', 'attempts', 0, 'lane', lane, 'caller', caller,
    'created', t, unpack(ARGV, f1, f2))
  redis.call('HSET', P .. 'job:' .. chunk, 'cost', ARGV[i], 'parent', id, 'deadline', deadline)
  redis.call('HDEL', P .. 'job:' .. chunk, 'webhook')
  redis.call('RPUSH', P .. 'chunks:' .. id, chunk)
  join(chunk, lane, caller, ARGV[i])
end
return {1, id}
"""

# Why atomic: a job is in the waiting set or in the running stream, never in both or neither.
# ARGV: prefix, worker, room for immediate jobs, room for bulk jobs
# Returns a list of {id, mid, attempt, job, input, parent's input}
TAKE = """
if redis.call('EXISTS', RUNNING) == 0 then redis.call('XGROUP', 'CREATE', RUNNING, GROUP, '$', 'MKSTREAM') end
local out = {}
for i, lane in ipairs({'immediate', 'bulk'}) do
  local room, waiting = tonumber(ARGV[2 + i]), P .. 'waiting:' .. lane
  while room > 0 do
    local top = redis.call('ZRANGE', waiting, 0, 0, 'WITHSCORES')
    if #top == 0 then break end
    local id = top[1]
    local h = redis.call('HMGET', P .. 'job:' .. id, 'state', 'deadline', 'cost', 'merging')
    local cost = h[4] and 0 or (h[3] or 0)
    tick(0, 0)
    if not h[1] or ENDED[h[1]] then leave(id, lane, cost)
    elseif passed(h[2]) then leave(id, lane, cost) stop_job(id, 'expired')
    else
      local mid = redis.call('XADD', RUNNING, '*', 'id', id)
      redis.call('XREADGROUP', 'GROUP', GROUP, ARGV[2], 'COUNT', 1, 'STREAMS', RUNNING, '>')
      redis.call('HSET', P .. 'fair:' .. lane, '@clock', top[2])
      leave(id, lane, cost)
      out[#out + 1] = begin(id, mid, ARGV[2])
      room = room - 1
    end
  end
end
return out
"""

# Why atomic: whether a job taken over from a lost worker may run again depends on its attempts, which this raises.
# ARGV: prefix, worker, mid, id, most attempts, TTL of the dead
# Returns {'run', as TAKE} or {'lost' | 'gone' | 'ended'}
RESTART = """
local who, mid, id = ARGV[2], ARGV[3], ARGV[4]
if not owns(mid, who) then return {'lost'} end
local h = redis.call('HMGET', P .. 'job:' .. id, 'state', 'deadline', 'attempts', 'cancel', 'mid')
if not h[1] or ENDED[h[1]] or h[5] ~= mid then release(mid) return {'gone'} end
tick(0, 0)
if h[4] then release(mid) end_job(id, 'canceled') return {'ended'} end
if passed(h[2]) then release(mid) end_job(id, 'expired') return {'ended'} end
if tonumber(h[3]) >= tonumber(ARGV[5]) then
  release(mid)
  local detail = h[3] .. ' workers in a row were lost while they ran this job'
  bury(id, '{"title":"Worker lost","status":500,"detail":"' .. detail .. '"}', ARGV[6])
  return {'ended'}
end
note(id, 'reclaimed')
return {'run', begin(id, mid, who)}
"""

# Why atomic: of two workers that both finish, exactly one result may count, and it frees the place in the same moment.
# The first finished result wins, whoever holds the lease (two stalled workers would otherwise steal the job from each
# other for ever); failures and retries need the lease.
# ARGV: prefix, worker, mid, id, outcome (succeeded | failed | canceled | expired | retry), result or error JSON,
#       result TTL, most attempts, retry at, TTL of the dead. Returns 1 when it counted
FINISH = """
local who, mid, id, outcome, body = ARGV[2], ARGV[3], ARGV[4], ARGV[5], ARGV[6]
local job = P .. 'job:' .. id
local h = redis.call('HMGET', job, 'state', 'cost', 'mid', 'lane', 'attempts', 'merging')
if not h[1] or ENDED[h[1]] then release(mid) return 0 end
if outcome == 'succeeded' then
  redis.call('SET', P .. 'result:' .. id, body, 'EX', ARGV[7])
  tick(h[6] and 0 or h[2], 1)
  redis.call('ZREM', P .. 'delayed', id)
  if h[6] then leave(id, 'immediate', 0) else leave(id, h[4], h[2]) end
  release(mid) release(h[3])
  end_job(id, 'succeeded')
  return 1
end
if not owns(mid, who) then return 0 end
tick(0, 1)
release(mid)
if outcome ~= 'retry' then
  if redis.call('HGET', job, 'chunks') then stop_job(id, outcome, body) else end_job(id, outcome, body) end
elseif tonumber(h[5]) >= tonumber(ARGV[8]) then bury(id, body, ARGV[10])
else
  redis.call('HSET', job, 'state', 'queued', 'error', body)
  redis.call('HDEL', job, 'mid', 'worker')
  redis.call('ZADD', P .. 'delayed', ARGV[9], id)
  note(id, 'retry', '{"error":' .. body .. '}')
end
return 1
"""

# Why atomic: a worker that drains hands a job back as if it had never had it, to the front of its lane.
# ARGV: prefix, worker, mid, id. Returns 1 when handed back
GIVE_BACK = """
local who, mid, id = ARGV[2], ARGV[3], ARGV[4]
local h = redis.call('HMGET', P .. 'job:' .. id, 'state', 'lane', 'cost', 'merging', 'cancel')
if not h[1] or ENDED[h[1]] or not owns(mid, who) then return 0 end
tick(0, 0)
release(mid)
if h[5] then end_job(id, 'canceled') return 1 end
local lane, cost = h[4] and 'immediate' or h[2], h[4] and 0 or h[3]
if not h[4] then redis.call('HSET', P .. 'job:' .. id, 'state', 'queued') end
redis.call('HINCRBY', P .. 'job:' .. id, 'attempts', -1)
redis.call('HDEL', P .. 'job:' .. id, 'mid', 'worker')
redis.call('HINCRBY', P .. 'fair:' .. lane, '@cost', cost)
redis.call('ZADD', P .. 'waiting:' .. lane, redis.call('HGET', P .. 'fair:' .. lane, '@clock') or 0, id)
redis.call('PUBLISH', P .. 'signal:work', lane)
note(id, 'queued')
return 1
"""

# Why atomic: between looking at the state and acting on it a worker may start or finish the job.
# ARGV: prefix, id. Returns -1 unknown, 0 had ended already, 1 ended now, 2 its worker is told to stop
CANCEL = """
tick(0, 0)
return stop_job(ARGV[2], 'canceled')
"""

# Why atomic: a heartbeat must not steal back a lease that another worker took over. JUSTID leaves the count alone.
# ARGV: prefix, worker, mids... Returns the mids that are no longer ours
BEAT = """
local lost = {}
for i = 3, #ARGV do
  if owns(ARGV[i], ARGV[2]) then redis.call('XCLAIM', RUNNING, GROUP, ARGV[2], 0, ARGV[i], 'JUSTID')
  else lost[#lost + 1] = ARGV[i] end
end
return lost
"""

# Why atomic: of many sweepers exactly one moves a delayed job to its lane, or ends a queued job past its deadline.
# ARGV: prefix, TTL of records, TTL of the dead. Returns how many moved
SWEEP = """
local t, moved = now(), 0
for _, id in ipairs(redis.call('ZRANGEBYSCORE', P .. 'delayed', '-inf', t, 'LIMIT', 0, 100)) do
  local h = redis.call('HMGET', P .. 'job:' .. id, 'lane', 'caller', 'cost', 'state', 'merging')
  if h[4] and not ENDED[h[4]] then
    if h[5] then join(id, 'immediate', h[2], 0) else join(id, h[1], h[2], h[3]) end
  end
  redis.call('ZREM', P .. 'delayed', id)
  moved = moved + 1
end
for _, id in ipairs(redis.call('ZRANGEBYSCORE', P .. 'deadlines', '-inf', t, 'LIMIT', 0, 100)) do
  local h = redis.call('HMGET', P .. 'job:' .. id, 'state', 'chunks')
  if h[1] == 'queued' or (h[2] and h[1] == 'running') then stop_job(id, 'expired') end
  redis.call('ZREM', P .. 'deadlines', id)
  moved = moved + 1
end
redis.call('ZREMRANGEBYSCORE', P .. 'jobs', '-inf', t - tonumber(ARGV[2]))
redis.call('ZREMRANGEBYSCORE', P .. 'dead', '-inf', t - tonumber(ARGV[3]))
return moved
"""

# Why atomic: two people may requeue at once. Of a split job the parts that are done stay done.
# ARGV: prefix, id. Returns 1, or 0 when the job is not on the dead-letter list
REQUEUE = """
local function again(id)
  local job = P .. 'job:' .. id
  redis.call('HSET', job, 'state', 'queued', 'attempts', 0, 'error', '')
  redis.call('HDEL', job, 'ended', 'started', 'dead', 'mid', 'worker', 'cancel')
  for _, kind in ipairs({'job:', 'input:', 'chunks:'}) do redis.call('PERSIST', P .. kind .. id) end
  redis.call('DEL', P .. 'events:' .. id)  -- they end with the end that is no longer true
end
local id = ARGV[2]
if not redis.call('ZSCORE', P .. 'dead', id) then return 0 end
if redis.call('EXISTS', P .. 'job:' .. id) == 0 then redis.call('ZREM', P .. 'dead', id) return 0 end
again(id)
redis.call('ZREM', P .. 'dead', id)
local h = redis.call('HMGET', P .. 'job:' .. id, 'lane', 'caller', 'cost', 'chunks')
note(id, 'queued')
if not h[4] then join(id, h[1], h[2], h[3]) return 1 end
local done, pictures = 0, 0
for _, c in ipairs(chunks_of(id)) do
  local part = redis.call('HMGET', P .. 'job:' .. c, 'state', 'cost')
  if part[1] == 'succeeded' and redis.call('EXISTS', P .. 'result:' .. c) == 1 then
    done = done + 1 pictures = pictures + tonumber(part[2])
  else again(c) join(c, h[1], h[2], part[2]) end
end
redis.call('HSET', P .. 'job:' .. id, 'chunks_done', done, 'pictures_done', pictures)
redis.call('HDEL', P .. 'job:' .. id, 'merging')
if done == tonumber(h[4]) then redis.call('HSET', P .. 'job:' .. id, 'merging', 1) join(id, 'immediate', h[2], 0) end
return 1
"""

# Why atomic: nothing may be added to the events of a job after the event that ended it.
# ARGV: prefix, id, event name, JSON. Returns 1 when added
NOTE = """
local state = redis.call('HGET', P .. 'job:' .. ARGV[2], 'state')
if not state or ENDED[state] then return 0 end
if ARGV[3] == 'progress' then redis.call('HSET', P .. 'job:' .. ARGV[2], 'progress', ARGV[4]) end
note(ARGV[2], ARGV[3], ARGV[4])
return 1
"""

# Why atomic: one process at a time takes a webhook; it is due again if that process dies before it says how it went.
# ARGV: prefix, how many, seconds until it is due again. Returns the ids
DUE_WEBHOOKS = """
local ids, t = redis.call('ZRANGEBYSCORE', P .. 'webhooks', '-inf', now(), 'LIMIT', 0, ARGV[2]), now()
for _, id in ipairs(ids) do redis.call('ZADD', P .. 'webhooks', t + tonumber(ARGV[3]), id) end
return ids
"""

# name: complete source
SCRIPTS = {
    "enqueue": PRELUDE + ENQUEUE,
    "take": PRELUDE + TAKE,
    "restart": PRELUDE + RESTART,
    "finish": PRELUDE + FINISH,
    "give_back": PRELUDE + GIVE_BACK,
    "cancel": PRELUDE + CANCEL,
    "beat": PRELUDE + BEAT,
    "sweep": PRELUDE + SWEEP,
    "requeue": PRELUDE + REQUEUE,
    "note": PRELUDE + NOTE,
    "due_webhooks": PRELUDE + DUE_WEBHOOKS,
}
