/**
 * The agent: the node halves of the managers, put together for one machine. It speaks the bus only, and keeps its
 * containers running with the control plane gone.
 */
import {randomUUID} from 'node:crypto';
import {mkdir, readFile, writeFile} from 'node:fs/promises';
import {join, resolve} from 'node:path';
import type {Bus} from '@hivemind/bus';
import {createConfiguration, createWorker, defaultRetention, openSecrets, type Retention, serveContainerNode} from '@hivemind/container/node';
import {type Clock, systemClock} from '@hivemind/controller';
import {createDiscovery, MachineIngresses} from '@hivemind/discovery/node';
import {createHealthHook} from '@hivemind/health/node';
import {createNetwork, type NetworkOptions} from '@hivemind/network/node';
import {createRegistration, defaultNodeName, machineFacts, type Registration} from '@hivemind/node/node';
import type {NodeReport} from '@hivemind/contracts';
import type {Runtime} from '@hivemind/runtime';
import {createStorage} from '@hivemind/storage/node';
import type {Logger} from 'pino';
import {chooseEngine, type Engine, engineBefore, type EngineOptions, openRuntime} from './engine.ts';
import {keepIngress} from './own-ingress.ts';
import {endSidecarAlone} from './sidecar/end.ts';
import type {Beside, RingOptions} from './sidecar/index.ts';
import {version} from '@hivemind/contracts/version';

export interface AgentOptions extends Omit<EngineOptions, 'runtime'> {
  readonly bus: Bus;
  /** Made when missing. The agent keeps what it needs to go on alone in `agent/` of it. */
  readonly dataDir: string;
  /** DNS label; the machine's host name when absent. */
  readonly name?: string;
  /** Where published ports are reached. */
  readonly address?: string;
  readonly labels?: Readonly<Record<string, string>>;
  /** Which engine, as `EngineOptions` says; a runtime that is given here is used as it is, and not closed. */
  readonly runtime?: EngineOptions['runtime'] | Runtime;
  /** Absent: this machine is in no ring, and has no sidecar. */
  readonly ring?: RingOptions;
  /** The cluster's id where it is known; else the last one known, else what the control plane says. */
  readonly cluster?: string;
  /** Which images it lets go of; `defaultRetention` when absent. */
  readonly retention?: Retention | undefined;
  readonly clock?: Clock;
  readonly logger: Logger;
}

export interface Agent {
  readonly name: string;
  /** Whether something runs here, or may, that is stopped when the control plane is not heard for long: this agent is to see to that. */
  hasGuarded(): boolean;
  /** Leaves every container running. */
  stop(): Promise<void>;
}

/**
 * Resolves when the node is registered, or when the control plane turned out to be away and the machine goes on alone. Where it
 * rejects, nothing of it goes on.
 */
export async function startAgent(options: AgentOptions): Promise<Agent> {
  const begun: (() => Promise<void>)[] = [];
  try {
    return await begin(options, begun);
  } catch (error) {
    for (const end of begun.toReversed()) await end().catch((err: unknown) => options.logger.warn({err}, 'what an agent began that could not start did not end'));
    throw error;
  }
}

