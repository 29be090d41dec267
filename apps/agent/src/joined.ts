/** An agent on a machine of its own: it joins once, and is the same node ever after, also while the control plane is away. */
import {connectNatsBus} from '@hivemind/bus';
import {type HivemindError, isError} from '@hivemind/contracts';
import {type Clock, systemClock} from '@hivemind/controller';
import {type AgentOptions, type Agent, startAgent} from './agent.ts';
import {endSidecar} from './sidecar/end.ts';
import {defaultNodeName, openMembership} from '@hivemind/node/node';
import {nodeInbox} from '@hivemind/trust/node';

export interface JoinedAgentOptions extends Omit<AgentOptions, 'bus' | 'cluster' | 'ring'> {
  /** `https://HOST:PORT` of a gateway; needed with `token` at the first start. */
  readonly gateway?: string;
  /** What `hivemind node join-token` printed. */
  readonly token?: string;
  /** Of the ring, UDP and TCP; default 7946. */
  readonly gossipPort?: number;
  /** `ip:port` each: where this machine's sidecar answers names; default nowhere. */
  readonly dnsListen?: readonly string[];
}

export interface JoinedAgent extends Agent {
  /**
   * Resolves with `node-removed` after the machine was removed from the cluster: agent and sidecar have ended then, containers
   * run on. Does not resolve otherwise.
   */
  readonly removed: Promise<HivemindError>;
}

/** How often it is looked whether something is left to guard, ms. */
const GUARD_MS = 500;

/** @throws what `openMembership` throws */
export async function startJoinedAgent({gateway, token, gossipPort, dnsListen, ...options}: JoinedAgentOptions): Promise<JoinedAgent> {
  const {dataDir, logger, clock, name} = options;
  const credentials = await openMembership({
    dataDir, logger,
    name: name ?? defaultNodeName(), nameGiven: name !== undefined,
    ...(gateway === undefined ? {} : {gateway}),
    ...(token === undefined ? {} : {token}),
    ...(clock ? {clock} : {}),
  }).catch((error: unknown) => leftBehind(error, dataDir));
  const {name: node, membership: {cluster, labels, busUrls, ca, gossipKey, gossipSeeds: seeds}} = credentials.identity;
  const bus = await connectNatsBus({
    servers: busUrls, name: `node ${node}`, credentials, logger,
    inboxPrefix: nodeInbox(node),
    mayBeAway: true,
    ...(busUrls.some((url) => url.startsWith('tls:')) ? {tls: {ca}} : {}),
  });
  credentials.start(bus);
  const end = async (): Promise<void> => {
    await credentials.stop();
    await bus.close();
  };
  try {
    const ring = {gossipKey, seeds, ...(gossipPort === undefined ? {} : {port: gossipPort}), ...(dnsListen === undefined ? {} : {dnsListen})};
    const agent = await startAgent({...options, bus, ring, cluster, name: node, labels: {...labels, ...options.labels}});
    let stopping: Promise<void> | undefined;
    const stop = (): Promise<void> => (stopping ??= agent.stop().finally(end));
    const removed = credentials.removed.then(async (reason) => {
      logger.error({err: reason, node}, 'this machine was removed from the cluster, and its agent ends; what it runs goes on until somebody stops it here (hivemind down). To be a node again: what hivemind node join-token prints');
      await unguarded(agent, () => stopping !== undefined, clock);
      // Told to stop meanwhile: the sidecar has still to see to what must never run twice.
      if (agent.hasGuarded()) return reason;
      await stop().catch((err: unknown) => logger.warn({err}, 'the agent did not end as it should'));
      await endSidecar(dataDir);
      return reason;
    });
    return {name: agent.name, hasGuarded: () => agent.hasGuarded(), removed, stop};
  } catch (error) {
    await end();
    throw error;
  }
}

/** What must never run twice is stopped when its lease has lapsed: until then somebody has to be there. */
async function unguarded(agent: Agent, enough: () => boolean, clock: Clock = systemClock): Promise<void> {
  while (agent.hasGuarded() && !enough()) await new Promise<void>((resolve) => void clock.setTimer(resolve, GUARD_MS));
}

/** A machine that was removed is in no ring either. */
async function leftBehind(error: unknown, dataDir: string): Promise<never> {
  if (isError(error, 'node-removed')) await endSidecar(dataDir);
  throw error;
}
