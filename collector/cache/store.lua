-- One operation on a cache, whole or not at all; see redis.py for what is kept under which key.
-- KEYS[1] is the prefix of every key. ARGV: what to do, the time, GRANULARITY, HISTORY, and what it
-- is done with. The time and every expiry are POSIX seconds; "inf": never.
local call, floor = redis.call, math.floor
local prefix, now = KEYS[1], tonumber(ARGV[2])
local period, kept = tonumber(ARGV[3]), tonumber(ARGV[4])
local META, LIVE, CLOSED = prefix .. 'meta', prefix .. 'live', prefix .. 'closed'
local IDS, VALUES = prefix .. 'ids', prefix .. 'values'
local COUNTS, ENDS = prefix .. 'counts', prefix .. 'ends'
local SHARED = {META, LIVE, CLOSED, IDS, VALUES, COUNTS, ENDS}
-- The clocks of several hosts differ a little: one this far behind does not turn back the day.
local SLACK = 60

local function records(expiry) return prefix .. 'records:' .. expiry end
local function tally(expiry) return prefix .. 'tally:' .. expiry end
local function history(day) return prefix .. 'history:' .. day end
local function raw(day)
  return {prefix .. 'values:' .. day, prefix .. 'counts:' .. day, prefix .. 'ends:' .. day}
end
local function number(expiry) return expiry == 'inf' and math.huge or tonumber(expiry) end
local function text(moment) return string.format('%.17g', moment) end
local function milliseconds(moment) return string.format('%.0f', math.ceil(moment * 1000)) end
local function start(moment) return floor(moment / period) * period end

-- Of a script that is refused for lack of memory, nothing is done: Redis refuses only the first
-- command that writes, so what takes memory begins with this one, which takes some.
local function change() return call('HINCRBY', META, 'changes', 1) end

local function change_values() call('HSET', META, 'named', change()) end

local function add(hash, field, by)
  local sum = call('HINCRBY', hash, field, by)
  if sum == 0 then call('HDEL', hash, field) end
  return sum
end

-- What is shared outlives the records by as long as their closing tally is kept.
local function keep_until(expiry)
  local last = number(call('HGET', META, 'last') or '0')
  if last == math.huge then return end
  if expiry == math.huge then
    call('HSET', META, 'last', 'inf')
    for _, key in ipairs(SHARED) do call('PERSIST', key) end
    return
  end
  last = math.max(last, expiry)
  if last <= now then return end  -- nothing is live; what comes now opens another expiry
  call('HSET', META, 'last', text(last))
  for _, key in ipairs(SHARED) do
    call('PEXPIREAT', key, milliseconds(last + (kept + 1) * period))
  end
end

-- The first key of an expiry: record and count get it from the server, which needs no sweeper.
local function open(expiry)
  call('ZADD', LIVE, expiry, expiry)
  if expiry ~= 'inf' then
    call('PEXPIREAT', records(expiry), milliseconds(expiry))
    call('PEXPIREAT', tally(expiry), milliseconds(expiry))
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
  local id, renewed = floor(code / 2), code % 2
  add(tally(expiry), code, by)
  add(ENDS, expiry .. '|' .. renewed, by)
  if add(COUNTS, id, by) == 0 then forget_value(id) end
end

local function leave(digest, expiry, code)
  call('HDEL', records(expiry), digest)
  count(expiry, code, -1)
  if call('EXISTS', records(expiry)) == 0 then call('ZREM', LIVE, expiry) end
end

-- Put a key where it belongs, before it leaves where it was: a value must not be forgotten between.
local function place(digest, expiry, code, there, old)
  call('HSET', records(expiry), digest, code)
  count(expiry, code, 1)
  if call('HLEN', records(expiry)) == 1 then open(expiry) end
  if there == expiry then
    count(there, old, -1)
  elseif there then
    leave(digest, there, old)
  end
end

-- What has expired is no longer in the tallies: count what is.
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
  call('HDEL', ENDS, expiry .. '|0', expiry .. '|1')
end

