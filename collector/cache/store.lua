-- Runs one operation on a cache, completely or not at all; redis.py says what each key holds.
-- KEYS[1] is the prefix of every key. ARGV has the operation, the time, GRANULARITY, HISTORY, and the
-- operation's own arguments. Times and expiries are POSIX seconds, or 'inf' for never.
local call, floor = redis.call, math.floor
local prefix, now = KEYS[1], tonumber(ARGV[2])
local period, periods = tonumber(ARGV[3]), tonumber(ARGV[4])
local META, LIVE, CLOSED = prefix .. 'meta', prefix .. 'live', prefix .. 'closed'
local IDS, VALUES, COUNTS = prefix .. 'ids', prefix .. 'values', prefix .. 'counts'
local CHANGED = prefix .. 'changed'
local SHARED = {META, LIVE, CLOSED, IDS, VALUES, COUNTS, CHANGED}
-- The clocks of several hosts differ a little: one that is this many seconds behind does not turn
-- back the day.
local SLACK = 60

local function records(expiry) return prefix .. 'records:' .. expiry end
local function tally(expiry) return prefix .. 'tally:' .. expiry end
local function closed(day) return prefix .. 'closed:' .. day end
local function summary(day) return prefix .. 'summary:' .. day end
local function number(expiry) return expiry == 'inf' and math.huge or tonumber(expiry) end
local function text(moment) return string.format('%.17g', moment) end
local function milliseconds(moment) return string.format('%.0f', math.ceil(moment * 1000)) end
local function start(moment) return floor(moment / period) * period end
local function end_of_history(moment) return milliseconds(moment + (periods + 1) * period) end

-- If the server refuses a script for lack of memory, it refuses its first command that needs some.
-- So everything that writes begins with this one, and a refused script has done nothing.
local function change() return call('HINCRBY', META, 'changes', 1) end

-- The next history that a client asks for is another one.
local function change_history() call('HSET', META, 'history_changed', change()) end

local function change_values() call('HSET', META, 'values_changed', change()) end

local function add(hash, field, by)
  local sum = call('HINCRBY', hash, field, by)
  if sum == 0 then call('HDEL', hash, field) end
  return sum
end

-- What the keys of all expiries share outlives them for as long as their closing tally is kept.
local function keep_until(expiry)
  local last = number(call('HGET', META, 'last') or '0')
  if last == math.huge then return end
  if expiry == math.huge then
    call('HSET', META, 'last', 'inf')
    for _, key in ipairs(SHARED) do call('PERSIST', key) end
    return
  end
  last = math.max(last, expiry)
  if last <= now then return end  -- nothing is live; the next key brings another expiry
  call('HSET', META, 'last', text(last))
  for _, key in ipairs(SHARED) do call('PEXPIREAT', key, end_of_history(last)) end
end

-- Prepare for the first key of an expiry. The server itself drops the records at their expiry. The
-- tally stays until its closing state has been kept, unless no history is kept.
local function open(expiry)
  call('ZADD', LIVE, expiry, expiry)
  if expiry ~= 'inf' then
    local last = periods > 0 and end_of_history(expiry) or milliseconds(expiry)
    call('PEXPIREAT', records(expiry), milliseconds(expiry))
    call('PEXPIREAT', tally(expiry), last)
    local began, longest = unpack(call('HMGET', META, 'began', 'longest'))
    local length = number(expiry) - (began or 0)
    if length > tonumber(longest or 0) then call('HSET', META, 'longest', text(length)) end
  end
  keep_until(number(expiry))
end

local function forget_value(id)
  local value = call('HGET', VALUES, id)
  if value then
    call('HDEL', VALUES, id)
    call('HDEL', IDS, value)
    change_values()
  end
end

-- A code is a value's id, doubled, and one more if the key was renewed. The value None has id 0.
local function count(expiry, code, by)
  add(tally(expiry), code, by)
  call('HSET', CHANGED, expiry, change())
  if add(COUNTS, floor(code / 2), by) == 0 then forget_value(floor(code / 2)) end
end

local function leave(digest, expiry, code)
  call('HDEL', records(expiry), digest)
  count(expiry, code, -1)
  if call('EXISTS', records(expiry)) == 0 then
    call('ZREM', LIVE, expiry)
    call('HDEL', CHANGED, expiry)
  end
end

