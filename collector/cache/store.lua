-- Performs one operation on a cache; redis.py describes the keys. The server runs a script without
-- other commands in between. When the server has reached `maxmemory`, it refuses only the first
-- write of a script, and only if that write needs memory. It never refuses a later write, so a
-- script that was refused has changed nothing.
--
-- KEYS[1] is the prefix of every key of a cache, and the other KEYS are those of its sections. ARGV
-- has the name of the operation, the time, GRANULARITY, HISTORY, and the arguments of the operation.
-- Moments are in POSIX seconds; an expiry of "inf" means never.
local call, floor = redis.call, math.floor
local period, periods = tonumber(ARGV[3]), tonumber(ARGV[4])
local SECTIONS = KEYS[1] .. 'sections' -- the names of those that may have keys
-- The names of the keys and the time for the cache or section that is in use; see `use`.
local prefix, now, META, LIVE, CLOSED, IDS, VALUES, COUNTS
-- The clocks of several hosts differ a little: one that is this far behind does not reopen a
-- period.
local SLACK = 60
local live -- the expiries of the live keys, the earliest first

local function records(expiry) return prefix .. 'records:' .. expiry end
local function tally(expiry) return prefix .. 'tally:' .. expiry end
local function history(start) return prefix .. 'history:' .. start end
local function number(expiry) return expiry == 'inf' and math.huge or tonumber(expiry) end
local function text(moment) return string.format('%.17g', moment) end
local function milliseconds(moment) return string.format('%.0f', math.ceil(moment * 1000)) end
local function start_of(moment) return floor(moment / period) * period end

-- Return the number of this change, which is the same in all of one run.
local number_of_run
local function change()
  number_of_run = number_of_run or call('HINCRBY', META, 'changes', 1)
  return number_of_run
end

local function changes() return tonumber(call('HGET', META, 'changes')) end

local function each_pair(flat)
  local i = -1
  return function()
    i = i + 2
    return flat[i], flat[i + 1]
  end
end

-- Several expiries share these keys. Keep them after the last record has expired, for as long as
-- the history lasts: the next operation, however late, computes the tally of the past period.
local function keep_until(moment)
  local last = math.max(moment, number(call('HGET', META, 'last') or '0'))
  if last <= now then return end -- everything has expired, and what is set next calls this again
  call('HSET', META, 'last', last == math.huge and 'inf' or text(last))
  local keys = {META, LIVE, CLOSED, IDS, VALUES, COUNTS}
  if prefix == KEYS[1] then table.insert(keys, SECTIONS) end
  for _, expiry in ipairs(call('ZRANGE', LIVE, 0, -1)) do table.insert(keys, tally(expiry)) end
  for _, key in ipairs(keys) do
    if last == math.huge then
      call('PERSIST', key)
    else
      call('PEXPIREAT', key, milliseconds(last + (periods + 1) * period))
    end
  end
end

-- Prepare for the first record with this expiry. The server itself deletes the records on time.
local function open(expiry)
  call('ZADD', LIVE, expiry, expiry)
  if expiry ~= 'inf' then
    call('PEXPIREAT', records(expiry), milliseconds(expiry))
    local began, longest = unpack(call('HMGET', META, 'began', 'longest'))
    local length = number(expiry) - (began or 0)
    if length > tonumber(longest or 0) then call('HSET', META, 'longest', text(length)) end
  end
  keep_until(number(expiry))
end

local function add(hash, field, by)
  local sum = call('HINCRBY', hash, field, by)
  if sum <= 0 then call('HDEL', hash, field) end
  return sum
end

-- Count more live keys with this value, or fewer, and forget a value that no live key has.
local function count_value(id, by)
  if add(COUNTS, id, by) > 0 then return end
  local value = call('HGET', VALUES, id)
  if value then
    call('HDEL', VALUES, id)
    call('HDEL', IDS, value)
    call('HSET', META, 'values', change())
  end
end