local function forget_days(first, last)
  for _, each in ipairs(call('ZRANGEBYSCORE', CLOSED, first, last)) do
    call('UNLINK', history(each), unpack(raw(each)))
    call('ZREM', CLOSED, each)
  end
end

-- The closing tally is kept as it is; what SUMMARY makes of it is written by who reads it first.
local function close(day)
  for i, key in ipairs({VALUES, COUNTS, ENDS}) do
    call('COPY', key, raw(day)[i], 'REPLACE')
    call('PEXPIREAT', raw(day)[i], milliseconds(day + (kept + 1) * period))
  end
  call('ZADD', CLOSED, day, text(day))
end

local function move_all(expiry, later)
  local cursor = '0'
  repeat
    local found = call('HSCAN', records(expiry), cursor, 'COUNT', 1000)
    cursor = found[1]
    for i = 1, #found[2], 2 do call('HSET', records(later), found[2][i], found[2][i + 1]) end
  until cursor == '0'
  local codes = call('HGETALL', tally(expiry))
  for i = 1, #codes, 2 do
    add(tally(later), codes[i], codes[i + 1])
    add(ENDS, later .. '|' .. codes[i] % 2, codes[i + 1])
  end
  drop(expiry)
end

-- The clock went back: what was not over is not closed, and nothing lives longer than if it were
-- set now.
local function go_back(today)
  forget_days(today, '+inf')
  local latest = today + tonumber(call('HGET', META, 'longest') or 0)
  local moved = call('ZRANGEBYSCORE', LIVE, '(' .. text(latest), '(inf')
  for _, expiry in ipairs(moved) do move_all(expiry, text(latest)) end
  if #moved > 0 then open(text(latest)) end
end

local function turn(began, today)
  call('ZREM', CLOSED, '')  -- a write that needs no memory comes first; see `change`
  call('HSET', META, 'turned', change())
  if today < began then
    go_back(today)
  elseif kept > 0 then
    close(began)
    forget_days('-inf', '(' .. text(today - kept * period))
  end
  call('HSET', META, 'began', text(today))
  keep_until(today + period)
end

local function begin(changes)
  call('HSET', META, 'changes', changes, 'since', text(now))
  call('HSET', META, 'turned', changes, 'named', changes)
end

-- HISTORY is another: what is closed is kept for as long as if it always had been.
local function keep_days()
  call('HSET', META, 'turned', change(), 'kept', kept)
  forget_days('-inf', '(' .. text(start(now) - kept * period))
  for _, day in ipairs(call('ZRANGE', CLOSED, 0, -1)) do
    for _, key in ipairs({history(day), unpack(raw(day))}) do
      call('PEXPIREAT', key, milliseconds(day + (kept + 1) * period))
    end
  end
end

local live  -- the expiries after `expire`, the earliest first

-- Bring everything to the present.
local function expire()
  local was, began, since, told = unpack(call('HMGET', META, 'period', 'began', 'since', 'kept'))
  if not since then
    -- No number that an earlier store, now lost, has told.
    begin(string.format('%.0f', now * 1000000))
  elseif now < since - SLACK then
    call('HSET', META, 'since', text(now))
  end
  if period > 0 and told ~= ARGV[4] then keep_days() end
  if period > 0 and was ~= ARGV[3] then
    began = false
    call('HSET', META, 'period', ARGV[3], 'began', text(start(now)))
    keep_until(start(now) + period)
  end
  period = period > 0 and period or tonumber(was or 0)
  began = tonumber(began)
  if began and began - SLACK <= now and now < began then now = began end
  if began and start(now) ~= began then turn(began, start(now)) end
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

-- Where a live key is, the latest expiry first: most report every day.
local function find(digest)
  for i = #live, 1, -1 do
    local code = call('HGET', records(live[i]), digest)
    if code then return live[i], tonumber(code) end
  end
end

local function size()
  local sum = 0
  for _, expiry in ipairs(live) do
    sum = sum + call('HLEN', records(expiry))
  end
  return sum
end

