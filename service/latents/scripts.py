"""The Lua scripts of the store: each one change, whole or not at all, records and indexes together.

Keys below a prefix P such as `{gmd}:latents`; one hash tag, so they may build key names themselves.

    P:record:<id>    hash    name, tags (JSON), created, sequence, facts (JSON), data (float32 bytes)
    P:names          hash    name -> id, the uniqueness of names
    P:lex            zset    every name at score 0, for prefixes
    P:sequence       number  the last sequence given
    P:order:<scope>  zset    id by sequence; scope: empty, m=<model>, t=<tag>, m=<model>,t=<tag>

Nothing here has a time to live. `-` and `.` may stand in names, `=` and `,` may not, so scopes never collide.
"""

_SCOPES = """
local function scopes(model, tags)
  local found = {'', 'm=' .. model}
  for _, tag in ipairs(tags) do
    found[#found + 1] = 't=' .. tag
    found[#found + 1] = 'm=' .. model .. ',t=' .. tag
  end
  return found
end
local function index(P, id, sequence, model, tags)
  for _, scope in ipairs(scopes(model, tags)) do redis.call('ZADD', P .. ':order:' .. scope, sequence, id) end
end
local function unindex(P, id, model, tags)
  for _, scope in ipairs(scopes(model, tags)) do redis.call('ZREM', P .. ':order:' .. scope, id) end
end
local function remove(P, id)
  local key = P .. ':record:' .. id
  local record = redis.call('HMGET', key, 'name', 'tags', 'facts')
  unindex(P, id, cjson.decode(record[3]).model, cjson.decode(record[2]))
  redis.call('ZREM', P .. ':lex', record[1])
  redis.call('HDEL', P .. ':names', record[1])
  redis.call('DEL', key)
end
"""

# KEYS: P:names. ARGV: P, id, name, tags, created, facts, data, quota, replace (0|1), token.
# Answers {'saved'|'taken'|'full'|'kept', id, sequence}; 'kept': the same token saved it before (a job that ran twice).
SAVE = (
    _SCOPES
    + """
local P, id, name, token = ARGV[1], ARGV[2], ARGV[3], ARGV[10]
local model = cjson.decode(ARGV[6]).model
local old = redis.call('HGET', KEYS[1], name)
if old and token ~= '' and redis.call('HGET', P .. ':record:' .. old, 'token') == token then return {'kept', old} end
if old and ARGV[9] == '0' then return {'taken', old} end
local used = redis.call('ZCARD', P .. ':order:m=' .. model)
if old and cjson.decode(redis.call('HGET', P .. ':record:' .. old, 'facts')).model == model then used = used - 1 end
if used >= tonumber(ARGV[8]) then return {'full', tostring(used)} end
local sequence = redis.call('INCR', P .. ':sequence')
if old then remove(P, old) end
redis.call('HSET', P .. ':record:' .. id, 'name', name, 'tags', ARGV[4], 'created', ARGV[5], 'sequence', sequence,
           'facts', ARGV[6], 'data', ARGV[7], 'token', token)
redis.call('HSET', KEYS[1], name, id)
redis.call('ZADD', P .. ':lex', 0, name)
index(P, id, sequence, model, cjson.decode(ARGV[4]))
return {'saved', id, sequence}
"""
)

# KEYS: P:names. ARGV: P, name, new name, new tags ('' leaves them).
# Answers {'missing'|'taken'|'changed', id, record}.
CHANGE = (
    _SCOPES
    + """
local P, old, new = ARGV[1], ARGV[2], ARGV[3]
local id = redis.call('HGET', KEYS[1], old)
if not id then return {'missing'} end
if new ~= old and redis.call('HEXISTS', KEYS[1], new) == 1 then return {'taken'} end
local key = P .. ':record:' .. id
if new ~= old then
  redis.call('HSET', KEYS[1], new, id)
  redis.call('HDEL', KEYS[1], old)
  redis.call('ZADD', P .. ':lex', 0, new)
  redis.call('ZREM', P .. ':lex', old)
  redis.call('HSET', key, 'name', new)
end
if ARGV[4] ~= '' then
  local record = redis.call('HMGET', key, 'tags', 'facts', 'sequence')
  local model = cjson.decode(record[2]).model
  unindex(P, id, model, cjson.decode(record[1]))
  redis.call('HSET', key, 'tags', ARGV[4])
  index(P, id, record[3], model, cjson.decode(ARGV[4]))
end
return {'changed', id, redis.call('HGETALL', key)}
"""
)

# KEYS: P:names. ARGV: P, name. Answers the id or false.
DELETE = (
    _SCOPES
    + """
local id = redis.call('HGET', KEYS[1], ARGV[2])
if id then remove(ARGV[1], id) end
return id
"""
)

# KEYS: P:order:<scope>. ARGV: P, before (exclusive sequence or '+inf'), limit, prefix, budget.
# Answers {next sequence or '', id, fields..., id, fields...}, newest first. A rare prefix is looked up by name; a
# common one is found by walking the order, at most `budget` entries a call, so a page may be short yet not the last.
PAGE = """
local P, limit, prefix, budget = ARGV[1], tonumber(ARGV[3]), ARGV[4], tonumber(ARGV[5])
local found, after = {}, ''
local function take(id) found[#found + 1] = id end
local function rare()
  local names = redis.call('ZRANGEBYLEX', P .. ':lex', '[' .. prefix, '(' .. prefix .. '\\255')
  if #names == 0 then return end
  local rows, before = {}, ARGV[2] == '+inf' and math.huge or tonumber(string.sub(ARGV[2], 2))
  for _, id in ipairs(redis.call('HMGET', P .. ':names', unpack(names))) do
    local sequence = tonumber(redis.call('ZSCORE', KEYS[1], id))
    if sequence and sequence < before then rows[#rows + 1] = {sequence, id} end
  end
  table.sort(rows, function(a, b) return a[1] > b[1] end)
  for i = 1, math.min(limit, #rows) do take(rows[i][2]) end
  if #rows > limit then after = string.format('%.0f', rows[limit][1]) end
end
local function walk()
  local before, seen = ARGV[2], 0
  local chunk = prefix == '' and limit + 1 or 500
  while true do
    local rows = redis.call('ZREVRANGEBYSCORE', KEYS[1], before, '-inf', 'WITHSCORES', 'LIMIT', 0, chunk)
    for i = 1, #rows, 2 do
      if #found == limit or seen == budget then after = string.sub(before, 2) return end
      local name = prefix ~= '' and redis.call('HGET', P .. ':record:' .. rows[i], 'name') or ''
      if name and string.sub(name, 1, #prefix) == prefix then take(rows[i]) end
      before, seen = '(' .. rows[i + 1], seen + 1
    end
    if #rows < 2 * chunk then return end
  end
end
local lex = P .. ':lex'
if prefix ~= '' and redis.call('ZLEXCOUNT', lex, '[' .. prefix, '(' .. prefix .. '\\255') <= 2000 then
  rare()
else
  walk()
end
local answer = {after}
for _, id in ipairs(found) do
  answer[#answer + 1] = id
  answer[#answer + 1] = redis.call('HMGET', P .. ':record:' .. id, 'name', 'tags', 'created', 'sequence', 'facts')
end
return answer
"""