/** @param begun takes what ends each thing that was begun */
async function begin(options: AgentOptions, begun: (() => Promise<void>)[]): Promise<Agent> {
  const {bus} = options;
  const name = options.name ?? defaultNodeName();
  const logger = options.logger.child({node: name});
  const clock = options.clock ?? systemClock;
  const dataDir = resolve(options.dataDir);
  await mkdir(join(dataDir, 'agent'), {recursive: true, mode: 0o700});

  const before = await engineBefore(dataDir);
  const engine = {available: false, info: {name: 'unknown', version: ''}};
  const machine: {hostPorts?: NodeReport['hostPorts']} = {};
  const report = async (): Promise<NodeReport> => ({
    ...(await machineFacts({dataDir, address: options.address, labels: options.labels})),
    runtime: {...engine.info, available: engine.available, ...(engine.available ? {} : {message: 'the container engine does not answer'})},
    agentVersion: version,
    ...(machine.hostPorts === undefined ? {} : {hostPorts: machine.hostPorts}),
  });
  const registration = createRegistration({bus, node: name, instance: randomUUID(), report, clock, logger});

  begun.push(() => registration.stop());
  await registration.start();
  const cluster = await knownCluster(options, dataDir, registration);
  const {runtime: asked, ...where} = options;
  const whose = {cluster, node: name, logger, now: () => clock.now()};
  const chosen = typeof asked === 'object' ? undefined : await chooseEngine({...where, ...(asked === undefined ? {} : {runtime: asked})}, dataDir, before, whose);
  if (chosen) engine.info.name = chosen.name;
  const beside = await sidecarBeside({...options, dataDir}, {name, cluster, clock, logger, registration, engine: chosen});
  if (beside) begun.push(() => beside.stop());
  const ownIngress = options.ring === undefined ? keepIngress({dataDir, clock, logger}) : undefined;
  if (ownIngress) begun.push(() => ownIngress.stop());
  const listen = options.ring?.dnsListen ?? [];
  const discovery = createDiscovery({
    bus, node: name, dataDir, clock, logger, listen,
    sidecar: beside,
    random: Math.random,
  });
  begun.push(() => discovery.stop());
  const ingress = new MachineIngresses({
    bus, node: name, dataDir, cluster, services: discovery, session: registration, sidecar: beside ?? ownIngress, clock, logger,
    openSecrets: (namespace, names) => openSecrets(bus, name, registration.current(), namespace, names, AbortSignal.timeout(SECRETS_MS)),
  });
  begun.push(() => ingress.stop());
  const owned = chosen !== undefined;
  const runtime = typeof asked === 'object' ? asked : await openRuntime(chosen?.name ?? 'docker', where, whose);
  if (owned) begun.push(() => runtime.close());

  const configuration = createConfiguration({bus, node: name, session: registration, dataDir, secretsDir: secretsDir(cluster)});
  const storage = createStorage({bus, node: name, cluster, runtime});
  const onTakenPorts: NetworkOptions['onTakenPorts'] = (taken) => {
    machine.hostPorts = taken && {taken: [...taken]};
    registration.reportNow();
  };
  const network = createNetwork({bus, node: name, cluster, dataDir, names: beside !== undefined, services: discovery, onTakenPorts, session: registration, runtime, engine: chosen?.address, clock, logger, onGateway: (gateway) => discovery.configure({listen: gateway === undefined ? listen : [`${gateway}:${DNS_PORT}`, ...listen]}), onVirtualIps: (virtualIps) => discovery.configure({virtualIps})});
  const health = createHealthHook({runtime, clock});
  const worker = createWorker({
    node: name,
    bus,
    runtime,
    dataDir,
    session: registration,
    hooks: [network.hook, storage.hook, configuration.hook, health],
    rotation: discovery,
    credentials: configuration.credentials,
    onEngine: (available) => {
      engine.available = available;
      if (!available) return registration.reportNow();
      void runtime.info().then((info) => (engine.info = {name: info.name, version: info.version}), () => undefined).finally(() => registration.reportNow());
    },
    retention: options.retention ?? defaultRetention,
    clock,
    logger,
  });
  const served = await serveContainerNode({bus, node: name, runtime, logger, restart: (id) => worker.restart(id), onPulled: (image) => worker.pulled(image)});
  begun.push(() => served.stop(), () => network.stop(), () => storage.stop(), () => worker.stop());
  await network.start();
  // After that: a sidecar that answers is never told to answer nowhere, only because its agent does not know yet where containers ask.
  await discovery.start();
  await ingress.start();
  await storage.start();
  await worker.start();

  return {
    name,
    hasGuarded: () => worker.hasGuarded(),
    async stop() {
      await Promise.all([served.stop(), storage.stop()]);
      await worker.stop();
      await network.stop();
      await ingress.stop();
      await discovery.stop();
      await beside?.stop();
      await ownIngress?.stop();
      await registration.stop();
      if (owned) await runtime.close();
    },
  };
}

/** ms to answer with what certificates of ingress are made of. */
const SECRETS_MS = 10_000;

/** Where containers on the machine's network ask for names. */
const DNS_PORT = 53;

/** Loaded only where there is a ring. A machine that is in none any more keeps no sidecar of one. */
async function sidecarBeside({bus, dataDir, ring, address}: AgentOptions, {name, cluster, clock, logger, registration, engine}: {readonly name: string; readonly cluster: string; readonly clock: Clock; readonly logger: Logger; readonly registration: Registration; readonly engine: Engine | undefined}): Promise<Beside | undefined> {
  if (ring === undefined) {
    await endSidecarAlone(dataDir);
    return undefined;
  }
  try {
    const {startBeside} = await import('./sidecar/index.ts');
    const {address: reached} = await machineFacts({dataDir, ...(address === undefined ? {} : {address})});
    return await startBeside({bus, name, cluster, address: reached, dataDir, ring, engine: engine?.address, session: registration, clock, logger});
  } catch (err) {
    logger.error({err}, 'the sidecar cannot be seen to: this machine is in no ring, and its agent alone guards what must never run twice');
    return undefined;
  }
}

/** The id decides which of the engine's containers are ours: without it the agent waits for the control plane. */
async function knownCluster({cluster}: AgentOptions, dataDir: string, registration: Registration): Promise<string> {
  const path = join(dataDir, 'agent', 'cluster');
  const kept = await readFile(path, 'utf8').then((text) => text.trim(), () => '');
  const known = cluster ?? (kept === '' || registration.current() !== undefined ? await registration.registered() : kept);
  if (known !== kept) await writeFile(path, `${known}\n`, {mode: 0o600});
  return known;
}

/** In memory, where root has a place for that. */
function secretsDir(cluster: string): string | undefined {
  return process.platform === 'linux' && process.getuid?.() === 0 ? join('/run/hivemind', cluster, 'secrets') : undefined;
}
