/**
 * One admitted pair of connections to Redis: one for commands, one that blocks on the change log.
 *
 * A session is never mended. When either connection ends, so does the session, with every command that was under way
 * refused, and the next one is admitted anew: that is where another server, or one that forgot, is noticed (law 12).
 */
import {createHash} from 'node:crypto';
import {isError, type HivemindError} from '@hivemind/contracts';
import type {Redis, RedisOptions} from 'ioredis';
import * as z from 'zod';
import {storeErrors} from '../errors.ts';
import type {Revision} from '../store.ts';
import {redisAddress, type RedisAddress} from './address.ts';
import {persistenceWarnings, replicationWarnings} from './persistence.ts';
import {scripts, type ScriptName} from './scripts.ts';

export interface SessionOptions {
  readonly url: string;
  readonly prefix: string;
  readonly allowWeakPersistence: boolean;
  /** What this process last saw, and the epoch to begin if the server turns out to be another. */
  readonly seen: Revision | undefined;
  readonly newEpoch: string;
}

/** ms without an answer after which a connection is given up. */
const SILENCE_MS = 5_000;
/** ms that the reader blocks; shorter than SILENCE_MS. */
const BLOCK_MS = 2_000;
const LOG_PAGE = 256;
/** ms that a write waits for a replica to have it, where there are Sentinels. */
const REPLICA_MS = 2_000;
/** What a promoted replica must not have missed. The rest changes nothing that was promised. */
const REPLICATED: ReadonlySet<ScriptName> = new Set(['transact', 'campaign']);

const shas: ReadonlyMap<string, string> = new Map(Object.entries(scripts).map(([name, text]) => [name, createHash('sha1').update(text).digest('hex')]));

const Entry = z.tuple([z.string().transform((id) => Number(id.slice(0, -2))), z.tuple([z.enum(['changes', 'epoch']), z.string()])]);
/** `[n, ['changes', text]]`, or `[n, ['epoch', id]]` where one begins. */
export type LogEntry = z.infer<typeof Entry>;
export const LogEntries = z.array(Entry);
const Reading = z.tuple([z.tuple([z.string(), LogEntries])]).nullable();
const Admission = z.tuple([z.string(), z.number()]);

export class RedisSession {
  readonly revision: Revision;
  readonly warnings: readonly string[];
  /** Resolves when the session has ended. */
  readonly ended: Promise<void>;
  readonly #commands: Redis;
  readonly #reader: Redis;
  readonly #prefix: string;
  /** Another server may be promoted at any time. */
  readonly #mayFailOver: boolean;
  #end: () => void = () => undefined;
  #underWay = 0;
  #idle: () => void = () => undefined;

