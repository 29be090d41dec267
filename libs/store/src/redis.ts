/**
 * The Redis driver: many processes, one primary.
 *
 * Every operation is one script (redis/scripts.ts). This class keeps a session (redis/session.ts) admitted, hands the log
 * it reads to the watchers, and reaps leases: any process may, the script decides by the server's clock.
 */
import {randomUUID} from 'node:crypto';
import {isError} from '@hivemind/contracts';
import * as z from 'zod';
import {backoff, pause} from './backoff.ts';
import {systemClock} from './clock.ts';
import {leaseExpired, toLeadership} from './elections.ts';
import {storeErrors} from './errors.ts';
import {GroupWriter, type GroupOutcome} from './group-writer.ts';
import {checkName, checkTransaction, checkTtl, MAX_PAGE} from './limits.ts';
import {decodeLog} from './log-codec.ts';
import {LogEntries, RedisSession, type LogEntry} from './redis/session.ts';
import type {ScriptName} from './redis/scripts.ts';
import {ELECTIONS, electionValue} from './reserved.ts';
import type {ChangeEvent, Lease, Leadership, ListOptions, Page, Revision, Store, StoreStatus, StoredRecord, Transaction, TransactionResult, WatchBatch, WatchOptions} from './store.ts';
import {WatchHub, type LogBatch, type LogPage} from './watch-hub.ts';

export interface RedisStoreOptions {
  /** `redis://[user:password@]host:port[/db]`, `rediss://` for TLS, `redis-sentinel://…` (redis/address.ts). */
  readonly url: string;
  /** Before every key; default `{hivemind}:` (the braces keep all keys on one shard). */
  readonly prefix?: string;
  /** Take a server that may lose acknowledged writes; `status().warnings` then says so. */
  readonly allowWeakPersistence?: boolean;
  /** Change-log entries to keep, in transactions; default 100,000. */
  readonly retainLog?: number;
}

const DEFAULT_RETAIN = 100_000;
const LOG_PAGE = 64;
/** ms between two looks for lapsed leases, at most; and without any look after which they all restart (law 10). */
const REAP_MS = 1_000;
const STALL_MS = 5_000;

/** ms that a session must last to be called steady. */
const STEADY_MS = 1_000;

const Text = z.string();
const State = z.tuple([z.string(), z.number(), z.coerce.number()]);
/** n when it was done. */
const TransactResult = z.union([
  z.number(),
  z.tuple([z.literal('fenced'), z.number()]),
  z.tuple([z.literal('conflict'), z.number(), z.array(z.number())]),
  z.tuple([z.literal('lease'), z.number(), z.string()]),
]);
const TransactReply = z.tuple([z.string(), z.array(TransactResult)]);
type Answer = {readonly epoch: string; readonly result: z.infer<typeof TransactResult>};
const Packed = z.string().nullable();
const ListReply = z.tuple([z.string(), z.number(), z.array(z.string()), z.array(Packed)]);
const LogReply = z.tuple([z.string(), z.number(), z.coerce.number(), LogEntries]);

/** Rejects with `unavailable` (not reached), or `weak-persistence`. */
export async function openRedisStore(options: RedisStoreOptions): Promise<Store> {
  const store = new RedisStore(options);
  await store.start();
  return store;
}

class RedisStore implements Store {
  readonly #options: Required<RedisStoreOptions>;
  readonly #hub = new WatchHub((after) => this.#readLog(after));
  readonly #writer = new GroupWriter<Transaction, Answer>((group) => this.#transactGroup(group));
  readonly #stop = new AbortController();
  #session: RedisSession | undefined;
  /** The newest revision this process knows of: a server that knows less has forgotten. */
  #seen: Revision | undefined;
  #failure: unknown;
  #reapSoon: () => void = () => undefined;
  #closed: Promise<void> | undefined;

  constructor(options: RedisStoreOptions) {
    this.#options = {prefix: '{hivemind}:', allowWeakPersistence: false, retainLog: DEFAULT_RETAIN, ...options};
  }

  async start(): Promise<void> {
    await this.#admit();
    void this.#keepSession();
    void this.#keepReaping();
  }

  async get(collection: string, key: string): Promise<StoredRecord | undefined> {
    return (await this.getMany([{collection, key}]))[0];
  }