-- Put a key where it belongs before it leaves where it was, or its value might be forgotten.
local function place(digest, expiry, code, old_expiry, old_code)
  call('HSET', records(expiry), digest, code)
  count(expiry, code, 1)
  if call('HLEN', records(expiry)) == 1 then open(expiry) end
  if old_expiry == expiry then
    count(expiry, old_code, -1)
  elseif old_expiry then
    leave(digest, old_expiry, old_code)
  end
end

-- Count the live keys of each value anew, from the tallies of the live expiries.
local function recount()
  local sums = {}
  for _, expiry in ipairs(call('ZRANGE', LIVE, 0, -1)) do
    local codes = call('HGETALL', tally(expiry))
    for i = 1, #codes, 2 do
      local id = floor(codes[i] / 2)
      sums[id] = (sums[id] or 0) + codes[i + 1]
    end
  end
  local counts = call('HGETALL', COUNTS)
  for i = 1, #counts, 2 do
    local sum = sums[tonumber(counts[i])]
    if sum then
      call('HSET', COUNTS, counts[i], sum)
    else
      call('HDEL', COUNTS, counts[i])
      forget_value(counts[i])
    end
  end
end

local function drop(expiry)
  call('UNLINK', records(expiry), tally(expiry))
  call('ZREM', LIVE, expiry)
  call('HDEL', CHANGED, expiry)
end

local function forget_days(first, last)
  for _, day in ipairs(call('ZRANGEBYSCORE', CLOSED, first, last)) do
    call('UNLINK', closed(day), summary(day))
    call('ZREM', CLOSED, day)
  end
end

-- Keep the tally of a day that is over, with its values, in one hash.
local function close(day)
  local values = call('HGETALL', VALUES)
  for i = 1, #values, 2 do call('HSET', closed(day), values[i], values[i + 1]) end
  for _, expiry in ipairs(call('ZRANGE', LIVE, 0, -1)) do
    local codes = call('HGETALL', tally(expiry))
    for i = 1, #codes, 2 do call('HSET', closed(day), expiry .. '|' .. codes[i], codes[i + 1]) end
  end
  call('PEXPIREAT', closed(day), end_of_history(day))
  call('ZADD', CLOSED, day, text(day))
end

local function move_all(expiry, later)
  local cursor = '0'
  repeat
    local page = call('HSCAN', records(expiry), cursor, 'COUNT', 1000)
    cursor = page[1]
    for i = 1, #page[2], 2 do call('HSET', records(later), page[2][i], page[2][i + 1]) end
  until cursor == '0'
  local codes = call('HGETALL', tally(expiry))
  for i = 1, #codes, 2 do add(tally(later), codes[i], codes[i + 1]) end
  call('HSET', CHANGED, later, change())
  drop(expiry)
end

-- Follow a clock that went back: a day that is not over is not closed, and a key expires as if it
-- were set now.
local function go_back(today)
  forget_days(today, '+inf')
  local latest = today + tonumber(call('HGET', META, 'longest') or 0)
  local moved = call('ZRANGEBYSCORE', LIVE, '(' .. text(latest), '(inf')
  for _, expiry in ipairs(moved) do move_all(expiry, text(latest)) end
  if #moved > 0 then open(text(latest)) end
end

local function begin_day(began, today)
  call('ZREM', CLOSED, '')  -- the first command that writes must need no memory; see `change`
  change_history()
  if today < began then
    go_back(today)
  elseif periods > 0 then
    close(began)
    forget_days('-inf', '(' .. text(today - periods * period))
  end
  call('HSET', META, 'began', text(today))
  keep_until(today + period)
end

local function begin_counting(changes)
  call('HSET', META, 'changes', changes, 'history_changed', changes, 'values_changed', changes)
  call('HSET', META, 'since', text(now))
  if period > 0 then
    call('HSET', META, 'began', text(start(now)))
    keep_until(start(now) + period)
  end
end

local live  -- the expiries after `update`, the earliest first

-- Bring everything to the present.
local function update()
  local began, since = unpack(call('HMGET', META, 'began', 'since'))
  if not since then
    -- A store that was lost must not have told any client one of the numbers that follow.
    begin_counting(string.format('%.0f', now * 1000000))
  elseif now < since - SLACK then
    call('HSET', META, 'since', text(now))
  end
  began = tonumber(began)
  if began and began - SLACK <= now and now < began then now = began end
  if began and start(now) ~= began then begin_day(began, start(now)) end
  live = call('ZRANGE', LIVE, 0, -1)
  if live[1] and number(live[1]) <= now then
    for _, expiry in ipairs(live) do
      if number(expiry) <= now then drop(expiry) end
    end
    recount()
    change()
    live = call('ZRANGE', LIVE, 0, -1)
  end
