/**
 * The machine's long-lived process beside the agent: what must outlive an agent lives here, all of it on one thread, for a second
 * one takes a tenth of what Hivemind takes of a machine (docs/decisions/0010). So nothing here may take long at once.
 */
import {randomUUID} from 'node:crypto';
import {isIP} from 'node:net';
import {join, resolve} from 'node:path';
import {setTimeout as pause} from 'node:timers/promises';
import type {Bus} from '@hivemind/bus';
import {PLAN_FILE} from '@hivemind/discovery/ingress';
import {SNAPSHOT_FILE} from '@hivemind/discovery/names/kept';
import type {Address, Member} from '@hivemind/membership/model';
import {startMember} from '@hivemind/membership/node';
import type {Logger} from 'pino';
import {type BusConnection, seekBus} from './bus-connection.ts';
import {type HostPort, parseAddress} from './address.ts';
import type {LinkedMember} from './bus-link.ts';
import {boottime} from './fence/boottime.ts';
import {Names} from './dns/names.ts';
import {connectEngine} from './fence/engine.ts';
import {Fence} from './fence/fence.ts';
import type {Description, Statistics} from './grpc/messages.ts';
import {serveSocket} from './grpc/server.ts';
import {claimSocketPath} from './grpc/socket.ts';
import {IngressKeeper} from './ingress/keeper.ts';
import {readKeyFile} from './key-file.ts';
import {createKeys} from './keys.ts';
import {LeaderWatch} from './leader-watch.ts';
import {keepOutputs} from './outputs.ts';
import {joinByName} from './membership/join-by-name.ts';
import {listenToMember} from './membership/listen.ts';
import {serveMetrics} from './metrics.ts';
import {addressText} from './report.ts';
import {version} from '@hivemind/contracts/version';

export interface SidecarOptions {
  /** Of the machine, the only one in the ring. */
  readonly name: string;
  /** Where the ring is spoken, UDP and TCP. Port 0: any that is free. */
  readonly bind: Address;
  /** What others are told, where that is another address. */
  readonly advertise?: Address;
  /** Members of the ring; names are looked up until one answers. */
  readonly join?: readonly HostPort[];
  /** Base64 keys, one a line, the first sends. Rewritten when keys are changed through the socket. */
  readonly keyFile?: string;
  readonly zone?: string;
  readonly tags?: Readonly<Record<string, string>>;
  readonly agentVersion?: string;
  /** `host:port` where the machine's agent or API answers. */
  readonly api?: string;
  /** What it remembers of the ring is kept in `sidecar/` of it. Absent: nothing is kept. */
  readonly dataDir?: string;
  /** Path of the unix socket. */
  readonly socket: string;
  /** Where liveness and metrics are served; default: any free port of 127.0.0.1. */
  readonly metrics?: HostPort | 'off';
  /** Rejects while the bus is away. Absent: there is no bus. */
  readonly connectBus?: () => Promise<Bus>;
  readonly logger: Logger;
}

export interface Sidecar {
  readonly address: Address;
  /** Absolute path. */
  readonly socket: string;
  /** `host:port`; undefined: off. */
  readonly metrics: string | undefined;
  /** Resolves when it was told, through its socket, to leave the ring: then it is to be stopped. */
  readonly left: Promise<void>;
  /** Tells the ring that it goes (bounded), and ends. */
  stop(): Promise<void>;
}

type Undo = (() => Promise<unknown> | void)[];

interface Parts {
  names?: Names;
  ingress?: IngressKeeper;
  bus?: BusConnection;
  metrics?: string;
}

/** Ms for the ring to be told that this member leaves; the telling's own bound is shorter. */
const LEAVE_WITHIN_MS = 6_000;

const setTimer = (callback: () => void, ms: number): (() => void) => {
  const timer = setTimeout(callback, ms);
  return () => clearTimeout(timer);
};

/**
 * Resolves when it listens; the ring is joined and the bus found in the background.
 * @throws `key-file-invalid` 422; `socket-in-use`, `address-in-use` 409; `socket-invalid`, `invalid-input` 422. What had been started is stopped then.
 */
export async function startSidecar(options: SidecarOptions): Promise<Sidecar> {
  const undo: Undo = [];
  let stopping: Promise<void> | undefined;
  const stop = (): Promise<void> =>
    (stopping ??= (async () => {
      for (const step of undo.splice(0).toReversed()) await Promise.resolve().then(step).catch((err: unknown) => options.logger.warn({err}, 'something did not stop as it should'));
    })());
  try {
    return {...(await startParts(options, undo)), stop};
  } catch (error) {
    await stop();
    throw error;
  }
}

