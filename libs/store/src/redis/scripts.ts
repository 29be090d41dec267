/**
 * The Redis driver's scripts. Each is one atomic step; with `appendfsync always` it is on disk when it answers.
 *
 * Keys, all under the prefix P:
 *   P n                 the newest revision
 *   P meta              hash: epoch, floor (of compaction), run (the server's run id), reaped (when leases were last looked at, ms)
 *   P r:<collection>    hash: key → "created version lease value"
 *   P i:<collection>    sorted set of its keys, for listing in byte order
 *   P c                 sorted set of the collections that hold records
 *   P log               stream, one entry a script: id <newest n>-0, field `changes` (log-codec.ts), or `epoch` where one begins
 *   P leases            sorted set: lease → deadline, ms of the server's clock; P ttl  hash: lease → ms
 *   P l:<lease>         sorted set of "collection\0key" that live with it
 *
 * Redis refuses a script for lack of memory at its first write or not at all, so none is left half done.
 */

const READING = String.raw`
local P = KEYS[1]
local call = redis.call
local function revision() return tonumber(call('GET', P .. 'n') or '0') end
local function epoch() return call('HGET', P .. 'meta', 'epoch') end
local function head(collection, key)
  local packed = call('HGET', P .. 'r:' .. collection, key)
  if not packed then return nil end
  local created, version, lease = string.match(packed, '^(%d+) (%d+) (%S*)')
  return {created = tonumber(created), version = tonumber(version), lease = lease, packed = packed}
end
`;

// What was emptied while it was in use is not written to as if nothing had been there: who comes back is admitted anew.
const KNOWN = READING + String.raw`
if not epoch() then return redis.error_reply('FORGOT the server was emptied') end
`;

const WRITING = String.raw`
local changes, first, N = {}, revision(), nil
N = first

local function put(n, collection, key, value, lease, before)
  N = n
  local created = before and before.created or n
  if not before then
    call('ZADD', P .. 'i:' .. collection, 0, key)
    call('ZADD', P .. 'c', 0, collection)
  elseif before.lease ~= '' and before.lease ~= lease then
    call('ZREM', P .. 'l:' .. before.lease, collection .. '\0' .. key)
  end
  if lease ~= '' then call('ZADD', P .. 'l:' .. lease, 0, collection .. '\0' .. key) end
  call('HSET', P .. 'r:' .. collection, key, created .. ' ' .. n .. ' ' .. lease .. ' ' .. value)
  changes[#changes + 1] = n .. '\31' .. collection .. '\31' .. key .. '\31' .. value .. '\31' .. created .. '\31' .. lease
end

local function delete(n, collection, key, before)
  N = n
  if before.lease ~= '' then call('ZREM', P .. 'l:' .. before.lease, collection .. '\0' .. key) end
  call('HDEL', P .. 'r:' .. collection, key)
  call('ZREM', P .. 'i:' .. collection, key)
  if call('EXISTS', P .. 'i:' .. collection) == 0 then call('ZREM', P .. 'c', collection) end
  changes[#changes + 1] = n .. '\31' .. collection .. '\31' .. key
end

local function raiseFloor(n)
  if n <= tonumber(call('HGET', P .. 'meta', 'floor') or '0') then return end
  call('HSET', P .. 'meta', 'floor', n)
  call('XTRIM', P .. 'log', 'MINID', '=', (n + 1) .. '-0')
end

-- The floor is raised in steps of 1,000, so that trimming is neither frequent nor much at once.
local function finish(retain)
  if #changes == 0 then return end
  call('SET', P .. 'n', N)
  call('XADD', P .. 'log', N .. '-0', 'changes', table.concat(changes, '\30'))
  if math.floor(N / 1000) > math.floor(first / 1000) and N > retain then raiseFloor(N - retain) end
end
`;

const LEASES = String.raw`
local function now()
  local t = call('TIME')
  return t[1] * 1000 + math.floor(t[2] / 1000)
end

-- One that an election is won under keeps the deadline it had, if this clock may be believed: its holder stopped leading by
-- its own clock, and one that missed that is refused by its fence. Only who comes back would wait for it.
local function restartLeases(at)
  for _, id in ipairs(call('ZRANGE', P .. 'leases', 0, -1)) do
    local deadline = at + call('HGET', P .. 'ttl', id)
    local leads = #call('ZRANGEBYLEX', P .. 'l:' .. id, '[elections\0', '(elections\1', 'LIMIT', 0, 1) > 0
    if leads then deadline = math.min(deadline, tonumber(call('ZSCORE', P .. 'leases', id))) end
    call('ZADD', P .. 'leases', deadline, id)
  end
  call('HSET', P .. 'meta', 'reaped', at)
end
`;