-- A code is the id of a value, doubled, and one more if the key was renewed. The id of None is 0.
local function count(expiry, code, by)
  add(tally(expiry), code, by)
  call('HSET', META, 'tally:' .. expiry, change())
  count_value(floor(code / 2), by)
end

local function drop(expiry)
  call('UNLINK', records(expiry), tally(expiry))
  call('ZREM', LIVE, expiry)
  call('HDEL', META, 'tally:' .. expiry)
end

local function leave(digest, expiry, code)
  call('HDEL', records(expiry), digest)
  count(expiry, code, -1)
  if call('EXISTS', records(expiry)) == 0 then drop(expiry) end
end

-- Hide the position of a key in a section. The server keeps the fields of a small hash in the order in
-- which they were set. If two sections did the same, their keys could be matched by their positions.
local SMALL = 512
local function mix(key)
  for _ = 1, 3 do
    local size = call('HLEN', key)
    if size < 2 or size > SMALL then return end
    local digest = call('HRANDFIELD', key)
    local code = call('HGET', key, digest)
    call('HDEL', key, digest)
    call('HSET', key, digest, code)
  end
end

-- Put a key where it belongs before it leaves the place where it was, or the store might forget a
-- value in between.
local function place(digest, expiry, code, old_expiry, old_code)
  local first = call('EXISTS', records(expiry)) == 0
  call('HSET', records(expiry), digest, code)
  if prefix ~= KEYS[1] then mix(records(expiry)) end
  count(expiry, code, 1)
  if first then open(expiry) end
  if old_expiry == expiry then
    count(expiry, old_code, -1)
  elseif old_expiry then
    leave(digest, old_expiry, old_code)
  end
end

local function pack_tally()
  local cohorts = {}
  for i, expiry in ipairs(call('ZRANGE', LIVE, 0, -1)) do
    cohorts[i] = {expiry, table.concat(call('HGETALL', tally(expiry)), ' ')}
  end
  return cmsgpack.pack({call('HGETALL', VALUES), cohorts})
end

local function forget_history(first, last)
  for _, start in ipairs(call('ZRANGEBYSCORE', CLOSED, first, last)) do
    call('UNLINK', history(start))
    call('ZREM', CLOSED, start)
  end
end

local function close(start)
  call('HSET', history(start), 'tally', pack_tally())
  call('PEXPIREAT', history(start), milliseconds(start + (periods + 1) * period))
  call('ZADD', CLOSED, start, text(start))
end

-- The clock went back. Forget the periods that have not ended by the new time, and shorten each
-- expiry that is later than a key set now could have.
local function go_back(today)
  forget_history(today, '+inf')
  local latest = today + tonumber(call('HGET', META, 'longest') or 0)
  for _, expiry in ipairs(call('ZRANGEBYSCORE', LIVE, '(' .. text(latest), '(inf')) do
    local cursor, found = '0', nil
    repeat
      cursor, found = unpack(call('HSCAN', records(expiry), cursor, 'COUNT', 1000))
      for digest, code in each_pair(found) do call('HSET', records(text(latest)), digest, code) end
    until cursor == '0'
    for code, size in each_pair(call('HGETALL', tally(expiry))) do
      count(text(latest), code, size)
      count(expiry, code, -size)
    end
    drop(expiry)
    open(text(latest))
  end
end

local function begin_period(today, before)
  call('ZREM', CLOSED, '') -- needs no memory, so that reads work even when the store is full
  call('HSET', META, 'turned', change(), 'began', text(today))
  if today < before then
    go_back(today)
  elseif periods > 0 then
    close(before)
    forget_history('-inf', '(' .. text(today - periods * period))
  end
  keep_until(today + period)
end

local function begin(change_number)
  local number = text(change_number)
  call('HSET', META, 'changes', number, 'values', number, 'turned', number, 'since', text(now))
  if period > 0 then
    call('HSET', META, 'began', text(start_of(now)))
    keep_until(start_of(now) + period)
  end
end

