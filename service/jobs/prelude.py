"""What the Lua scripts of the queue share. A job's life: waiting zset -> running stream (with a lease) -> ended."""

PRELUDE = """
local P, GROUP = ARGV[1], 'workers'
local RUNNING = P .. 'running'
local ENDED = {succeeded = true, failed = true, canceled = true, expired = true}
local function now() local t = redis.call('TIME') return tonumber(t[1]) + tonumber(t[2]) / 1e6 end
local function passed(deadline) return deadline and deadline ~= '' and tonumber(deadline) < now() end

local function note(id, name, data)      -- an event for whoever watches this job
  redis.call('XADD', P .. 'events:' .. id, 'MAXLEN', '~', 400, '*', 'e', name, 'd', data or '{}')
  redis.call('PUBLISH', P .. 'signal:events', id)
end

local function tick(pictures, jobs)      -- work done per busy second, fading over a minute of work; idle is free
  local r, t, dt = redis.call('HMGET', P .. 'rate', 't', 'pictures', 'jobs', 'busy'), now(), 0
  if r[1] and redis.call('XLEN', RUNNING) > 0 then dt = math.max(0, t - tonumber(r[1])) end
  local k = math.exp(-dt / 60)
  redis.call('HSET', P .. 'rate', 't', t, 'pictures', tonumber(r[2] or 0) * k + pictures,
    'jobs', tonumber(r[3] or 0) * k + jobs, 'busy', tonumber(r[4] or 0) * k + dt)
end

-- Start-time fair queueing: a job's place is where its caller's earlier jobs end, but never before the lane's clock.
local function join(id, lane, caller, cost)
  local fair = P .. 'fair:' .. lane
  local f = redis.call('HMGET', fair, '@clock', 'c:' .. caller)
  local start = math.max(tonumber(f[1] or 0), tonumber(f[2] or 0))
  redis.call('HSET', fair, 'c:' .. caller, start + cost)
  redis.call('HINCRBY', fair, '@cost', cost)
  redis.call('ZADD', P .. 'waiting:' .. lane, start, id)
  redis.call('PUBLISH', P .. 'signal:work', lane)
end

local function leave(id, lane, cost)
  local waiting, fair = P .. 'waiting:' .. lane, P .. 'fair:' .. lane
  if redis.call('ZREM', waiting, id) == 0 then return end
  if redis.call('EXISTS', waiting) == 0 then redis.call('DEL', fair)
  else redis.call('HINCRBY', fair, '@cost', -cost) end
end

local function release(mid)              -- XACK and XDEL together: XLEN then counts exactly what runs
  if mid and mid ~= '' then redis.call('XACK', RUNNING, GROUP, mid) redis.call('XDEL', RUNNING, mid) end
end
local function owns(mid, who) return #redis.call('XPENDING', RUNNING, GROUP, mid, mid, 1, who) > 0 end

local end_job, stop_job
local function chunks_of(id) return redis.call('LRANGE', P .. 'chunks:' .. id, 0, -1) end

local function chunk_ended(parent, state, err, cost)
  local job = P .. 'job:' .. parent
  local h = redis.call('HMGET', job, 'state', 'chunks', 'caller', 'cost')
  if not h[1] or ENDED[h[1]] then return end
  if state ~= 'succeeded' then stop_job(parent, state, err) return end
  local done = redis.call('HINCRBY', job, 'chunks_done', 1)
  local pictures = redis.call('HINCRBY', job, 'pictures_done', cost)
  local progress = '{"done":' .. pictures .. ',"total":' .. h[4] .. ',"unit":"picture"}'
  redis.call('HSET', job, 'progress', progress)
  note(parent, 'progress', progress)
  if done == tonumber(h[2]) then         -- all parts are there: any worker may put them together, ahead of bulk work
    redis.call('HSET', job, 'merging', 1, 'attempts', 0)
    join(parent, 'immediate', h[3], 0)
  end
end

end_job = function(id, state, err)
  local job = P .. 'job:' .. id
  local h = redis.call('HMGET', job, 'keep_s', 'parent', 'chunks', 'webhook', 'cost', 'dead')
  redis.call('HSET', job, 'state', state, 'ended', now(), 'error', err or '')
  redis.call('HDEL', job, 'mid', 'worker', 'cancel')
  redis.call('ZREM', P .. 'deadlines', id)
  note(id, state, (err and err ~= '') and ('{"error":' .. err .. '}') or '{}')
  if h[2] and state ~= 'succeeded' or h[6] then redis.call('EXPIRE', P .. 'input:' .. id, h[1])
  else redis.call('DEL', P .. 'input:' .. id) end
  for _, kind in ipairs({'job:', 'events:', 'chunks:'}) do redis.call('EXPIRE', P .. kind .. id, h[1]) end
  if h[4] then redis.call('ZADD', P .. 'webhooks', now(), id) end
  if h[3] and state == 'succeeded' then
    for _, c in ipairs(chunks_of(id)) do
      redis.call('DEL', P .. 'job:' .. c, P .. 'input:' .. c, P .. 'events:' .. c, P .. 'result:' .. c)
    end
  end
  if h[2] then chunk_ended(h[2], state, err, h[5]) else redis.call('HINCRBY', P .. 'rate', 'ended:' .. state, 1) end
end

stop_job = function(id, state, err)      -- end a job that nobody runs, or ask its worker to; with its chunks
  local job = P .. 'job:' .. id
  local h = redis.call('HMGET', job, 'state', 'lane', 'cost', 'chunks', 'merging')
  if not h[1] then return -1 elseif ENDED[h[1]] then return 0 end
  if h[1] == 'queued' or h[4] then
    redis.call('ZREM', P .. 'delayed', id)
    if h[5] then leave(id, 'immediate', 0) else leave(id, h[2], h[3]) end
    if h[5] then redis.call('PUBLISH', P .. 'signal:cancel', id) end
    end_job(id, state, err)
    if h[4] then for _, c in ipairs(chunks_of(id)) do stop_job(c, 'canceled') end end
    return 1
  end
  redis.call('HSET', job, 'cancel', 1)
  redis.call('PUBLISH', P .. 'signal:cancel', id)
  return 2
end

local function bury(id, err, dead_s)     -- attempts used up: a person decides; of a split job the whole is buried
  local parent = redis.call('HGET', P .. 'job:' .. id, 'parent')
  local head = parent or id
  if redis.call('EXISTS', P .. 'job:' .. head) == 1 then
    redis.call('HSET', P .. 'job:' .. head, 'dead', 1, 'keep_s', dead_s)
    redis.call('ZADD', P .. 'dead', now(), head)
    for _, c in ipairs(chunks_of(head)) do redis.call('HSET', P .. 'job:' .. c, 'keep_s', dead_s) end
  end
  end_job(id, 'failed', err)
end

local function begin(id, mid, who)       -- an attempt starts, and is counted before anything can crash
  local job = P .. 'job:' .. id
  local n = redis.call('HINCRBY', job, 'attempts', 1)
  redis.call('HSET', job, 'state', 'running', 'mid', mid, 'worker', who)
  redis.call('HSETNX', job, 'started', now())
  note(id, 'running', '{"attempt":' .. n .. '}')
  local parent = redis.call('HGET', job, 'parent')
  if parent and redis.call('HGET', P .. 'job:' .. parent, 'state') == 'queued' then
    redis.call('HSET', P .. 'job:' .. parent, 'state', 'running', 'started', now(), 'attempts', 1)
    note(parent, 'running', '{"attempt":1}')
  end
  return {id, mid, n, redis.call('HGETALL', job), redis.call('HGETALL', P .. 'input:' .. id),
    parent and redis.call('HGETALL', P .. 'input:' .. parent) or {}}
end
"""
