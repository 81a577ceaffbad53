-- Core's arithmetic of limits (counter::* there), for many counters in one call.
--
-- Each key is asked in ten numbers: act, kind, cost, now, at, used, a, b, c, d (counter::numbers). Acts: 0 draws, 1
-- settles, 2 holds on. What is drawn is drawn from all or, when one refuses, from none; the rest each for itself. Five
-- numbers a key come back: whether it was admitted, remaining, reset, retry, at.
--
-- A state is one string of whole numbers; leases are a sorted set, by when they expire. What time it is says the clock of
-- this server, which all who ask have in common, unless the caller names a moment. A state is kept a little longer than
-- it counts, for a clock that is set back a little.

local MAX, LATE, MARGIN, LOOK_AGAIN, DAY = 9007199254740992, 10000, 11000, 1000, 86400000
local PARTS, KEPT = 10, 11
local floor, ceil, max, min = math.floor, math.ceil, math.max, math.min
local call = redis.call

-- The moment of this call, by the clock of this server.
local clock
local function time()
  if not clock then
    -- Servers before 7 may want to be told that what is written depends on it.
    if redis.replicate_commands then redis.replicate_commands() end
    local now = call('TIME')
    clock = tonumber(now[1]) * 1000 + floor(tonumber(now[2]) / 1000)
  end
  return clock
end

local function whole(number) return string.format('%.0f', number) end

-- The moment at which a draw counts, on a state that was last changed at `last`.
local function moment(last, now)
  if now < last and last - now <= LATE then return last end
  return now
end

-- The day of the month, of a day counted from 1970-01-01.
local function day_of_month(day)
  local z = day + 719468
  local doe = z % 146097
  local yoe = floor((doe - floor(doe / 1460) + floor(doe / 36524) - floor(doe / 146096)) / 365)
  local doy = doe - (365 * yoe + floor(yoe / 4) - floor(yoe / 100))
  local mp = floor((5 * doy + 2) / 153)
  return doy - floor((153 * mp + 2) / 5) + 1
end

-- When the window begins and ends in which a moment is; 0 is the length of months.
local function bounds(length, now)
  if length > 0 then
    local begins = now - now % length
    return begins, begins + length
  end
  local day = floor(now / DAY)
  local first = day - day_of_month(day) + 1
  -- 31 days on is one of the first days of the month that follows.
  local next = first + 31
  next = next - day_of_month(next) + 1
  return first * DAY, next * DAY
end

-- Kinds: how a state begins, what is drawn, what is settled, when it can be forgotten.
local kinds = {}

-- Fixed windows: {begins, ends, used}. a: limit, b: length.
local fixed = { new = { 0, 0, 0 } }
kinds[1] = fixed

local function run(s, length, now)
  local at = moment(s[1], now)
  local begins, ends = bounds(length, at)
  if begins ~= s[1] then s[3] = 0 end
  s[1], s[2] = begins, ends
  return at
end

function fixed.draw(s, cost, now, limit, length)
  local at = run(s, length, now)
  -- By subtraction, since a sum may be no longer exact.
  local admitted = limit - s[3] >= cost
  if admitted then s[3] = s[3] + cost end
  local reset = max(s[2] - at, 0)
  local retry = reset
  if admitted then retry = 0 elseif cost > limit then retry = MAX end
  return admitted, max(limit - s[3], 0), reset, retry, at
end

function fixed.settle(s, taken, taken_at, used, now, _, length)
  if used > taken then
    -- Only forward.
    if now >= s[2] then run(s, length, now) end
    s[3] = min(s[3] + (used - taken), MAX)
    return
  end
  local begins, ends = bounds(length, taken_at)
  if begins == s[1] and ends == s[2] then s[3] = max(s[3] - (taken - used), 0) end
end

function fixed.ends(s) return s[2] end

-- Sliding windows: {latest, part, taken in each part}. a: limit, b: length.
local sliding = { new = { 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0 } }
kinds[2] = sliding

local function part_of(window) return max(ceil(window / PARTS), 1) end

