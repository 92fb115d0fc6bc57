-- Performs one operation on the cache; redis.py describes the keys. The server runs a script without
-- other commands in between.
--
-- KEYS has the prefix of every key. ARGV has the name of the operation, the time in POSIX seconds,
-- the retention in days, CLOCK_TOLERANCE, and the arguments of the operation.
local call, floor = redis.call, math.floor
local now, retention, tolerance = tonumber(ARGV[2]), tonumber(ARGV[3]), tonumber(ARGV[4])
local DAY = 86400
local GRACE = 600 -- seconds after which the server deletes a key that no operation has deleted

local function key(name) return KEYS[1] .. name end
local META, ANSWERS, CLOSED, RAW = key('meta'), key('answers'), key('closed'), key('raw')
local VALUES, IDS, COUNTS = key('values'), key('ids'), key('counts')
local function records(day) return key('day:' .. day.number) end
local function tally(day) return key('tally:' .. day.number) end

local began, text = unpack(call('HMGET', META, 'day', 'days'))
began = began and assert(tonumber(began))
local today = floor(now / DAY)
if began and today < began and began <= floor((now + tolerance) / DAY) then today = began end
local days = {} -- that have live keys, the newest first
for number, date in string.gmatch(text or '', '(%d+) (%d+)') do
  table.insert(days, {number = tonumber(number), date = tonumber(date)})
end
assert(days[1] or not began) -- fails if somebody else has written to `meta`

local function each_pair(flat)
  local i = -1
  return function()
    i = i + 2
    return flat[i], flat[i + 1]
  end
end

-- Return the number of a change; see `run.read`.
local function change() return call('HINCRBY', META, 'change', 1) end

-- Give a key that may be new the deadline of all others.
local function keep(name) call('PEXPIREAT', name, call('PEXPIRETIME', META), 'NX') end

local function add(hash, field, number)
  local sum = call('HINCRBY', hash, field, number)
  if sum == number then keep(hash) end
  if sum == 0 then call('HDEL', hash, field) end
  return sum
end

local function forget_value(id)
  call('HDEL', IDS, call('HGET', VALUES, id))
  call('HDEL', VALUES, id)
end

-- Count more live keys, or fewer. A code is the id of a value, doubled, and one more if the key is
-- established. The id of null is 0.
local function count(day, code, number)
  local id = floor(code / 2)
  if add(tally(day), code, number) == 1 then keep(records(day)) end -- `records(day)` may be new
  if id > 0 and add(COUNTS, id, number) == 0 then forget_value(id) end
  call('HINCRBY', META, 'live', number)
  change()
end

-- Most instances report every day, so most keys are found in the newest days.
local function find(digest)
  for _, day in ipairs(days) do
    local code = call('HGET', records(day), digest)
    if code then return day, assert(tonumber(code)) end
  end
end

local function id_of(value) return value == 'null' and 0 or tonumber(call('HGET', IDS, value)) end

local function new_id(value)
  local id = call('HINCRBY', META, 'ids', 1)
  call('HSET', IDS, value, id)
  call('HSET', VALUES, id, value)
  keep(IDS)
  keep(VALUES)
  return id
end

-- Return the tally of the day that has begun. The counts of a day are one string, because a reader
-- decodes that faster than many.
local function pack(answers)
  local packed = {}
  for i, day in ipairs(days) do
    packed[i] = {day.date, table.concat(call('HGETALL', tally(day)), ' ')}
  end
  return {began, packed, answers, call('HGETALL', VALUES)}
end

-- Forget the past days for which a function returns true.
local function forget(hash, is_forgotten)
  for _, day in ipairs(call('HKEYS', hash)) do
    if is_forgotten(tonumber(day)) then call('HDEL', hash, day) end
  end
end

-- Keep the tally of the day that is over, and forget the days that are too old.
local function close(unit, history, max_tallies)
  local answers = {}
  for name, number in each_pair(call('ZRANGE', ANSWERS, 0, -1, 'WITHSCORES')) do
    local rounded = floor(number / unit) * unit
    if rounded > 0 then table.insert(answers, {name, rounded}) end
  end
  call('HSET', RAW, began, cmsgpack.pack(pack(answers)))
  local oldest = math.min(today - history, began) -- whatever the history, the latest day is kept
  local tallies = call('HKEYS', RAW)
  table.sort(tallies, function(a, b) return tonumber(a) > tonumber(b) end)
  local oldest_tally = math.max(oldest, tonumber(tallies[tonumber(max_tallies)] or 0))
  forget(RAW, function(day) return day < oldest_tally end)
  forget(CLOSED, function(day) return day < oldest end)
end

-- Reopen the days that are not over any more, and date their keys today.
local function go_back()
  for _, hash in ipairs({RAW, CLOSED}) do
    forget(hash, function(day) return day >= today end)
  end
  for _, day in ipairs(days) do day.date = math.min(day.date, today) end
  if now < tonumber(call('HGET', META, 'since')) then call('HSET', META, 'since', ARGV[2]) end
end

local function drop(day) call('UNLINK', records(day), tally(day)) end

local function drop_expired()
  local live = {}
  for _, day in ipairs(days) do
    if day.date < today - retention or call('EXISTS', tally(day)) == 0 then
      drop(day)
    else
      table.insert(live, day)
    end
  end
  days = live
