/** What every service of a cluster shares: the store, the bus, and which cluster they are of. */
import {randomUUID} from 'node:crypto';
import {chmod, mkdir} from 'node:fs/promises';
import {hostname} from 'node:os';
import {setTimeout as pause} from 'node:timers/promises';
import {connectNatsBus, type Bus} from '@hivemind/bus';
import {isError} from '@hivemind/contracts';
import {flushEvents, type ManagerContext} from '@hivemind/service';
import {openRedisStore, type Store} from '@hivemind/store';
import {clusterKeyFile, hasTrust, openClusterKey} from '@hivemind/trust';
import type {Logger} from 'pino';
import {Registry} from 'prom-client';
import {hostErrors} from './errors.ts';
import {sharedIdentity} from './identity.ts';
import {connectTrustedBus, hasBusTrust, type BusAccess} from './trusted-bus.ts';

export interface SharedOptions {
  /** `nats://[user:password@|token@]host:port`, or `tls://`; several with commas between. */
  readonly bus: string;
  /** `redis://[user:password@]host:port[/db]`, `rediss://`, or `redis-sentinel://`, as the store takes it. */
  readonly store: string;
  /** Made when missing, mode 0700. */
  readonly dataDir: string;
  /** Take a Redis that may lose acknowledged writes; `/status` then says so. */
  readonly allowWeakPersistence?: boolean;
  readonly logger: Logger;
  /** ms to wait for store and bus to come up; default 30,000. */
  readonly patienceMs?: number;
}

export interface Shared {
  readonly context: ManagerContext;
  close(): Promise<void>;
}

const PATIENCE_MS = 30_000;
const RETRY_MS = 500;

/**
 * Connects as `name`; waits for servers that are still starting.
 * @throws `not-shared` 422 for URLs of something else, `other-cluster`, and what store and bus say when they are not reached
 */
export async function openShared(name: string, options: SharedOptions): Promise<Shared> {
  const {dataDir, logger} = options;
  checkUrls(options);
  await mkdir(dataDir, {recursive: true, mode: 0o700});
  await chmod(dataDir, 0o700);
  const instance = `${hostname()}-${randomUUID().slice(0, 8)}`;
  const undo: (() => unknown)[] = [];
  const close = async (): Promise<void> => {
    for (const step of undo.splice(0).toReversed()) await step();
  };
  try {
    const deadline = Date.now() + (options.patienceMs ?? PATIENCE_MS);
    const store = await patiently(() => openStore(options), deadline, logger, 'the store');
    undo.push(() => store.close(), () => flushEvents(store));
    const cluster = await sharedIdentity({store, dataDir, now: Date.now()});
    const clusterKey = (): Promise<Buffer> => openClusterKey(clusterKeyFile(dataDir, process.env), () => hasTrust(store));
    const trusted = {store, cluster, clusterKey};
    const bus = await patiently(() => openBus(`${name}/${instance}`, options, trusted, undo), deadline, logger, 'the bus');
    undo.push(() => bus.close());
    const context = {bus, store, logger, metrics: new Registry(), cluster, dataDir, instance, clusterKey, busUrls: serversOf(options.bus), now: Date.now, uid: randomUUID, random: Math.random};
    return {context, close};
  } catch (error) {
    await close();
    throw error;
  }
}

function checkUrls({bus, store}: SharedOptions): void {
  if (!/^rediss?(-sentinel)?:\/\//.test(store)) throw hostErrors['not-shared'](`The store is "${store.split('@').at(-1)}": give redis://HOST:PORT. SQLite belongs to one process alone: that is hivemind up.`);
  if (!bus.split(',').every((url) => /^(nats|tls):\/\//.test(url))) throw hostErrors['not-shared'](`The bus is "${bus.split('@').at(-1)}": give nats://HOST:PORT.`);
}

function openStore({store: url, allowWeakPersistence}: SharedOptions): Promise<Store> {
  return openRedisStore({url, ...(allowWeakPersistence === undefined ? {} : {allowWeakPersistence})});
}

/** Without what they may be asked with. */
const serversOf = (bus: string): readonly string[] => bus.split(',').map((url) => new URL(url)).map(({protocol, host}) => `${protocol}//${host}`);

/**
 * With the credentials of the URL; else, where the cluster has a bus in operator mode, with those that a service makes itself.
 * An emptied store does not say whether it has one; a bus that speaks TLS to those who bring no credentials is one.
 * @throws `cluster-key-missing`, `cluster-key-mismatch` 503
 */
async function openBus(name: string, {bus, logger}: SharedOptions, trusted: BusAccess['trusted'], undo: (() => unknown)[]): Promise<Bus> {
  const {username, password} = new URL(bus.split(',')[0] ?? '');
  const isOwn = username === '' && (bus.startsWith('tls:') || (await hasBusTrust(trusted.store)));
  if (isOwn) return connectTrustedBus({name, servers: serversOf(bus), trusted, logger}, undo);
  const credentials = password !== '' ? {user: decodeURIComponent(username), pass: decodeURIComponent(password)} : username !== '' ? {token: decodeURIComponent(username)} : {};
  return connectNatsBus({servers: [...serversOf(bus)], name, logger, ...credentials});
}

/** Servers that are started beside this one may take a moment. What is wrong and stays so is thrown at once. */
async function patiently<T>(attempt: () => Promise<T>, deadline: number, logger: Logger, what: string): Promise<T> {
  for (let told = false; ; told = true) {
    try {
      return await attempt();
    } catch (error) {
      const passing = isError(error, 'unavailable') || isError(error, 'disconnected') || isConnectionLost(error);
      if (!passing || Date.now() >= deadline) throw error;
      if (!told) logger.warn({err: error}, `${what} is not reached yet; it will be tried again`);
      await pause(RETRY_MS);
    }
  }
}

/** Cut off by a server that is only coming up, or too busy for a handshake. */
function isConnectionLost(error: unknown): boolean {
  return error instanceof Error && 'code' in error && (error.code === 'ECONNRESET' || error.code === 'ETIMEDOUT');
}
