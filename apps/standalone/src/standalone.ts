/**
 * Hivemind in one process: gateway, managers and agent, on SQLite and a bus within the process unless told otherwise. The
 * managers are the same as anywhere else; only who hosts them differs. What does not need the other starts at the same time.
 */
import {chmod, mkdir} from 'node:fs/promises';
import {resolve} from 'node:path';
import type * as AgentModule from '@hivemind/agent';
import type {EngineOptions, RingOptions} from '@hivemind/agent';
import {createGateway, DEFAULT_LISTEN, transportFor, type TlsMode} from '@hivemind/gateway';
import type {Runtime} from '@hivemind/runtime';
import {type FirstNetwork, isWildcard, parseListen, type ListenAddress, type ManagerContext, type TlsOptions} from '@hivemind/service';
import {loadManagers} from '@hivemind/service-host/catalogue';
import type {Logger} from 'pino';
import {openBase, type Undo} from './base.ts';
import {version} from '@hivemind/contracts/version';

export interface StandaloneOptions {
  /** Everything it keeps; mode 0700. One process at a time (`store-locked` names the other). */
  readonly dataDir: string;
  /** `HOST:PORT`; default 127.0.0.1:4483. Port 0 takes any free one. */
  readonly listen?: string;
  readonly tls?: TlsMode;
  /** As the agent's. A runtime given here is used as it is, and not closed. */
  readonly runtime?: EngineOptions['runtime'] | Runtime;
  /** As DOCKER_HOST; the engine's default when absent. */
  readonly dockerHost?: string | undefined;
  /** Path of containerd's; Debian's when absent. */
  readonly containerdSocket?: string | undefined;
  /** As the agent's. */
  readonly registries?: EngineOptions['registries'];
  /** As the agent's. */
  readonly retention?: AgentModule.Retention | undefined;
  /** Run no containers on this machine. */
  readonly noAgent?: boolean;
  /** The node's name; the machine's host name when absent. */
  readonly nodeName?: string;
  /** Take further machines: this one's IP address, at which a nats-server is started for them. */
  readonly advertise?: string | undefined;
  /** Of that nats-server; default 4222. */
  readonly busPort?: number | undefined;
  /** Of this machine's sidecar, which it has where it takes further machines; default 7946. */
  readonly gossipPort?: number | undefined;
  /** `ip:port` each: where that sidecar answers names. Nowhere when absent. */
  readonly dnsListen?: readonly string[] | undefined;
  /** How containers of a cluster that is new reach each other: a back-end of its network. When absent, `auto` where this machine can have one, else `none`. */
  readonly network?: string | undefined;
  /** Store and bus that other processes use as well, in place of its own: see `SharedOptions` of the service host. */
  readonly shared?: {readonly bus: string; readonly store: string; readonly allowWeakPersistence?: boolean};
  readonly logger: Logger;
}

export interface Standalone {
  /** `http://HOST:PORT` as bound. */
  readonly url: string;
  readonly cluster: string;
  /** Finishes requests in hand and leaves every container running. */
  stop(): Promise<void>;
}

/** See `startStandalone`. */
export async function start(options: StandaloneOptions): Promise<Standalone> {
  const undo: Undo = [];
  const stop = async (): Promise<void> => {
    for (const step of undo.splice(0).toReversed()) {
      try {
        await step();
      } catch (err) {
        options.logger.warn({err}, 'something did not stop as it should');
      }
    }
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
  const [{context: base, adminTokenHash, busDriver, sharesStore}, createManagers] = await Promise.all([
    openBase({...options, dataDir, earlier: () => earlierLives(options, dataDir)}, undo),
    loadManagers(),
  ]);
  const {cluster} = base;
  const context = {...base, network: firstNetwork(options, dataDir, cluster, agentModule)};
  const managers = createManagers.map((create) => create(context));
  const waiting = new Set(managers.map(({name}) => `the ${name} manager is starting`));
  const listen = parseListen(options.listen ?? DEFAULT_LISTEN);
  const tls = transportFor(listen, options.tls ?? 'auto') === 'tls' ? await servedWith(context, options.advertise === undefined || !isWildcard(listen) ? listen : {host: options.advertise}, undo) : undefined;
  const gateway = await createGateway({
    context, managers, version, listen, adminTokenHash, busDriver, sharesStore,
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

function firstNetwork({network, runtime = 'auto', dockerHost, containerdSocket}: StandaloneOptions, dataDir: string, cluster: string, agent: Promise<typeof AgentModule> | undefined): FirstNetwork {
  const engine = typeof runtime === 'string' ? {runtime, dockerHost, containerdSocket} : undefined;
  return {backend: network, ...(agent === undefined ? {} : {unable: async () => (await agent).networklessBecause(engine, dataDir, cluster)})};
}

/** A certificate of the cluster's own authority. Neither is made, or loaded, where only this machine is served. */
async function servedWith(context: ManagerContext, {host}: Pick<ListenAddress, 'host'>, undo: Undo): Promise<TlsOptions> {
  const {gatewayCredentials} = await import('@hivemind/service-host/transport');
  const credentials = await gatewayCredentials({context, host, logger: context.logger});
  undo.push(() => credentials.stop());
  return credentials.tls;
}

async function earlierLives({noAgent, runtime = 'auto', dockerHost, containerdSocket}: StandaloneOptions, dataDir: string): Promise<readonly string[]> {
  if (noAgent === true || typeof runtime !== 'string') return [];
  const agent = await import('@hivemind/agent');
  return agent.earlierLives({runtime, dockerHost, containerdSocket}, dataDir);
}

/**
 * Starts the agent without waiting for its engine: whether the machine can run containers is the node's to say. Answers how
 * to stop it.
 */
async function agentBesides(module: Promise<typeof AgentModule>, options: StandaloneOptions, context: ManagerContext): Promise<() => Promise<void>> {
  const {runtime = 'auto', dockerHost, containerdSocket, registries, retention, nodeName, dataDir, advertise = '127.0.0.1'} = options;
  const {bus, cluster, logger} = context;
  const [{startAgent}, ring] = await Promise.all([module, ringOf(options, context)]);
  const starting = startAgent({
    bus, cluster, dataDir, logger,
    runtime, dockerHost, containerdSocket, registries, retention,
    address: advertise,
    ...(ring === undefined ? {} : {ring}),
    ...(nodeName === undefined ? {} : {name: nodeName}),
  });
  starting.catch((err: unknown) => logger.error({err}, 'the agent could not be started'));
  return async () => (await starting).stop();
}

/** The ring of the machines that are to come: as any of them is told when it joins. */
async function ringOf({advertise, gossipPort, dnsListen}: StandaloneOptions, {store, cluster, clusterKey, now}: ManagerContext): Promise<RingOptions | undefined> {
  if (advertise === undefined || clusterKey === undefined) return undefined;
  const {openClusterTrust} = await import('@hivemind/trust');
  const {gossipKey} = await openClusterTrust({store, clusterKey: await clusterKey(), cluster, now: now()});
  return {gossipKey, seeds: [], ...(gossipPort === undefined ? {} : {port: gossipPort}), ...(dnsListen === undefined ? {} : {dnsListen})};
}