  private constructor(commands: Redis, reader: Redis, {prefix, mayFailOver, revision, warnings}: {readonly prefix: string; readonly mayFailOver: boolean; readonly revision: Revision; readonly warnings: readonly string[]}) {
    this.#mayFailOver = mayFailOver;
    this.#commands = commands;
    this.#reader = reader;
    this.#prefix = prefix;
    this.revision = revision;
    this.warnings = warnings;
    this.ended = new Promise((resolve) => (this.#end = resolve));
    for (const connection of [commands, reader]) {
      connection.once('end', () => this.abandon());
      if (connection.status !== 'ready') this.abandon();
    }
  }

  /** Rejects with `unavailable` or `weak-persistence`. */
  static async open(options: SessionOptions): Promise<RedisSession> {
    const {url, prefix, seen, newEpoch} = options;
    const connections: Redis[] = [];
    try {
      const address = redisAddress(url);
      const mayFailOver = address.kind === 'sentinel';
      const commands = await connect(address, connections);
      const reader = await connect(address, connections);
      const warnings = [...(await persistenceWarnings(commands, options.allowWeakPersistence)), ...(mayFailOver ? await replicationWarnings(commands, options.allowWeakPersistence) : [])];
      for (const text of Object.values(scripts)) await commands.script('LOAD', text);
      const run = await runId(commands);
      // In the moment of a failover the two may have been told different servers.
      if ((await runId(reader)) !== run) throw new Error('the primary is changing');
      const reply = await evaluate(commands, prefix, 'admit', [run, newEpoch, seen?.epoch ?? '', seen?.n ?? 0]);
      const [epoch, n] = Admission.parse(reply);
      return new RedisSession(commands, reader, {prefix, mayFailOver, revision: {epoch, n}, warnings});
    } catch (error) {
      connections.forEach(disconnect);
      throw toStoreError(error);
    }
  }

  /** Rejects with `unavailable`. */
  async run(script: ScriptName, args: readonly (string | number)[]): Promise<unknown> {
    this.#underWay += 1;
    try {
      const answer = await evaluate(this.#commands, this.#prefix, script, args);
      if (this.#mayFailOver && REPLICATED.has(script)) await this.#replicated();
      return answer;
    } catch (error) {
      // Another server has been promoted, or this one was emptied: whoever connects again finds out.
      if (/^(FORGOT|READONLY|UNBLOCKED|LOADING|NOREPLICAS)/.test(messageOf(error))) this.abandon();
      throw toStoreError(error);
    } finally {
      this.#underWay -= 1;
      if (this.#underWay === 0) this.#idle();
    }
  }

  /** A write that no replica has is not promised: with the primary lost, it would be. */
  async #replicated(): Promise<void> {
    const replicas = await this.#commands.wait(1, REPLICA_MS);
    if (replicas < 1) throw new Error(`it is written, but no replica had it within ${REPLICA_MS} ms`);
  }

  /** Hands on the log after the revision of admission, until the session ends. */
  async follow(onEntries: (entries: readonly LogEntry[]) => void): Promise<void> {
    let last = `${this.revision.n}-0`;
    try {
      for (;;) {
        const reply = Reading.parse(await this.#reader.call('XREAD', 'COUNT', LOG_PAGE, 'BLOCK', BLOCK_MS, 'STREAMS', `${this.#prefix}log`, last));
        const entries = reply?.[0][1] ?? [];
        const newest = entries.at(-1);
        if (newest) last = `${newest[0]}-0`;
        if (entries.length > 0) onEntries(entries);
      }
    } catch {
      this.abandon();
    }
  }

  /** Answers what is under way, then ends. */
  async close(): Promise<void> {
    if (this.#underWay > 0) await new Promise<void>((resolve) => (this.#idle = resolve));
    this.abandon();
  }

  abandon(): void {
    for (const connection of [this.#commands, this.#reader]) disconnect(connection);
    this.#end();
  }
}

async function runId(redis: Redis): Promise<string> {
  return /^run_id:(\S+)/m.exec(await redis.info('server'))?.[1] ?? 'unknown';
}

async function connect(address: RedisAddress, opened: Redis[]): Promise<Redis> {
  const {Redis} = await import('ioredis');
  const options: RedisOptions = {
    lazyConnect: true,
    protocol: 2,
    retryStrategy: null,
    // Nothing waits in secret for a server that may never answer, and nothing is sent twice.
    enableOfflineQueue: false,
    autoResendUnfulfilledCommands: false,
    maxRetriesPerRequest: 0,
    connectTimeout: SILENCE_MS,
    socketTimeout: SILENCE_MS,
  };
  const connection = address.kind === 'server' ? new Redis(address.url, options) : new Redis({...options, ...address.options, sentinelRetryStrategy: () => null, sentinelReconnectStrategy: () => null});
  opened.push(connection);
  // Each command rejects with its own error; without a listener this one would end the process.
  let failure: unknown;
  connection.on('error', (error) => (failure = error));
  try {
    await connection.connect();
  } catch (error) {
    throw failure ?? error;
  }
  return connection;
}

/** Disconnecting what has ended leaves a timer behind. */
function disconnect(connection: Redis): void {
  if (connection.status !== 'end' && connection.status !== 'close') connection.disconnect();
}

async function evaluate(connection: Redis, prefix: string, script: ScriptName, args: readonly (string | number)[]): Promise<unknown> {
  const sha = shas.get(script) ?? '';
  try {
    return await connection.evalsha(sha, 1, prefix, ...args);
  } catch (error) {
    if (!messageOf(error).startsWith('NOSCRIPT')) throw error;
    return connection.eval(scripts[script], 1, prefix, ...args);
  }
}

const messageOf = (error: unknown): string => (error instanceof Error ? error.message : String(error));

function toStoreError(error: unknown): HivemindError {
  if (isError(error, 'weak-persistence') || isError(error, 'invalid-input')) return error;
  return storeErrors.unavailable(`Redis did not do it: ${messageOf(error)}`, {cause: error, retryAfterMs: 1000});
}