end

-- Count the live keys anew, and forget the values that none of them has.
local function recount()
  local live, counts = 0, {}
  for _, day in ipairs(days) do
    for code, number in each_pair(call('HGETALL', tally(day))) do
      local id = floor(code / 2)
      live, counts[id] = live + number, (counts[id] or 0) + number
    end
  end
  call('HSET', META, 'live', live)
  for _, id in ipairs(call('HKEYS', VALUES)) do
    local number = counts[tonumber(id)]
    if number then
      call('HSET', COUNTS, id, number)
    else
      call('HDEL', COUNTS, id)
      forget_value(id)
    end
  end
end

local function open()
  table.insert(days, 1, {number = change(), date = today})
  drop(days[1]) -- records that are left if somebody else has deleted `meta`
  local flat = {}
  for i, day in ipairs(days) do flat[i] = day.number .. ' ' .. day.date end
  call('HSET', META, 'day', today, 'days', table.concat(flat, ' '))
end

-- Have the server delete everything, in case that no process is left to do so.
local function set_deadlines()
  local function expire(name, date)
    call('PEXPIRE', name, floor(((date + retention + 1) * DAY - now + GRACE) * 1000))
  end
  for _, day in ipairs(days) do
    expire(records(day), day.date)
    expire(tally(day), today) -- until the last day with any of these keys is closed
  end
  for _, name in ipairs({ANSWERS, CLOSED, RAW, VALUES, IDS, COUNTS, META}) do expire(name, today) end
end

local run = {}

-- Begin to count from zero.
function run.clear()
  for _, day in ipairs(days) do drop(day) end
  call('UNLINK', ANSWERS, CLOSED, RAW, VALUES, IDS, COUNTS, META)
  days, today = {}, floor(now / DAY)
  call('HSET', META, 'epoch', table.concat(call('TIME'), '.'), 'since', ARGV[2], 'live', 0)
  call('HSET', META, 'closed', change())
  open()
  set_deadlines()
end

-- Begin another day if one has begun, or if the clock went back to an earlier one.
function run.expire(unit, history, max_tallies)
  if not began then return run.clear() end
  if today ~= began then
    if today > began then close(unit, history, max_tallies) else go_back() end
    call('UNLINK', ANSWERS)
    call('HSET', META, 'closed', change())
    drop_expired()
    recount()
    open()
  end
  set_deadlines()
end

-- Set a key, and count the answers if the key was last set on an earlier day.
function run.put(digest, value, max_entries, max_values, ...)
  local old, old_code = find(digest)
  if not old and tonumber(call('HGET', META, 'live')) >= tonumber(max_entries) then
    return 'CacheFull'
  end
  local id = id_of(value)
  if not id then
    local replaced = old and call('HGET', COUNTS, floor(old_code / 2)) == '1'
    if call('HLEN', VALUES) - (replaced and 1 or 0) >= tonumber(max_values) then
      return 'TooManyValues'
    end
    id = new_id(value)
  end
  local returned = old and old.date < today
  local established = old and (returned or old_code % 2 == 1)
  local code = 2 * id + (established and 1 or 0)
  for _, name in ipairs(returned and {...} or {}) do
    if call('ZINCRBY', ANSWERS, 1, name) == '1' then keep(ANSWERS) end
  end
  local new = days[1]
  if old ~= new or old_code ~= code then
    call('HSET', records(new), digest, code)
    count(new, code, 1)
    if old and old ~= new then call('HDEL', records(old), digest) end
    if old then count(old, old_code, -1) end
  end
  return today
end

function run.get(digest)
  local _, code = find(digest)
  if not code then return false end
  return code < 2 and 'null' or call('HGET', VALUES, floor(code / 2))
end

function run.delete(digest)
  local day, code = find(digest)
  if not day then return 0 end
  call('HDEL', records(day), digest)
  count(day, code, -1)
  return 1
end

-- Return the state, then the tallies of the days that are over. Return false if the last change was
-- `known`, and nothing about the days that are over if none of them has changed since.
function run.read(epoch, known)
  local names = {'epoch', 'change', 'since', 'closed'}
  local latest, last, since, closed = unpack(call('HMGET', META, unpack(names)))
  known, last = epoch == latest and tonumber(known) or -1, tonumber(last)
  if known == last then return false end
  local state = {latest, last, tonumber(since), pack({})}
  if tonumber(closed) <= known then return {cmsgpack.pack(state)} end
  state[5] = {}
  for day, summary in each_pair(call('HGETALL', CLOSED)) do
    table.insert(state[5], {tonumber(day), summary})
  end
  return {cmsgpack.pack(state), unpack(call('HVALS', RAW))}
end

-- Keep a summary of a day that is over in place of its tally.
function run.keep(day, summary)
  if call('HDEL', RAW, day) == 0 then return end
  call('HSET', CLOSED, day, summary)
  keep(CLOSED)
  call('HSET', META, 'closed', change())
end

-- Change nothing. The server refuses this wherever it would refuse `put`.
function run.probe()
  assert(tonumber(call('HGET', META, 'live')))
  for _, hash in ipairs({VALUES, IDS, COUNTS}) do call('HLEN', hash) end
end

local operation = ARGV[1]
if today ~= began and operation ~= 'expire' then return 'NewDay' end
return run[operation](unpack(ARGV, 5))