const ENDING_LEASES = String.raw`
local function endLease(n, id)
  for _, member in ipairs(call('ZRANGE', P .. 'l:' .. id, 0, -1)) do
    local collection, key = string.match(member, '^(%Z+)%z(.*)$')
    local before = head(collection, key)
    if before then delete(n, collection, key, before) end
  end
  call('DEL', P .. 'l:' .. id)
  call('ZREM', P .. 'leases', id)
  call('HDEL', P .. 'ttl', id)
end
`;

// Readers see the entry; from there on nothing older can be watched.
const EPOCHS = String.raw`
local function beginEpoch(n, id)
  call('SET', P .. 'n', n)
  call('XADD', P .. 'log', n .. '-0', 'epoch', id)
  call('HSET', P .. 'meta', 'epoch', id, 'floor', n)
  call('XTRIM', P .. 'log', 'MINID', '=', n .. '-0')
end
`;

const texts = {
  /**
   * ARGV: run id, epoch to begin if one must be, last seen epoch and n. Another server, or one that knows less than was
   * seen, begins an epoch; its n leaps, so that no version of lost writes is ever given out twice.
   */
  admit: READING + LEASES + EPOCHS + String.raw`
local run, fresh, seenEpoch, seenN = ARGV[1], ARGV[2], ARGV[3], tonumber(ARGV[4])
local meta = call('HMGET', P .. 'meta', 'epoch', 'run')
if not meta[1] then
  if seenN > 0 then beginEpoch(seenN + 1000000, fresh) end
  call('HSET', P .. 'meta', 'epoch', fresh, 'floor', revision(), 'run', run, 'reaped', now())
elseif meta[2] ~= run or (meta[1] == seenEpoch and revision() < seenN) then
  beginEpoch(revision() + 1000000, fresh)
  call('HSET', P .. 'meta', 'run', run)
  restartLeases(now())
end
return {epoch(), revision()}`,

  /**
   * ARGV: retain, then for each transaction: fence's election ('' for none) and revision, number of comparisons, of writes,
   * {collection, key, version}…, {op, collection, key, value, lease}…. Answers the epoch and for each transaction n, or a
   * refusal.
   */
  transact: KNOWN + WRITING + String.raw`
local function transact(at)
  local comparisons, writes = tonumber(ARGV[at + 2]), tonumber(ARGV[at + 3])
  local from = at + 4
  local write = from + comparisons * 3
  local after = write + writes * 5
  if ARGV[at] ~= '' then
    local election = head('elections', ARGV[at])
    if not election or election.created ~= tonumber(ARGV[at + 1]) then return {'fenced', N}, after end
  end
  local heads, conflicts = {}, {}
  for index = 0, comparisons - 1 do
    local collection, key = ARGV[from + index * 3], ARGV[from + index * 3 + 1]
    local found = head(collection, key)
    heads[collection .. '\0' .. key] = found or false
    local version = found and found.version or 0
    if version ~= tonumber(ARGV[from + index * 3 + 2]) then
      conflicts[#conflicts + 1] = index
      conflicts[#conflicts + 1] = version
    end
  end
  if #conflicts > 0 then return {'conflict', N, conflicts}, after end
  for put = write, after - 1, 5 do
    local lease = ARGV[put + 4]
    if lease ~= '' and not call('ZSCORE', P .. 'leases', lease) then return {'lease', N, lease}, after end
  end
  local n = N + 1
  for at = write, after - 1, 5 do
    local collection, key = ARGV[at + 1], ARGV[at + 2]
    local before = heads[collection .. '\0' .. key]
    if before == nil then before = head(collection, key) end
    if ARGV[at] == 'put' then put(n, collection, key, ARGV[at + 3], ARGV[at + 4], before)
    elseif before then delete(n, collection, key, before) end
  end
  return N, after
end

local results, at = {}, 2
while at <= #ARGV do results[#results + 1], at = transact(at) end
finish(tonumber(ARGV[1]))
return {epoch(), results}`,

  /** ARGV: id, ms. */
  grantLease: KNOWN + LEASES + String.raw`
local at = now()
if call('EXISTS', P .. 'leases') == 0 then call('HSET', P .. 'meta', 'reaped', at) end
call('ZADD', P .. 'leases', at + ARGV[2], ARGV[1])
call('HSET', P .. 'ttl', ARGV[1], ARGV[2])
return 1`,

  /** ARGV: id. A lease ends when it is reaped, not before. */
  keepAlive: KNOWN + LEASES + String.raw`
local ttl = call('HGET', P .. 'ttl', ARGV[1])
if not ttl then return 0 end
call('ZADD', P .. 'leases', now() + ttl, ARGV[1])
return 1`,

  /** ARGV: retain, id. */
  revokeLease: KNOWN + WRITING + ENDING_LEASES + String.raw`
endLease(N + 1, ARGV[2])
finish(tonumber(ARGV[1]))
return 1`,

  /** ARGV: retain, ms without a look that mean nobody could keep a lease alive. Answers ms to the next deadline, or -1. */
  reap: KNOWN + WRITING + LEASES + ENDING_LEASES + String.raw`
if call('EXISTS', P .. 'leases') == 0 then return -1 end
local at, n = now(), N + 1
local last = tonumber(call('HGET', P .. 'meta', 'reaped') or at)
if at - last > tonumber(ARGV[2]) then restartLeases(at)
elseif at - last > 500 then call('HSET', P .. 'meta', 'reaped', at) end
for _, id in ipairs(call('ZRANGEBYSCORE', P .. 'leases', '-inf', at, 'LIMIT', 0, 100)) do endLease(n, id) end
finish(tonumber(ARGV[1]))
local next = call('ZRANGE', P .. 'leases', 0, 0, 'WITHSCORES')
return next[2] and math.max(0, next[2] - at) or -1`,

  /** ARGV: retain, election, value, lease. Answers the packed record of who leads, or nothing when the lease has ended. */
  campaign: KNOWN + WRITING + String.raw`
local current = head('elections', ARGV[2])
if current then return current.packed end
if not call('ZSCORE', P .. 'leases', ARGV[4]) then return false end
put(N + 1, 'elections', ARGV[2], ARGV[3], ARGV[4], nil)
finish(tonumber(ARGV[1]))
return call('HGET', P .. 'r:elections', ARGV[2])`,

  /** ARGV: n. */
  compact: KNOWN + WRITING + String.raw`
raiseFloor(math.min(tonumber(ARGV[1]), N))
return 1`,

  /** ARGV: id. */
  renewEpoch: KNOWN + EPOCHS + String.raw`
beginEpoch(revision() + 1, ARGV[1])
return {ARGV[1], revision()}`,

  /** ARGV: collection, key, and so on. */
  getMany: KNOWN + String.raw`
local found = {}
for at = 1, #ARGV, 2 do found[#found + 1] = redis.call('HGET', KEYS[1] .. 'r:' .. ARGV[at], ARGV[at + 1]) end
return found`,

  /** ARGV: collection, lower and upper bound, limit. */
  list: KNOWN + String.raw`
local keys = call('ZRANGE', P .. 'i:' .. ARGV[1], ARGV[2], ARGV[3], 'BYLEX', 'LIMIT', 0, ARGV[4])
return {epoch(), revision(), keys, #keys > 0 and call('HMGET', P .. 'r:' .. ARGV[1], unpack(keys)) or {}}`,

  /** ARGV: after which n, most entries. */
  readLog: KNOWN + String.raw`
return {epoch(), revision(), call('HGET', P .. 'meta', 'floor'), call('XRANGE', P .. 'log', '(' .. ARGV[1] .. '-0', '+', 'COUNT', ARGV[2])}`,

  state: KNOWN + String.raw`
return {epoch(), revision(), call('HGET', P .. 'meta', 'floor')}`,

  collections: KNOWN + String.raw`
return redis.call('ZRANGE', KEYS[1] .. 'c', 0, -1)`,
} as const;

export type ScriptName = keyof typeof texts;

/** The text of each script. */
export const scripts: Readonly<Record<ScriptName, string>> = texts;