end

-- Return the expiry and the code of a live key. The latest expiry comes first, since most instances
-- report every day.
local function find(digest)
  for i = #live, 1, -1 do
    local code = call('HGET', records(live[i]), digest)
    if code then return live[i], tonumber(code) end
  end
end

local function size()
  local sum = 0
  for _, expiry in ipairs(live) do sum = sum + call('HLEN', records(expiry)) end
  return sum
end

local function id_of(value) return value == '' and 0 or tonumber(call('HGET', IDS, value) or nil) end

local function has_room_for_value(old_code, max_values)
  local values = call('HLEN', VALUES)
  if values < max_values then return true end
  local id = old_code and floor(old_code / 2) or 0
  return values == max_values and id > 0 and call('HGET', COUNTS, id) == '1'
end

local function name(value)
  local id = call('HINCRBY', META, 'ids', 1)
  call('HSET', IDS, value, id)
  call('HSET', VALUES, id, value)
  change_values()
  keep_until(0)
  return id
end

local run = {}

-- Return 1 if the key is set now, or would be if its expiry were not past, and 0 if it is not; or the
-- name of a refusal.
function run.put(how, digest, expiry, value, max_entries, max_values)
  local old_expiry, old_code = find(digest)
  if old_code and how == 'add' or not old_code and how == 'touch' then return 0 end
  if number(expiry) <= now then
    if old_code then run.delete(digest) end
    return 1
  end
  local id, renewed
  if how == 'touch' then
    id, renewed = floor(old_code / 2), old_code % 2 == 1
  else
    if not old_code and size() >= tonumber(max_entries) then return 'CacheFull' end
    id = id_of(value)
    if not id and not has_room_for_value(old_code, tonumber(max_values)) then
      return 'TooManyValues'
    end
    renewed = old_code and (old_code % 2 == 1 or number(expiry) > number(old_expiry))
  end
  local bit = renewed and 1 or 0
  if old_expiry == expiry and id and old_code == id * 2 + bit then
    run.probe()
    return 1
  end
  change()
  id = id or name(value)
  place(digest, expiry, id * 2 + bit, old_expiry, old_code)
  return 1
end

function run.get(digest)
  local _, code = find(digest)
  if not code then return false end
  return {code > 1 and call('HGET', VALUES, floor(code / 2)) or ''}
end

function run.delete(digest)
  local expiry, code = find(digest)
  if not code then return 0 end
  leave(digest, expiry, code)
  change()
  return 1
end

-- Return the tally, without the values and the expiries that have not changed since the client knew
-- the number of changes that it names.
function run.tally(known)
  known = tonumber(known)
  local changes, values_changed = unpack(call('HMGET', META, 'changes', 'values_changed'))
  local codes = {}
  for i, expiry in ipairs(live) do
    local changed = tonumber(call('HGET', CHANGED, expiry) or changes)
    codes[i] = {expiry, changed > known and call('HGETALL', tally(expiry))}
  end
  local values = tonumber(values_changed) > known and call('HGETALL', VALUES)
  return {changes, values, call('HGETALL', COUNTS), codes}
end

function run.changes() return call('HGET', META, 'changes') end

function run.since() return call('HGET', META, 'since') end

-- Return what is kept of each past day, unless the client has it.
function run.history(known)
  local changed, days = call('HGET', META, 'history_changed'), {}
  if changed == known then return {changed, false} end
  for i, day in ipairs(call('ZRANGE', CLOSED, 0, -1)) do
    local sealed = call('GET', summary(day))
    days[i] = {day, sealed, not sealed and call('HGETALL', closed(day))}
  end
  return {changed, days}
end

function run.summarize(day, sealed)
  if call('ZSCORE', CLOSED, day) then
    change_history()
    call('UNLINK', closed(day))
    call('SET', summary(day), sealed, 'PXAT', end_of_history(day))
  end
end

-- Fail as a report would.
function run.probe() call('HINCRBY', META, 'changes', 0) end

function run.update() end

function run.clear()
  local changes = change()
  for _, expiry in ipairs(call('ZRANGE', LIVE, 0, -1)) do drop(expiry) end
  forget_days('-inf', '+inf')
  call('UNLINK', unpack(SHARED))
  now = tonumber(ARGV[2])
  begin_counting(changes)
end

update()
return run[ARGV[1]](unpack(ARGV, 5))