async function startParts(options: SidecarOptions, undo: Undo): Promise<Omit<Sidecar, 'stop'>> {
  const {name, logger} = options;
  const part = (what: string) => logger.child({part: what});
  // Before the ring hears of a second member of this name.
  await claimSocketPath(options.socket);
  const ring = await joinRing(options, undo);
  const {member} = ring;
  const keys = createKeys({member, keys: ring.keys, file: options.keyFile, logger});
  const left = Promise.withResolvers<void>();
  const parts: Parts = {};
  const leader = new LeaderWatch({member, now: () => performance.now(), random: Math.random, setTimer});
  undo.push(() => leader.stop());
  const fence = new Fence({file: fileOf(options, 'fence.json'), boottime, connectEngine, setTimer, logger: part('fence')});
  undo.push(() => fence.stop());
  const outputs = keepOutputs({logger: part('outputs'), setTimer});
  undo.push(() => outputs.stop());
  const names = new Names({file: options.dataDir === undefined ? undefined : join(resolve(options.dataDir), SNAPSHOT_FILE), logger: part('names'), setTimer, now: () => performance.now(), random: Math.random});
  parts.names = names;
  undo.push(() => names.stop());
  const ingress = keeperOf(options);
  parts.ingress = ingress;
  undo.push(() => ingress.stop());

  const socket = await serveSocket({
    path: options.socket, member, keys,
    leader: () => leader.view(),
    statistics: () => statisticsOf(member, parts),
    describe: () => descriptionOf(options),
    async renew(lease) {
      fence.renew(lease);
      await outputs.heard(lease);
    },
    hearLeader: (heard) => leader.heardOnBus(heard),
    applyNames: (told) => names.apply(told),
    applyIngress: () => ingress.apply(),
    async leave() {
      await ring.leave();
      left.resolve();
    },
  });
  undo.push(() => socket.close());
  await Promise.all([fence.start(), names.start(), outputs.start(fileOf(options, 'fence.json'))]);
  // HAProxy may take seconds, or hang: the ring does not wait for it.
  void ingress.start();
  // At the end the ring is told first: the rest may take longer than this process is given.
  undo.push(() => ring.leave());
  undo.push(joinByName({names: (options.join ?? []).filter(({host}) => isIP(host) === 0), member, setTimer, logger}));
  parts.metrics = await startMetrics(options, member, parts, undo);
  if (options.connectBus) {
    const bus = (parts.bus = seekBus({connect: options.connectBus, setTimer, logger, onBus: async (connected) => (await import('./bus-link.ts')).linkToBus({bus: connected, member: linked(member), leader, boot: randomUUID(), setTimer, logger})}));
    undo.push(() => bus.stop());
  }
  logger.info({name, address: addressText(member.address), socket: socket.path, metrics: parts.metrics}, 'the sidecar is up');
  return {address: member.address, socket: socket.path, metrics: parts.metrics, left: left.promise};
}

interface InRing {
  readonly member: Member;
  /** In the order of the key file. */
  readonly keys: readonly Uint8Array[];
  /** Tells the ring, once. */
  leave(): Promise<void>;
}

async function joinRing(options: SidecarOptions, undo: Undo): Promise<InRing> {
  const keys = await readKeys(options);
  const member = await startMember({...settingsOf(options, keys), logger: options.logger.child({part: 'membership'})});
  let leaving: Promise<void> | undefined;
  const leave = (): Promise<void> => (leaving ??= Promise.race([member.leave(), pause(LEAVE_WITHIN_MS, undefined, {ref: false})]));
  undo.push(() => leave().finally(() => member.close()));
  return {member, keys, leave};
}

function keeperOf({dataDir, logger}: SidecarOptions): IngressKeeper {
  const dir = fileOf({dataDir}, 'ingress') ?? '';
  return new IngressKeeper({file: dataDir === undefined ? undefined : join(resolve(dataDir), PLAN_FILE), dir, logger: logger.child({part: 'ingress'}), setTimer, now: () => performance.now()});
}

function linked(member: Member): LinkedMember {
  return {
    name: member.name,
    members: async () => member.members(),
    listen: (listener) => listenToMember(member, listener),
    meet: (addresses) => member.join(addresses.flatMap((address) => parseAddress(address) ?? [])),
  };
}

function settingsOf({name, bind, advertise, join: seeds = [], zone, tags, agentVersion, api, dataDir}: SidecarOptions, keys: readonly Uint8Array[]) {
  const metadata = {zone, agentVersion, api, tags: tags && Object.keys(tags).length > 0 ? tags : undefined};
  return {
    name, bind, advertise,
    join: seeds.filter(({host}) => isIP(host) !== 0),
    keys: keys.length > 0 ? keys : undefined,
    metadata: Object.fromEntries(Object.entries(metadata).filter(([, value]) => value !== undefined)),
    dataDir: fileOf({dataDir}),
  };
}

/** In what it keeps; undefined: it keeps nothing. */
function fileOf({dataDir}: Pick<SidecarOptions, 'dataDir'>, name = ''): string | undefined {
  return dataDir === undefined ? undefined : join(resolve(dataDir), 'sidecar', name);
}

function descriptionOf({name, bind, advertise, keyFile = ''}: SidecarOptions): Description {
  return {name, version, pid: process.pid, bind: addressText(bind), advertise: advertise === undefined ? '' : addressText(advertise), keyFile};
}

async function readKeys({keyFile, logger}: SidecarOptions): Promise<readonly Uint8Array[]> {
  if (keyFile === undefined) return [];
  const {keys, mode} = await readKeyFile(keyFile);
  if ((mode & 0o077) !== 0) logger.warn({keyFile, mode: mode.toString(8)}, 'others than its owner may read the key file: chmod 600 it');
  return keys;
}

async function startMetrics({metrics = {host: '127.0.0.1', port: 0}}: SidecarOptions, member: Member, parts: Parts, undo: Undo): Promise<string | undefined> {
  if (metrics === 'off') return undefined;
  const server = await serveMetrics(metrics, async () => ({
    statistics: member.statistics(),
    names: await parts.names?.vitals(),
    ingress: parts.ingress?.state,
    ...(parts.bus ? {busConnected: parts.bus.state() === 'connected'} : {}),
    residentMemory: process.memoryUsage.rss(),
  }), () => parts.ingress?.metricsSocket());
  undo.push(() => server.close());
  return addressText(server);
}

function statisticsOf(member: Member, {bus, metrics}: Parts): Statistics {
  return {...member.statistics(), metricsAddress: metrics ?? '', residentMemory: process.memoryUsage.rss(), bus: bus?.state() ?? 'off'};
}