local function slide(s, window, now)
  local part = part_of(window)
  local is_anew = part ~= s[2]
  if not is_anew then
    local begins = s[1] * part
    if now < begins then
      if begins - now <= LATE then return begins end
      is_anew = true
    end
  end
  local number = floor(now / part)
  if is_anew then
    for i = 3, 2 + KEPT do s[i] = 0 end
    s[1], s[2] = number, part
    return now
  end
  for new = 1, min(number - s[1], KEPT) do s[3 + (s[1] + new) % KEPT] = 0 end
  s[1] = number
  return now
end

local function leaves_at(s, number, window) return (number + 1) * s[2] + window - 1 end

local function used_at(s, window, at)
  local used = 0
  for number = max(s[1] - PARTS, 0), s[1] do
    if leaves_at(s, number, window) > at then used = used + s[3 + number % KEPT] end
  end
  return used
end

-- Milliseconds until so much has left the window.
local function wait(s, window, at, amount)
  if amount == 0 then return 0 end
  for number = max(s[1] - PARTS, 0), s[1] do
    local leaves = leaves_at(s, number, window)
    if leaves > at then
      amount = amount - s[3 + number % KEPT]
      if amount <= 0 then return leaves - at end
    end
  end
  return window
end

function sliding.draw(s, cost, now, limit, window)
  local at = slide(s, window, now)
  local used = used_at(s, window, at)
  local admitted = limit - used >= cost
  local retry = 0
  if admitted then
    local part = 3 + s[1] % KEPT
    s[part] = s[part] + cost
  elseif cost > limit then
    retry = MAX
  else
    retry = wait(s, window, at, used + cost - limit)
  end
  if admitted then used = used + cost end
  return admitted, max(limit - used, 0), wait(s, window, at, used), retry, at
end

function sliding.settle(s, taken, taken_at, used, now, _, window)
  local is_same = s[2] == part_of(window) or s[2] == 0
  -- Only forward.
  if is_same then slide(s, window, max(now, s[1] * s[2])) end
  if used > taken then
    local part = 3 + s[1] % KEPT
    s[part] = min(s[part] + (used - taken), MAX)
    return
  end
  if not is_same then return end
  local number = floor(taken_at / max(s[2], 1))
  if number >= max(s[1] - PARTS, 0) and number <= s[1] then
    local part = 3 + number % KEPT
    s[part] = max(s[part] - (taken - used), 0)
  end
end

function sliding.ends(s) return leaves_at(s, s[1], s[2] * PARTS) end

-- Token buckets: {missing, at}. a: rate, b: length, c: burst.
local bucket = { new = { 0, 0 } }
kinds[3] = bucket

local function fill(s, rate, now)
  now = moment(s[2], now)
  s[1] = max(s[1] - max(now - s[2], 0) * rate, 0)
  s[2] = now
end

function bucket.draw(s, cost, now, rate, window, burst)
  rate, window = max(rate, 1), max(window, 1)
  fill(s, rate, now)
  local size, wanted = burst * window, cost * window
  s[1] = min(s[1], 2 * size, MAX)
  local admitted = size - s[1] >= wanted
  local retry = 0
  if admitted then
    s[1] = s[1] + wanted
  elseif cost > burst then
    retry = MAX
  else
    retry = ceil((s[1] + wanted - size) / rate)
  end
  return admitted, floor(max(size - s[1], 0) / window), ceil(s[1] / rate), retry, s[2]
end

function bucket.settle(s, taken, taken_at, used, now, rate, window, burst)
  rate, window = max(rate, 1), max(window, 1)
  -- Only forward.
  fill(s, rate, max(now, s[2]))
  if used > taken then
    s[1] = min(s[1] + (used - taken) * window, max(min(2 * burst * window, MAX), s[1]))
    return
  end
  local since = max(s[2] - taken_at, 0) * rate
  s[1] = max(s[1] - max((taken - used) * window - since, 0), 0)
end

function bucket.ends(s, rate) return s[2] + ceil(s[1] / max(rate, 1)) end

-- Leases, in a sorted set. a: limit, b: length of a lease, c: lease.
local leases = {}

local function score(key, command)
  return tonumber(call(command, key, 0, 0, 'WITHSCORES')[2])
end

local function keep(key, now)
  local last = score(key, 'ZREVRANGE')
  if last then call('PEXPIRE', key, whole(last - now + MARGIN)) end
  return last
end

