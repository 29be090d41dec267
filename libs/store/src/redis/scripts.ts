/**
 * The Redis driver's scripts. Each is one atomic step; with `appendfsync always` it is on disk when it answers.
 *
 * Keys, all under the prefix P:
 *   P n                 counter of revisions
 *   P meta              hash: epoch, floor (of compaction), run (the server's run id), reaped (when leases were last looked at, ms)
 *   P r:<collection>    hash: key → "created version lease value"
 *   P i:<collection>    sorted set of its keys, for listing in byte order
 *   P c                 sorted set of the collections that hold records
 *   P log               stream: id n-0, field `e` a JSON array of changes (log-codec.ts), or field `epoch` where one begins
 *   P leases            sorted set: lease → deadline, ms of the server's clock; P ttl  hash: lease → ms
 *   P l:<lease>         sorted set of "collection\0key" that live with it
 *
 * A script that runs out of memory fails at its first write and so changes nothing: hence `nextRevision` comes first.
 */

const PRELUDE = String.raw`
local P = KEYS[1]
local N

local function nextRevision()
  if not N then N = redis.call('INCR', P .. 'n') end
  return N
end

local function revision() return tonumber(redis.call('GET', P .. 'n') or '0') end
local function epoch() return redis.call('HGET', P .. 'meta', 'epoch') end
local function now()
  local t = redis.call('TIME')
  return t[1] * 1000 + math.floor(t[2] / 1000)
end

local function head(collection, key)
  local packed = redis.call('HGET', P .. 'r:' .. collection, key)
  if not packed then return nil end
  local created, version, lease, at = string.match(packed, '^(%d+) (%d+) (%S*) ()')
  return {created = tonumber(created), version = tonumber(version), lease = lease, value = function() return string.sub(packed, at) end}
end

local events = {}

local function unbind(collection, key, lease)
  if lease ~= '' then redis.call('ZREM', P .. 'l:' .. lease, collection .. '\0' .. key) end
end

local function put(collection, key, value, lease, before)
  local n = nextRevision()
  local created = before and before.created or n
  if before then
    if before.lease ~= lease then unbind(collection, key, before.lease) end
  else
    redis.call('ZADD', P .. 'i:' .. collection, 0, key)
    redis.call('ZADD', P .. 'c', 0, collection)
  end
  if lease ~= '' then redis.call('ZADD', P .. 'l:' .. lease, 0, collection .. '\0' .. key) end
  redis.call('HSET', P .. 'r:' .. collection, key, created .. ' ' .. n .. ' ' .. lease .. ' ' .. value)
  events[#events + 1] = lease == '' and {n, collection, key, value, created} or {n, collection, key, value, created, lease}
end

local function delete(collection, key, before)
  local n = nextRevision()
  unbind(collection, key, before.lease)
  redis.call('HDEL', P .. 'r:' .. collection, key)
  redis.call('ZREM', P .. 'i:' .. collection, key)
  if redis.call('EXISTS', P .. 'i:' .. collection) == 0 then redis.call('ZREM', P .. 'c', collection) end
  events[#events + 1] = {n, collection, key}
end

local function raiseFloor(n)
  local floor = tonumber(redis.call('HGET', P .. 'meta', 'floor') or '0')
  if n <= floor then return end
  redis.call('HSET', P .. 'meta', 'floor', n)
  redis.call('XTRIM', P .. 'log', 'MINID', '=', (n + 1) .. '-0')
end

-- Every 1,000 revisions, so that trimming is never much at once.
local function appendLog(retain)
  if #events == 0 then return end
  redis.call('XADD', P .. 'log', N .. '-0', 'e', cjson.encode(events))
  if N % 1000 == 0 and N > retain then raiseFloor(N - retain) end
end

-- Readers see the entry; from there on nothing older can be watched.
local function beginEpoch(id)
  local n = nextRevision()
  redis.call('XADD', P .. 'log', n .. '-0', 'epoch', id)
  redis.call('HSET', P .. 'meta', 'epoch', id, 'floor', n)
  redis.call('XTRIM', P .. 'log', 'MINID', '=', n .. '-0')
end

local function restartLeases(at)
  for _, id in ipairs(redis.call('ZRANGE', P .. 'leases', 0, -1)) do
    redis.call('ZADD', P .. 'leases', at + redis.call('HGET', P .. 'ttl', id), id)
  end
  redis.call('HSET', P .. 'meta', 'reaped', at)
end

local function endLease(id)
  for _, member in ipairs(redis.call('ZRANGE', P .. 'l:' .. id, 0, -1)) do
    local collection, key = string.match(member, '^(%Z+)%z(.*)$')
    local before = head(collection, key)
    if before then delete(collection, key, before) end
  end
  redis.call('DEL', P .. 'l:' .. id)
  redis.call('ZREM', P .. 'leases', id)
  redis.call('HDEL', P .. 'ttl', id)
end
`;