-- Close the period that is over, and forget the keys that have expired.
local function expire()
  local since, began = unpack(call('HMGET', META, 'since', 'began'))
  if not since then
    begin(floor(now * 1000000)) -- larger than any number of a store that was lost
  elseif now < since - SLACK then
    call('HSET', META, 'since', text(now))
  end
  began = tonumber(began)
  if began then
    if began - SLACK <= now and now < began then now = began end
    if start_of(now) ~= began then begin_period(start_of(now), began) end
  end
  live = call('ZRANGE', LIVE, 0, -1)
  while live[1] and number(live[1]) <= now do
    local expiry = table.remove(live, 1)
    local codes = call('HGETALL', tally(expiry))
    drop(expiry)
    change()
    for code, size in each_pair(codes) do count_value(floor(code / 2), -size) end
  end
end

-- Most instances report every day, so most keys are found under the latest expiries.
local function find(digest)
  for i = #live, 1, -1 do
    local code = call('HGET', records(live[i]), digest)
    if code then return live[i], tonumber(code) end
  end
end

local function is_full(max_entries)
  local size = 0
  for _, expiry in ipairs(live) do size = size + call('HLEN', records(expiry)) end
  return size >= max_entries
end

local function id_of(value)
  if value == '' then return 0 end
  return tonumber(call('HGET', IDS, value))
end

local function has_room_for_value(old_code, max_values)
  local values = call('HLEN', VALUES)
  if values < max_values then return true end
  local old_id = floor((old_code or 0) / 2)
  return values == max_values and old_id > 0 and call('HGET', COUNTS, old_id) == '1'
end

local function new_id(value)
  local id = call('HINCRBY', META, 'ids', 1)
  call('HSET', IDS, value, id)
  call('HSET', VALUES, id, value)
  call('HSET', META, 'values', change())
  keep_until(0)
  return id
end

local run = {}

-- Return 1 if the key was set, also with an expiry in the past, which deletes it; 0 if it was not;
-- or the name of the refusal.
function run.put(how, digest, expiry, value, max_entries, max_values)
  local old_expiry, old_code = find(digest)
  if how == 'add' and old_code or how == 'touch' and not old_code then return 0 end
  if number(expiry) <= now then
    if old_code then run.delete(digest) end
    return 1
  end
  local id, renewed
  if how == 'touch' then
    id, renewed = floor(old_code / 2), old_code % 2 == 1
  else
    if not old_code and is_full(tonumber(max_entries)) then return 'CacheFull' end
    id = id_of(value)
    if not id and not has_room_for_value(old_code, tonumber(max_values)) then
      return 'TooManyValues'
    end
    renewed = old_code and (old_code % 2 == 1 or number(expiry) > number(old_expiry))
  end
  local bit = renewed and 1 or 0
  if old_expiry == expiry and id and old_code == id * 2 + bit then
    run.probe()
  else
    place(digest, expiry, (id or new_id(value)) * 2 + bit, old_expiry, old_code)
  end
  return 1
end

function run.get(digest)
  local _, code = find(digest)
  if not code then return false end
  return code > 1 and call('HGET', VALUES, floor(code / 2)) or ''
end

function run.delete(digest)
  local expiry, code = find(digest)
  if not code then return 0 end
  leave(digest, expiry, code)
  return 1
end

-- Return the number of the last change, then the values and the tally of each expiry, or false
-- instead of those that have not changed since the change with the number `known`.
function run.tally(known)
  known = tonumber(known)
  local cohorts = {}
  for i, expiry in ipairs(live) do
    local changed = tonumber(call('HGET', META, 'tally:' .. expiry)) > known
    cohorts[i] = {expiry, changed and table.concat(call('HGETALL', tally(expiry)), ' ')}
  end
  local values = tonumber(call('HGET', META, 'values')) > known and call('HGETALL', VALUES)
  return {changes(), values, cohorts}
end

function run.changes() return changes() end

function run.since() return call('HGET', META, 'since') end