function leases.draw(key, now, limit, length, lease)
  call('ZREMRANGEBYSCORE', key, '-inf', whole(now))
  local held = call('ZCARD', key)
  local admitted = held < limit
  local retry, last = 0
  if admitted then
    call('ZADD', key, whole(now + length), whole(lease))
    held = held + 1
    last = keep(key, now)
  else
    last = score(key, 'ZREVRANGE')
    if limit == 0 then retry = MAX else retry = min(score(key, 'ZRANGE') - now, LOOK_AGAIN) end
  end
  return admitted, max(limit - held, 0), last and last - now or 0, retry, now
end

function leases.settle(key, act, now, length, lease)
  call('ZREMRANGEBYSCORE', key, '-inf', whole(now))
  if act == 2 then
    call('ZADD', key, whole(now + length), whole(lease))
    keep(key, now)
  else
    call('ZREM', key, whole(lease))
  end
end

-- What is left, and how long until all is there again.
function leases.look(key, now, limit)
  local last = score(key, 'ZREVRANGE')
  return max(limit - call('ZCOUNT', key, '(' .. whole(now), '+inf'), 0), max((last or 0) - now, 0)
end

-- The call itself. Each state is read once and, where it has changed, written once.
local states, texts, lasts = {}, {}, {}

local function state(key, kind)
  local s = states[key]
  if s then return s end
  s = {}
  local text = call('GET', key)
  if text then
    texts[key] = text
    for number in string.gmatch(text, '%d+') do s[#s + 1] = tonumber(number) end
  end
  if #s ~= #kind.new then s = { unpack(kind.new) } end
  states[key] = s
  return s
end

-- Asked about nothing, it is to show that it can be asked.
if #KEYS == 0 then time() end

local asked, quotas, is_refused, seen, repeats = {}, {}, false, {}, false
for i, key in ipairs(KEYS) do
  repeats = repeats or seen[key]
  seen[key] = true
  local n = {}
  for j = 1, 10 do n[j] = tonumber(ARGV[10 * (i - 1) + j]) end
  n[4] = n[4] or time()
  local act, kind, cost, now, at, used, a, b, c = unpack(n)
  asked[i] = n
  local q
  if kind == 4 then
    if act == 0 then
      q = { leases.draw(key, now, a, b, c) }
    else
      leases.settle(key, act, now, b, c)
      local remaining, reset = leases.look(key, now, a)
      q = { true, remaining, reset, 0, now }
    end
  else
    local k = kinds[kind]
    local s = state(key, k)
    lasts[key] = n
    if act == 0 then
      q = { k.draw(s, cost, now, a, b, c) }
    else
      if act == 1 then k.settle(s, cost, at, used, now, a, b, c) end
      local _, remaining, reset = k.draw({ unpack(s) }, 0, now, a, b, c)
      q = { true, remaining, reset, 0, now }
    end
  end
  quotas[i] = q
  is_refused = is_refused or not q[1]
end

if is_refused and #KEYS > 1 then
  for i, key in ipairs(KEYS) do
    local n, q = asked[i], quotas[i]
    if n[1] == 0 and q[1] then
      if n[2] == 4 then
        leases.settle(key, 1, n[4], n[8], n[9])
      else
        kinds[n[2]].settle(states[key], n[3], q[5], 0, n[4], n[7], n[8], n[9])
      end
    end
  end
end

-- Only now: two draws may have named one counter.
if #KEYS > 1 and (is_refused or repeats) then
  for i, key in ipairs(KEYS) do
    local n, q = asked[i], quotas[i]
    if n[1] == 0 then
      if n[2] == 4 then
        q[2], q[3] = leases.look(key, n[4], n[7])
      else
        local _, remaining, reset = kinds[n[2]].draw({ unpack(states[key]) }, 0, n[4], n[7], n[8], n[9])
        q[2], q[3] = remaining, reset
      end
    end
  end
end

for key, s in pairs(states) do
  local text = string.format(string.rep('%.0f ', #s), unpack(s))
  if text ~= texts[key] then
    local n = lasts[key]
    local left = max(kinds[n[2]].ends(s, n[7]) - n[4], 0)
    call('SET', key, text, 'PX', whole(left + MARGIN))
  end
end

local answer = {}
for i, q in ipairs(quotas) do
  local first = 5 * (i - 1)
  answer[first + 1] = q[1] and 1 or 0
  for j = 2, 5 do answer[first + j] = q[j] end
end
return answer