const BODIES = {
  /**
   * ARGV: run id, epoch to begin if one must be, last seen epoch and n. Another server, or one that knows less than was
   * seen, begins an epoch; its n leaps, so that no version of lost writes is ever given out twice.
   */
  admit: String.raw`
local run, fresh, seenEpoch, seenN = ARGV[1], ARGV[2], ARGV[3], tonumber(ARGV[4])
local meta = redis.call('HMGET', P .. 'meta', 'epoch', 'run')
if not meta[1] then
  redis.call('HSET', P .. 'meta', 'epoch', fresh, 'floor', revision(), 'run', run, 'reaped', now())
elseif meta[2] ~= run or (meta[1] == seenEpoch and revision() < seenN) then
  N = redis.call('INCRBY', P .. 'n', 1000000)
  beginEpoch(fresh)
  redis.call('HSET', P .. 'meta', 'run', run)
  restartLeases(now())
end
return {epoch(), revision()}`,

  /** ARGV: retain, fence's election ('' for none) and revision, count and {collection, key, version}, then {op, collection, key, value, lease}. */
  transact: String.raw`
if ARGV[2] ~= '' then
  local election = head('elections', ARGV[2])
  if not election or election.created ~= tonumber(ARGV[3]) then return {'fenced', epoch(), revision()} end
end
local heads, conflicts, at = {}, {}, 5
for index = 0, tonumber(ARGV[4]) - 1 do
  local collection, key = ARGV[at], ARGV[at + 1]
  local found = head(collection, key)
  heads[collection .. '\0' .. key] = found or false
  local version = found and found.version or 0
  if version ~= tonumber(ARGV[at + 2]) then
    conflicts[#conflicts + 1] = index
    conflicts[#conflicts + 1] = version
  end
  at = at + 3
end
if #conflicts > 0 then return {'conflict', epoch(), revision(), conflicts} end
for write = at, #ARGV, 5 do
  if ARGV[write + 4] ~= '' and not redis.call('ZSCORE', P .. 'leases', ARGV[write + 4]) then return {'lease', epoch(), revision(), ARGV[write + 4]} end
end
for write = at, #ARGV, 5 do
  local collection, key = ARGV[write + 1], ARGV[write + 2]
  local before = heads[collection .. '\0' .. key]
  if before == nil then before = head(collection, key) end
  if ARGV[write] == 'put' then put(collection, key, ARGV[write + 3], ARGV[write + 4], before)
  elseif before then delete(collection, key, before) end
end
appendLog(tonumber(ARGV[1]))
return {'ok', epoch(), N or revision()}`,

  /** ARGV: id, ms. */
  grantLease: String.raw`
local at = now()
if redis.call('EXISTS', P .. 'leases') == 0 then redis.call('HSET', P .. 'meta', 'reaped', at) end
redis.call('ZADD', P .. 'leases', at + ARGV[2], ARGV[1])
redis.call('HSET', P .. 'ttl', ARGV[1], ARGV[2])
return 1`,

  /** ARGV: id. A lease ends when it is reaped, not before. */
  keepAlive: String.raw`
local ttl = redis.call('HGET', P .. 'ttl', ARGV[1])
if not ttl then return 0 end
redis.call('ZADD', P .. 'leases', now() + ttl, ARGV[1])
return 1`,

  /** ARGV: retain, id. */
  revokeLease: String.raw`
endLease(ARGV[2])
appendLog(tonumber(ARGV[1]))
return 1`,

  /** ARGV: retain, ms without a look that mean nobody could keep a lease alive. Answers ms to the next deadline, or -1. */
  reap: String.raw`
if redis.call('EXISTS', P .. 'leases') == 0 then return -1 end
local at = now()
local last = tonumber(redis.call('HGET', P .. 'meta', 'reaped') or at)
if at - last > tonumber(ARGV[2]) then restartLeases(at)
elseif at - last > 500 then redis.call('HSET', P .. 'meta', 'reaped', at) end
for _, id in ipairs(redis.call('ZRANGEBYSCORE', P .. 'leases', '-inf', at, 'LIMIT', 0, 100)) do endLease(id) end
appendLog(tonumber(ARGV[1]))
local next = redis.call('ZRANGE', P .. 'leases', 0, 0, 'WITHSCORES')
return next[2] and math.max(0, next[2] - at) or -1`,

  /** ARGV: retain, election, value, lease. Answers who leads, or nothing when the lease has ended. */
  campaign: String.raw`
local current = head('elections', ARGV[2])
if current then return {current.value(), current.created} end
if not redis.call('ZSCORE', P .. 'leases', ARGV[4]) then return {} end
put('elections', ARGV[2], ARGV[3], ARGV[4], nil)
appendLog(tonumber(ARGV[1]))
return {ARGV[3], N}`,

  /** ARGV: n. */
  compact: String.raw`
raiseFloor(math.min(tonumber(ARGV[1]), revision()))
return 1`,

  /** ARGV: id. */
  renewEpoch: String.raw`
beginEpoch(ARGV[1])
return {ARGV[1], N}`,

  /** ARGV: collection, key, and so on. */
  getMany: String.raw`
local found = {}
for at = 1, #ARGV, 2 do found[#found + 1] = redis.call('HGET', P .. 'r:' .. ARGV[at], ARGV[at + 1]) end
return found`,

  /** ARGV: collection, lower and upper bound, limit. */
  list: String.raw`
local keys = redis.call('ZRANGE', P .. 'i:' .. ARGV[1], ARGV[2], ARGV[3], 'BYLEX', 'LIMIT', 0, ARGV[4])
return {epoch(), revision(), keys, #keys > 0 and redis.call('HMGET', P .. 'r:' .. ARGV[1], unpack(keys)) or {}}`,

  /** ARGV: after which n, most entries. */
  readLog: String.raw`
return {epoch(), revision(), redis.call('HGET', P .. 'meta', 'floor'), redis.call('XRANGE', P .. 'log', '(' .. ARGV[1] .. '-0', '+', 'COUNT', ARGV[2])}`,

  state: String.raw`
return {epoch(), revision(), redis.call('HGET', P .. 'meta', 'floor')}`,

  collections: String.raw`
return redis.call('ZRANGE', P .. 'c', 0, -1)`,
} as const;

export type ScriptName = keyof typeof BODIES;

/** The text of each script. */
export const scripts: ReadonlyMap<ScriptName, string> = new Map(scriptNames().map((name) => [name, PRELUDE + BODIES[name]]));

function scriptNames(): ScriptName[] {
  const isName = (name: string): name is ScriptName => name in BODIES;
  return Object.keys(BODIES).filter(isName);
}