  async getMany(keys: readonly {readonly collection: string; readonly key: string}[]): Promise<readonly (StoredRecord | undefined)[]> {
    for (const {collection, key} of keys) checkName(collection, key);
    const found = z.array(Packed).parse(await this.#run('getMany', keys.flatMap(({collection, key}) => [collection, key])));
    return keys.map(({collection, key}, index) => unpack(collection, key, found[index]));
  }

  async list(collection: string, {prefix = '', after = '', limit = MAX_PAGE}: ListOptions = {}): Promise<Page> {
    const most = Math.max(1, Math.min(limit, MAX_PAGE));
    const afterIsLater = Buffer.compare(Buffer.from(after), Buffer.from(prefix)) >= 0;
    const lower = after !== '' && afterIsLater ? `(${after}` : `[${prefix}`;
    const upper = prefix === '' ? '+' : `(${prefix}\u{10ffff}`;
    const [epoch, n, keys, values] = ListReply.parse(await this.#run('list', [collection, lower, upper, most]));
    const records = keys.flatMap((key, index) => unpack(collection, key, values[index]) ?? []);
    const next = keys.length === most ? keys.at(-1) : undefined;
    return {records, revision: {epoch, n}, ...(next === undefined ? {} : {next})};
  }

  async collections(): Promise<readonly string[]> {
    return z.array(Text).parse(await this.#run('collections', []));
  }

  async revision(): Promise<Revision> {
    return (await this.status()).revision;
  }

  async transact(transaction: Transaction): Promise<TransactionResult> {
    const {epoch, result} = await this.#writer.submit(transaction, checkTransaction(transaction));
    const revision = this.#see({epoch, n: typeof result === 'number' ? result : result[1]});
    if (typeof result === 'number') return {ok: true, revision};
    switch (result[0]) {
      case 'fenced':
        return {ok: false, reason: 'fenced', revision};
      case 'lease':
        throw leaseExpired(result[2]);
      case 'conflict':
        return {ok: false, reason: 'conflict', revision, conflicts: conflictsOf(transaction.compare ?? [], result[2])};
    }
  }

  watch(options: WatchOptions): AsyncIterable<WatchBatch> {
    return this.#hub.watch(options);
  }

  async grantLease(ttlMs: number): Promise<Lease> {
    checkTtl(ttlMs);
    const id = randomUUID();
    await this.#run('grantLease', [id, ttlMs]);
    this.#reapSoon();
    return {id, ttlMs};
  }

  async keepAlive(leaseId: string): Promise<void> {
    if ((await this.#run('keepAlive', [leaseId])) !== 1) throw leaseExpired(leaseId);
  }

  async revokeLease(leaseId: string): Promise<void> {
    await this.#run('revokeLease', [this.#options.retainLog, leaseId]);
  }

  async campaign(election: string, holder: string, leaseId: string): Promise<Leadership> {
    checkName(ELECTIONS, election);
    const packed = Packed.parse(await this.#run('campaign', [this.#options.retainLog, election, electionValue(holder), leaseId]));
    const record = unpack(ELECTIONS, election, packed);
    if (!record) throw leaseExpired(leaseId);
    return toLeadership(record);
  }

  async leader(election: string): Promise<Leadership | undefined> {
    const record = await this.get(ELECTIONS, election);
    return record && toLeadership(record);
  }

  async compact(n: number): Promise<void> {
    await this.#run('compact', [n]);
  }

  async renewEpoch(): Promise<Revision> {
    const [epoch, n] = z.tuple([Text, z.number()]).parse(await this.#run('renewEpoch', [randomUUID()]));
    return {epoch, n};
  }

  async status(): Promise<StoreStatus> {
    const [epoch, n, compactedTo] = State.parse(await this.#run('state', []));
    return {driver: 'redis', revision: this.#see({epoch, n}), compactedTo, warnings: this.#session?.warnings ?? []};
  }

  close(): Promise<void> {
    return (this.#closed ??= this.#close());
  }

  async #close(): Promise<void> {
    this.#hub.close();
    await this.#writer.close();
    this.#stop.abort();
    await this.#session?.close();
  }

  async #transactGroup(group: readonly Transaction[]): Promise<GroupOutcome<Answer>> {
    try {
      const args: (string | number)[] = [this.#options.retainLog];
      for (const transaction of group) pushTransaction(args, transaction);
      const [epoch, results] = TransactReply.parse(await this.#runNow('transact', args));
      return {ok: true, results: results.map((result) => ({epoch, result}))};
    } catch (error) {
      return {ok: false, detail: error instanceof Error ? error.message : String(error)};
    }
  }

  async #run(script: ScriptName, args: readonly (string | number)[]): Promise<unknown> {
    if (this.#closed) throw storeErrors.closed('The store was closed.');
    return this.#runNow(script, args);
  }

  /** Also while closing, for what was submitted before. */
  async #runNow(script: ScriptName, args: readonly (string | number)[]): Promise<unknown> {
    const session = this.#session;
    if (!session) throw storeErrors.unavailable(`Redis is not reached: ${String(this.#failure)}`, {cause: this.#failure, retryAfterMs: 1000});
    return session.run(script, args);
  }

  async #admit(): Promise<void> {
    const {url, prefix, allowWeakPersistence} = this.#options;
    const session = await RedisSession.open({url, prefix, allowWeakPersistence, seen: this.#seen, newEpoch: randomUUID()});
    if (this.#closed) return session.close();
    if (this.#seen && this.#seen.epoch !== session.revision.epoch) this.#endWatches(session.revision.epoch);
    this.#seen = session.revision;
    this.#session = session;
    // What was written while nobody read is in the log.
    this.#hub.resync();
    void session.follow((entries) => this.#onEntries(entries));
  }

  async #keepSession(): Promise<void> {
    let failures = 0;
    while (!this.#stop.signal.aborted) {
      const since = systemClock.now();
      try {
        if (!this.#session) await this.#admit();
        await this.#session?.ended;
        this.#failure = 'the connection was lost';
      } catch (error) {
        this.#failure = error;
      }
      this.#session = undefined;
      // One that is lost as soon as it is won counts as a failure.
      failures = systemClock.now() - since > STEADY_MS ? 0 : failures + 1;
      if (failures > 0) await pause(systemClock, backoff(failures, Math.random()), this.#stop.signal);
    }
  }

  async #keepReaping(): Promise<void> {
    const {signal} = this.#stop;
    while (!signal.aborted) {
      let wait = REAP_MS;
      try {
        const next = z.number().parse(await this.#run('reap', [this.#options.retainLog, STALL_MS]));
        if (next >= 0) wait = Math.max(10, Math.min(next, REAP_MS));
      } catch (error) {
        if (isError(error, 'closed')) return;
      }
      const sooner = new AbortController();
      this.#reapSoon = () => sooner.abort();
      await pause(systemClock, wait, AbortSignal.any([signal, sooner.signal]));
    }
  }

  #onEntries(entries: readonly LogEntry[]): void {
    for (const entry of entries) {
      const [n, [field, text]] = entry;
      if (field === 'epoch') {
        if (text !== this.#seen?.epoch) this.#endWatches(text);
        this.#seen = {epoch: text, n};
      } else {
        this.#see({epoch: this.#seen?.epoch ?? '', n});
        this.#hub.publish(toBatch(entry));
      }
    }
  }

  #endWatches(epoch: string): void {
    this.#hub.fail(storeErrors.compacted(`The store began epoch ${epoch}. List again.`));
  }

  /** Of another epoch only its entry in the log tells, in its order. */
  #see(revision: Revision): Revision {
    if (this.#seen && revision.epoch === this.#seen.epoch && revision.n > this.#seen.n) this.#seen = revision;
    return revision;
  }

  async #readLog(after: number): Promise<LogPage> {
    const [epoch, n, floor, entries] = LogReply.parse(await this.#run('readLog', [after, LOG_PAGE]));
    const batches = entries.filter(([, [field]]) => field === 'changes').map(toBatch);
    return {revision: {epoch, n}, floor, complete: entries.length < LOG_PAGE, batches};
  }
}

function toBatch([n, [, text]]: LogEntry): LogBatch {
  let events: readonly ChangeEvent[] | undefined;
  return {n, events: () => (events ??= decodeLog(text))};
}

function pushTransaction(args: (string | number)[], {compare = [], writes, fence}: Transaction): void {
  args.push(fence?.election ?? '', fence?.revision ?? 0, compare.length, writes.length);
  for (const {collection, key, version} of compare) args.push(collection, key, version);
  for (const write of writes) {
    if (write.op === 'put') args.push('put', write.collection, write.key, write.value, write.lease ?? '');
    else args.push('delete', write.collection, write.key, '', '');
  }
}

/** `pairs` holds the index of each failed comparison and the version that was found. */
function conflictsOf(compare: NonNullable<Transaction['compare']>, pairs: readonly number[]): NonNullable<Transaction['compare']> {
  return compare.flatMap(({collection, key}, index) => {
    const at = pairs.findIndex((value, position) => position % 2 === 0 && value === index);
    return at < 0 ? [] : [{collection, key, version: pairs[at + 1] ?? 0}];
  });
}

/** "created version lease value" */
function unpack(collection: string, key: string, packed: string | null | undefined): StoredRecord | undefined {
  if (packed === null || packed === undefined) return undefined;
  const first = packed.indexOf(' ');
  const second = packed.indexOf(' ', first + 1);
  const third = packed.indexOf(' ', second + 1);
  const lease = packed.slice(second + 1, third);
  return {
    collection,
    key,
    value: packed.slice(third + 1),
    created: Number(packed.slice(0, first)),
    version: Number(packed.slice(first + 1, second)),
    ...(lease === '' ? {} : {lease}),
  };
}