-- Return the number of the last change of the history, and the periods; false if `known` is that
-- number.
function run.history(known)
  local turned, closed = call('HGET', META, 'turned'), {}
  if turned == known then return {turned, false} end
  for _, start in ipairs(call('ZRANGE', CLOSED, 0, -1)) do
    local packed, summary = unpack(call('HMGET', history(start), 'tally', 'summary'))
    if packed or summary then -- the server may have dropped it a moment early
      table.insert(closed, {start, summary, packed and cmsgpack.unpack(packed)})
    end
  end
  return {turned, closed}
end

function run.summarize(start, summary)
  if call('EXISTS', history(start)) == 0 then return end
  call('HSET', META, 'turned', change())
  call('HSET', history(start), 'summary', summary)
  call('HDEL', history(start), 'tally')
end

-- Fail where a report would fail.
function run.probe() call('HINCRBY', META, 'changes', 0) end

function run.expire() end

function run.clear()
  local number = change()
  for _, expiry in ipairs(call('ZRANGE', LIVE, 0, -1)) do drop(expiry) end
  forget_history('-inf', '+inf')
  call('UNLINK', META, LIVE, CLOSED, IDS, VALUES, COUNTS)
  if prefix == KEYS[1] then call('UNLINK', SECTIONS) end
  now = tonumber(ARGV[2])
  begin(number)
end

function run.sections() return call('SMEMBERS', SECTIONS) end

local function use(of)
  if of == prefix then return end
  prefix, now, number_of_run = of, tonumber(ARGV[2]), nil
  META, LIVE, CLOSED = prefix .. 'meta', prefix .. 'live', prefix .. 'closed'
  IDS, VALUES, COUNTS = prefix .. 'ids', prefix .. 'values', prefix .. 'counts'
  expire()
end

local function name_of(section) return (section:sub(#KEYS[1] + 1, -2)) end

-- Return the names of the sections that have keys in the store, but are not in use by this run.
local function other_sections()
  local used, others = {}, {}
  for i = 2, #KEYS do used[KEYS[i]] = true end
  for _, section in ipairs(call('SMEMBERS', SECTIONS)) do
    if not used[KEYS[1] .. section .. ':'] then table.insert(others, section) end
  end
  return others
end

-- Put a key, and put or delete it in the sections. `sections` has a digest and a value for each of
-- them; an empty value deletes the key. Return the answer of `put`, then the other sections.
function run.put_all(digest, expiry, value, max_entries, max_values, ...)
  local answer = run.put('set', digest, expiry, value, max_entries, max_values)
  if answer ~= 1 then return {answer} end
  local sections, set = {...}, {}
  for i = 2, #KEYS do
    use(KEYS[i])
    local digest, value = sections[2 * i - 3], sections[2 * i - 2]
    if value == '' then
      run.delete(digest)
      if call('ZCARD', LIVE) == 0 then call('SREM', SECTIONS, name_of(KEYS[i])) end
    else
      run.put('set', digest, expiry, value, math.huge, math.huge)
      table.insert(set, name_of(KEYS[i]))
    end
  end
  use(KEYS[1])
  if set[1] and call('SADD', SECTIONS, unpack(set)) > 0 then keep_until(0) end
  return {answer, unpack(other_sections())}
end

-- Delete a key from the cache and from the sections. Return the answer, then the other sections.
function run.delete_all(...)
  local digests, answers = {...}, {}
  for i, key in ipairs(KEYS) do
    use(key)
    answers[i] = run.delete(digests[i])
  end
  return {answers[1], unpack(other_sections())}
end

-- Return the answers of the cache and its sections to an operation with one argument for each.
function run.each(operation, ...)
  local arguments, answers = {...}, {}
  for i, key in ipairs(KEYS) do
    use(key)
    answers[i] = run[operation](arguments[i]) or false
  end
  return answers
end

use(KEYS[1])
return run[ARGV[1]](unpack(ARGV, 5))
