/**
 * The control side of a cluster for tests: Redis, a nats-server in operator mode where machines reach it, and the managers
 * and a gateway, in one process or each in its own.
 */
import {execFile, spawn} from 'node:child_process';
import {randomUUID} from 'node:crypto';
import {cpSync, mkdirSync, readFileSync, rmSync, writeFileSync} from 'node:fs';
import {join, resolve} from 'node:path';
import {promisify} from 'node:util';
import {collections} from '@hivemind/contracts';
import {collection, openRedisStore} from '@hivemind/store';
import {freePort, removeTempDir, startNats, startRedis, tempDir, type NatsServer, type RedisServer} from '@hivemind/testkit';
import {clusterKeyFile, issueCertificate, natsServerConfig, openClusterKey, openClusterTrust} from '@hivemind/trust';
import * as z from 'zod';
import {Api} from './api.ts';
import {Program, programEnv} from './program.ts';

/** For Node: the `hivemind` command, from this source. */
export const hivemind: readonly string[] = [resolve(import.meta.dirname, '../../cli/src/main.ts')];

/**
 * What there is to be started apart; sorted, so that a fault schedule of a seed stays as it is. By its path, as the command: that
 * package's tests have this one's agent.
 */
async function serviceNames(): Promise<readonly string[]> {
  const {catalogue} = z.object({catalogue: z.record(z.string(), z.unknown())}).parse(await import(resolve(import.meta.dirname, '../../service/src/catalogue.ts')));
  return [...Object.keys(catalogue), 'gateway'].toSorted();
}

export interface ControlPlaneOptions {
  /** Where machines reach it. */
  readonly address: string;
  /** `together`: one process, as small as it gets. `apart`: one each, so that each can be killed. */
  readonly services?: 'together' | 'apart';
  /** For Node, at each start: the command as which a service, or a machine's agent, runs; default: this source's. */
  readonly hivemind?: (program: string) => readonly string[];
  /** Programs that give up are started again, machines' agents too. */
  readonly supervised?: boolean;
}

export interface ControlPlane {
  readonly address: string;
  readonly redis: RedisServer;
  readonly nats: NatsServer;
  /** By the service's name; `all` where they are together. */
  readonly programs: ReadonlyMap<string, Program>;
  readonly api: Api;
  /** With what `hivemind` needs to be its admin. */
  readonly dataDir: string;
  /** The cluster's id. */
  readonly cluster: string;
  /** All programs that do not run, ready to serve. */
  start(): Promise<void>;
  /** SIGKILL to all programs. */
  kill(): Promise<void>;
  /** Copies what Redis has on disk now; answers how to put it back, while Redis is down. */
  dumpStore(): {restore(): void};
  /** While Redis is down: it starts with nothing. */
  emptyStore(): void;
  /** While Redis runs: it has nothing from one moment to the next. */
  flushStore(): Promise<void>;
  stop(): Promise<void>;
}

export async function startControlPlane({address, services: layout = 'together', hivemind: source = () => hivemind, supervised = false}: ControlPlaneOptions): Promise<ControlPlane> {
  const dir = tempDir('control');
  const dataDir = join(dir, 'data');
  mkdirSync(dataDir, {mode: 0o700});
  const undo: (() => unknown)[] = [() => removeTempDir(dir)];
  const stop = async (): Promise<void> => {
    for (const step of undo.splice(0).toReversed()) await step();
  };
  try {
    const redis = await startRedis();
    undo.push(() => redis.stop());
    const {cluster, nats} = await startTrustedNats(redis, dataDir, address);
    undo.push(() => nats.stop());
    const port = await freePort();
    const shared = ['--bus', nats.url.replace('nats:', 'tls:'), '--store', redis.url, '--data-dir', dataDir];
    const gateway = ['--listen', `${address}:${port}`];
    const words = new Map(layout === 'together'
      ? [['all', ['up', '--no-agent', ...shared, ...gateway]]]
      : (await serviceNames()).map((name): [string, string[]] => [name, ['service', name, ...shared, ...(name === 'gateway' ? gateway : [])]]));
    const programs = new Map([...words].map(([name, args]) => [name, programOf(name, () => [...source(name), ...args], dir, supervised)]));
    const each = (act: (program: Program) => Promise<void>) => Promise.all([...programs.values()].map(act));
    const kill = async (): Promise<void> => void (await each((program) => program.kill()));
    const api = new Api({
      url: `https://${address}:${port}`,
      ca: () => readFileSync(join(dataDir, 'ca.crt'), 'utf8'),
      token: () => readFileSync(join(dataDir, 'admin.token'), 'utf8').trim(),
    });
    undo.push(kill, () => api.close());
    const start = async (): Promise<void> => void (await each((program) => program.start()));
    await start();
    const log = join(redis.dir, 'appendonlydir');
    return {
      address, redis, nats, programs, api, dataDir, cluster, start, kill, stop,
      dumpStore() {
        const copy = join(dir, `dump-${Date.now()}`);
        cpSync(log, copy, {recursive: true});
        return {
          restore() {
            rmSync(log, {recursive: true, force: true});
            cpSync(copy, log, {recursive: true});
          },
        };
      },
      flushStore: async () => void (await promisify(execFile)('redis-cli', ['-p', `${redis.port}`, 'FLUSHALL'])),
      emptyStore: () => rmSync(log, {recursive: true, force: true}),
    };
  } catch (error) {
    await stop();
    throw error;
  }
}

/** A bus that asks everybody who they are. Which cluster it is, and what it trusts, is made as the first service would make it. */
async function startTrustedNats(redis: RedisServer, dataDir: string, host: string): Promise<{cluster: string; nats: NatsServer}> {
  const store = await openRedisStore({url: redis.url});
  try {
    const now = Date.now();
    const cluster = randomUUID();
    await collection(collections.clusterIdentity).in(store).put('cluster', {id: cluster, createdAt: new Date(now).toISOString()});
    const clusterKey = await openClusterKey(clusterKeyFile(dataDir, {}), async () => false);
    const {authority, bus: trust} = await openClusterTrust({store, clusterKey, cluster, now});
    const {certificate, key} = await issueCertificate(authority, {name: 'nats', addresses: [host], now});
    const nats = await startNats({
      host,
      config(dir) {
        const files = {certificate: join(dir, 'nats.crt'), key: join(dir, 'nats.key')};
        writeFileSync(files.certificate, certificate);
        writeFileSync(files.key, key, {mode: 0o600});
        return natsServerConfig({trust, dir: join(dir, 'accounts'), tls: files});
      },
    });
    return {cluster, nats};
  } finally {
    await store.close();
  }
}

function programOf(name: string, words: () => readonly string[], dir: string, supervised: boolean): Program {
  return new Program({
    name,
    log: join(dir, `${name}.log`),
    ready: /listens at \S+/,
    supervised,
    // The kernel ends it when this process dies, however that happens.
    spawn: () => spawn('setpriv', ['--pdeathsig', 'KILL', '--', process.execPath, ...words()], {env: programEnv, stdio: ['ignore', 'pipe', 'pipe']}),
  });
}
