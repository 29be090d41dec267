/**
 * Hivemind on one machine: gateway, managers and agent in one process, on SQLite and a bus within the process. The managers
 * are the same as anywhere else; only who hosts them differs. What does not need the other starts at the same time.
 */
import {randomUUID} from 'node:crypto';
import {chmod, mkdir} from 'node:fs/promises';
import {join, resolve} from 'node:path';
import type * as AgentModule from '@hivemind/agent';
import {createEmbeddedBus} from '@hivemind/bus';
import {adminToken, createGateway, DEFAULT_LISTEN, tokenHash, transportFor, type TlsMode} from '@hivemind/gateway';
import type {Runtime} from '@hivemind/runtime';
import {flushEvents, parseListen, type ListenAddress, type ManagerContext, type TlsOptions} from '@hivemind/service';
import {loadManagers} from '@hivemind/service-host/catalogue';
import {openSqliteStore, type Store} from '@hivemind/store';
import type {Logger} from 'pino';
import {Registry} from 'prom-client';
import {clusterIdentity} from './identity.ts';
import {version} from './version.ts';

export interface StandaloneOptions {
  /** Everything it keeps; mode 0700. One process at a time (`store-locked` names the other). */
  readonly dataDir: string;
  /** `HOST:PORT`; default 127.0.0.1:4483. Port 0 takes any free one. */
  readonly listen?: string;
  readonly tls?: TlsMode;
  /** `auto` is docker in this release. A runtime given here is used as it is, and not closed. */
  readonly runtime?: 'auto' | 'docker' | Runtime;
  /** As DOCKER_HOST; the engine's default when absent. */
  readonly dockerHost?: string | undefined;
  /** Run no containers on this machine. */
  readonly noAgent?: boolean;
  /** The node's name; the machine's host name when absent. */
  readonly nodeName?: string;
  readonly logger: Logger;
}

export interface Standalone {
  /** `http://HOST:PORT` as bound. */
  readonly url: string;
  readonly cluster: string;
  /** Finishes requests in hand and leaves every container running. */
  stop(): Promise<void>;
}

/** What was started, and how to stop it: in the opposite order. */
type Undo = (() => Promise<unknown>)[];

/** See `startStandalone`. */
export async function start(options: StandaloneOptions): Promise<Standalone> {
  const undo: Undo = [];
  const stop = async (): Promise<void> => {
    for (const step of undo.splice(0).toReversed()) await step().catch((err: unknown) => options.logger.warn({err}, 'something did not stop as it should'));
  };
  try {
    return {...(await startParts(options, undo)), stop};
  } catch (error) {
    await stop();
    throw error;
  }
}

async function startParts(options: StandaloneOptions, undo: Undo): Promise<Omit<Standalone, 'stop'>> {
  const {logger} = options;
  const dataDir = resolve(options.dataDir);
  await mkdir(dataDir, {recursive: true, mode: 0o700});
  await chmod(dataDir, 0o700);
  const agentModule = options.noAgent === true ? undefined : import('@hivemind/agent');
  const [store, createManagers] = await Promise.all([openStore(dataDir, undo), loadManagers()]);
  const [cluster, token] = await Promise.all([
    clusterIdentity({dataDir, store, earlier: () => earlierLives(options, dataDir), now: Date.now(), logger}),
    adminToken(dataDir),
    // The data dir may have been put back from an older copy meanwhile. What the lost days made is then of an epoch that this
    // store never knew, however far its revisions come by now (law 12).
    store.renewEpoch(),
  ]);
  const bus = createEmbeddedBus({logger});
  undo.push(() => bus.close());
  const context: ManagerContext = {bus, store, logger, metrics: new Registry(), cluster, dataDir, instance: `standalone-${cluster}`, now: Date.now, uid: randomUUID, random: Math.random};
  const managers = createManagers.map((create) => create(context));
  const waiting = new Set(managers.map(({name}) => `the ${name} manager is starting`));
  const listen = parseListen(options.listen ?? DEFAULT_LISTEN);
  const tls = transportFor(listen, options.tls ?? 'auto') === 'tls' ? await servedWith(context, listen, undo) : undefined;
  const gateway = await createGateway({
    context, managers, version, listen,
    adminTokenHash: tokenHash(token),
    ...(tls ? {tls} : {}),
    ready: () => [...waiting],
  });
  undo.push(() => Promise.all(managers.map((manager) => manager.stop())));
  undo.push(() => gateway.stop());
  const [url] = await Promise.all([
    gateway.listen(),
    ...managers.map(async (manager) => {
      await manager.start();
      waiting.delete(`the ${manager.name} manager is starting`);
    }),
  ]);
  if (agentModule) undo.push(await agentBesides(agentModule, {...options, dataDir}, context));
  logger.info({url, cluster, dataDir}, 'Hivemind is ready');
  return {url, cluster};
}

async function openStore(dataDir: string, undo: Undo): Promise<Store> {
  const store = await openSqliteStore({path: join(dataDir, 'store.db')});
  undo.push(async () => {
    await flushEvents(store);
    await store.close();
  });
  return store;
}

/** A certificate of the cluster's own authority. Neither is made, or loaded, where only this machine is served. */
async function servedWith(context: ManagerContext, {host}: ListenAddress, undo: Undo): Promise<TlsOptions> {
  const [{gatewayCredentials}, {clusterKeyFile, hasTrust, openClusterKey}] = await Promise.all([import('@hivemind/service-host/transport'), import('@hivemind/trust')]);
  const clusterKey = (): Promise<Buffer> => openClusterKey(clusterKeyFile(context.dataDir, process.env), () => hasTrust(context.store));
  const credentials = await gatewayCredentials({context: {...context, clusterKey}, host, logger: context.logger});
  undo.push(async () => credentials.stop());
  return credentials.tls;
}

async function earlierLives({noAgent, runtime = 'auto', dockerHost}: StandaloneOptions, dataDir: string): Promise<readonly string[]> {
  if (noAgent === true || typeof runtime !== 'string') return [];
  const {earlierClusters} = await import('@hivemind/container/node');
  return earlierClusters(dockerHost === undefined ? {} : {host: dockerHost}, dataDir);
}

/**
 * Starts the agent without waiting for its engine: whether the machine can run containers is the node's to say. Answers how
 * to stop it.
 */
async function agentBesides(module: Promise<typeof AgentModule>, options: StandaloneOptions, {bus, cluster, logger}: ManagerContext): Promise<() => Promise<void>> {
  const {runtime = 'auto', dockerHost, nodeName, dataDir} = options;
  const {startAgent} = await module;
  const starting = startAgent({
    bus, cluster, dataDir, logger,
    runtime: runtime === 'auto' ? 'docker' : runtime,
    address: '127.0.0.1',
    ...(dockerHost === undefined ? {} : {dockerHost}),
    ...(nodeName === undefined ? {} : {name: nodeName}),
  });
  starting.catch((err: unknown) => logger.error({err}, 'the agent could not be started'));
  return async () => (await starting).stop();
}
