/**
 * Hivemind on one machine: gateway, managers and agent in one process, on SQLite and a bus within the process. The managers
 * are the same as anywhere else; only who hosts them differs.
 */
import {randomUUID} from 'node:crypto';
import {join, resolve} from 'node:path';
import {startAgent, type Agent, type AgentOptions} from '@hivemind/agent';
import {createAppManager} from '@hivemind/app/control';
import {createEmbeddedBus} from '@hivemind/bus';
import {createContainerManager} from '@hivemind/container/control';
import {earlierClusters} from '@hivemind/container/node';
import {collections} from '@hivemind/contracts';
import {createDeploymentManager} from '@hivemind/deployment/control';
import {adminToken, createGateway, DEFAULT_LISTEN, parseListen, type TlsMode} from '@hivemind/gateway';
import {createHealthManager} from '@hivemind/health/control';
import {createNodeManager} from '@hivemind/node/control';
import {createSchedulerManager} from '@hivemind/scheduler/control';
import {createSecurityManager} from '@hivemind/security/control';
import {flushEvents, type CreateManager, type ManagerContext} from '@hivemind/service';
import {collection, openSqliteStore, type Store} from '@hivemind/store';
import {createStorageManager} from '@hivemind/storage/control';
import type {Logger} from 'pino';
import {Registry} from 'prom-client';
import {clusterIdentity} from './identity.ts';
import {version} from './version.ts';

export interface StandaloneOptions {
  /** Everything it keeps; mode 0700. One process at a time (`store-locked` names the other). */
  readonly dataDir: string;
  /** `HOST:PORT`; default 127.0.0.1:4483. */
  readonly listen?: string;
  readonly runtime?: 'auto' | 'docker' | Exclude<AgentOptions['runtime'], string | undefined>;
  /** As DOCKER_HOST; the engine's default when absent. */
  readonly dockerHost?: string | undefined;
  /** Run no containers on this machine. */
  readonly noAgent?: boolean;
  readonly tls?: TlsMode;
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

const managersOf: readonly CreateManager[] = [
  createAppManager, createDeploymentManager, createSchedulerManager, createNodeManager,
  createContainerManager, createStorageManager, createHealthManager, createSecurityManager,
];

/** Rejects with `store-locked`, `address-in-use`, `invalid-listen`, `tls-required`; what it had started is stopped then. */
export async function startStandalone(options: StandaloneOptions): Promise<Standalone> {
  const {logger, runtime = 'auto'} = options;
  const dataDir = resolve(options.dataDir);
  const undo: (() => Promise<void>)[] = [];
  const stop = async (): Promise<void> => {
    for (const step of undo.splice(0).toReversed()) await step().catch((err: unknown) => logger.warn({err}, 'something did not stop as it should'));
  };
  try {
    const ownEngine = options.noAgent !== true && typeof runtime === 'string';
    const where = options.dockerHost === undefined ? {} : {host: options.dockerHost};
    const identity = await clusterIdentity(dataDir, async () => (ownEngine ? earlierClusters(where, dataDir) : []), logger);
    const store = await openSqliteStore({path: join(dataDir, 'store.db')});
    undo.push(() => store.close());
    undo.push(() => flushEvents(store));
    if (identity.earlierLife) await holdForAdoption(store);
    const bus = createEmbeddedBus({logger});
    undo.push(() => bus.close());
    const context: ManagerContext = {bus, store, logger, metrics: new Registry(), cluster: identity.id, dataDir, instance: `standalone-${process.pid}`, now: Date.now, uid: randomUUID, random: Math.random};
    const managers = managersOf.map((create) => create(context));
    let ready = false;
    const gateway = await createGateway({
      context, managers, version,
      adminToken: await adminToken(dataDir),
      listen: parseListen(options.listen ?? DEFAULT_LISTEN),
      tls: options.tls ?? 'auto',
      ready: () => (ready ? [] : ['the managers are starting']),
    });
    undo.push(() => gateway.stop());
    const url = await gateway.listen();
    undo.push(async () => void (await Promise.all(managers.map((manager) => manager.stop()))));
    await Promise.all(managers.map((manager) => manager.start()));
    if (options.noAgent !== true) undo.push(await agentBesides({...options, dataDir}, context));
    ready = true;
    logger.info({url, cluster: identity.id, dataDir}, 'Hivemind is ready');
    return {url, cluster: identity.id, stop};
  } catch (error) {
    await stop();
    throw error;
  }
}

/**
 * Starts the agent without waiting for its engine: whether the machine can run containers is the node's to say. Answers how
 * to stop it.
 */
async function agentBesides(options: StandaloneOptions, {bus, cluster, logger}: ManagerContext): Promise<() => Promise<void>> {
  const {runtime = 'auto', dockerHost, nodeName, dataDir} = options;
  const starting: Promise<Agent> = startAgent({
    bus, cluster, dataDir, logger,
    runtime: runtime === 'auto' ? 'docker' : runtime,
    ...(dockerHost === undefined ? {} : {dockerHost}),
    ...(nodeName === undefined ? {} : {name: nodeName}),
    address: '127.0.0.1',
  });
  starting.catch((err: unknown) => logger.error({err}, 'the agent could not be started'));
  return async () => (await starting).stop();
}

/** Nothing that runs is removed before a person has decided: written before any agent can ask. */
async function holdForAdoption(store: Store): Promise<void> {
  const reason = 'The data dir is new, but the engine runs containers that were made for it.';
  await collection(collections.cluster).in(store).put('adoption', {held: true, reason, since: new Date().toISOString()});
}
