/** The machine's sidecar as its agent sees to it: kept running, told of the lease, its view of the ring reported. */
import {randomUUID} from 'node:crypto';
import type {Bus} from '@hivemind/bus';
import {ownMark} from '@hivemind/container/process-mark';
import type {Clock} from '@hivemind/controller';
import type {IngressTarget, NamesTarget} from '@hivemind/discovery/node';
import {boottime} from '@hivemind/sidecar/boottime';
import {linkToBus} from '@hivemind/sidecar/bus-link';
import {connectSidecar, type SidecarClient} from '@hivemind/sidecar/client';
import type {Logger} from 'pino';
import {keepSidecar} from './keeper.ts';
import {type LeaseTellerOptions, tellLease} from './lease.ts';
import {launchSidecar} from './program.ts';
import {createRelay} from './relay.ts';
import {prepareSettings, type RingOptions} from './settings.ts';

export type {RingOptions};

export interface BesideOptions {
  readonly bus: Bus;
  readonly name: string;
  readonly cluster: string;
  /** By which the others reach this machine. */
  readonly address: string;
  /** Absolute. */
  readonly dataDir: string;
  readonly ring: RingOptions;
  /** As the fence takes it; undefined: what runs here is guarded by nobody but the agent. */
  readonly engine: string | undefined;
  readonly session: LeaseTellerOptions['session'];
  readonly clock: Clock;
  readonly logger: Logger;
}

export interface Beside extends NamesTarget, IngressTarget {
  stop(): Promise<void>;
}

/** A sidecar that does not answer within (ms) is hung, or there is none. */
const LEAVE_MS = 2_000;

/** Resolves when it is being seen to; the sidecar comes up beside. */
export async function startBeside(options: BesideOptions): Promise<Beside> {
  const {bus, name, cluster, engine, session, clock, logger} = options;
  const settings = await prepareSettings(options);
  const client = connectSidecar(settings.socket);
  const relay = createRelay(name, client);
  const keeper = keepSidecar({settings, client, launch: launchSidecar, onReply: (reply) => relay.onReply(reply), onLost: () => relay.onLost(), clock, logger});
  const told = Promise.withResolvers<void>();
  const stopTelling = engine === undefined ? () => undefined : tellLease({cluster, engine, agent: await ownMark(), session, boottime, renew: (lease) => client.renew(lease).finally(told.resolve), clock});
  // What it did in the absence of an agent it leaves to this one first.
  if (engine?.startsWith('containerd:') === true) await withinMs(told.promise, LEAVE_MS, clock);
  const link = linkToBus({
    bus, logger, boot: randomUUID(), member: relay, leader: {heardOnBus: (leader) => passOn(client, leader)},
    setTimer: (callback, ms) => clock.setTimer(callback, ms),
  });
  link.catch((err: unknown) => logger.warn({err}, 'the ring is not reported from this machine'));
  return {
    applyNames: (part) => client.applyNames(part),
    applyIngress: () => client.applyIngress(),
    async stop() {
      stopTelling();
      await keeper.stop();
      await link.then((linked) => linked.stop(), () => undefined);
      client[Symbol.dispose]();
    },
  };
}

function passOn(client: SidecarClient, {name, node = '', since, revision: {epoch, n: revision}, renewal, leaseMs}: {readonly name: string; readonly node?: string | undefined; readonly since: string; readonly revision: {readonly epoch: string; readonly n: number}; readonly renewal: number; readonly leaseMs: number}): void {
  // It is said again and again.
  client.hearLeader({name, node, since, epoch, revision, renewal, leaseMs}).catch(() => undefined);
}

/** Resolves with it, or without it then. */
async function withinMs(promise: Promise<void>, ms: number, clock: Clock): Promise<void> {
  const late = Promise.withResolvers<void>();
  const cancel = clock.setTimer(late.resolve, ms);
  await Promise.race([promise, late.promise]);
  cancel();
}