local function id_of(value) return value == '' and 0 or tonumber(call('HGET', IDS, value) or nil) end

local function has_room(old, max_values)
  local values = call('HLEN', VALUES)
  if values < max_values then return true end
  local id = old and floor(old / 2) or 0
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

-- 1: it was set, or would have been but for its expiry; 0: not. A refusal is its name.
function run.put(how, digest, expiry, value, max_entries, max_values, seen)
  local there, old = find(digest)
  if old and how == 'add' or not old and (how == 'touch' or how == 'swap') then return 0 end
  if how == 'swap' then
    if old ~= tonumber(seen) then return 'changed' end
    expiry = there
  end
  if number(expiry) <= now then
    if old then run.delete(digest) end
    return 1
  end
  local id, renewed
  if how == 'touch' then
    id, renewed = floor(old / 2), old % 2 == 1
  else
    if not old and size() >= tonumber(max_entries) then return 'CacheFull' end
    id = id_of(value)
    if not id and not has_room(old, tonumber(max_values)) then return 'TooManyValues' end
    renewed = old and (old % 2 == 1 or number(expiry) > number(there))
  end
  local bit = renewed and 1 or 0
  if there == expiry and id and old == id * 2 + bit then
    run.probe()
    return 1
  end
  change()
  id = id or name(value)
  place(digest, expiry, id * 2 + bit, there, old)
  return 1
end

function run.get(digest)
  local expiry, code = find(digest)
  if not code then return false end
  return {code, code > 1 and call('HGET', VALUES, floor(code / 2)) or ''}
end

function run.delete(digest)
  local expiry, code = find(digest)
  if not code then return 0 end
  leave(digest, expiry, code)
  change()
  return 1
end

function run.rename(digest, other)
  local expiry, code = find(digest)
  if not code then return 0 end
  if digest == other then return 1 end
  change()
  place(other, expiry, code, find(other))
  leave(digest, expiry, code)
  return 1
end

-- Values only if they are others than those known.
local function values(known)
  local named = call('HGET', META, 'named')
  return named, named ~= known and call('HGETALL', VALUES)
end

function run.tally(known)
  local rows = {}
  for _, expiry in ipairs(live) do
    table.insert(rows, {expiry, call('HGETALL', tally(expiry))})
  end
  local named, unknown = values(known)
  return {named, unknown, rows}
end

function run.totals(known)
  local named, unknown = values(known)
  return {named, unknown, call('HGETALL', COUNTS), call('HGETALL', ENDS)}
end

function run.changes() return tonumber(call('HGET', META, 'changes')) end

function run.since() return call('HGET', META, 'since') end

function run.history(known)
  local turned, days = call('HGET', META, 'turned'), {}
  if turned == known then return {turned, false} end
  for _, day in ipairs(call('ZRANGE', CLOSED, 0, -1)) do
    local made, sums = call('GET', history(day)), {}
    for i, key in ipairs(made and {} or raw(day)) do sums[i] = call('HGETALL', key) end
    table.insert(days, {day, made, sums})
  end
  return {turned, days}
end

function run.summed(day, made)
  if call('ZSCORE', CLOSED, day) and call('EXISTS', history(day)) == 0 then
    call('UNLINK', unpack(raw(day)))
    call('SET', history(day), made, 'PXAT', milliseconds(day + (kept + 1) * period))
  end
end

-- Fails as a report would.
function run.probe() call('HINCRBY', META, 'changes', 0) end

function run.expire() end

function run.clear()
  local changes = change()
  for _, expiry in ipairs(call('ZRANGE', LIVE, 0, -1)) do drop(expiry) end
  forget_days('-inf', '+inf')
  call('UNLINK', unpack(SHARED))
  now, period = tonumber(ARGV[2]), tonumber(ARGV[3])
  begin(changes)
  if period > 0 then
    call('HSET', META, 'period', text(period), 'began', text(start(now)))
    keep_until(start(now) + period)
  end
end

expire()
return run[ARGV[1]](unpack(ARGV, 5))
