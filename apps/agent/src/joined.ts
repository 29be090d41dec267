/** An agent on a machine of its own: it joins once, and is the same node ever after, also while the control plane is away. */
import {connectNatsBus} from '@hivemind/bus';
import {isError} from '@hivemind/contracts';
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

/** @throws what `openMembership` throws */
export async function startJoinedAgent({gateway, token, gossipPort, dnsListen, ...options}: JoinedAgentOptions): Promise<Agent> {
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
    return {name: agent.name, stop: () => agent.stop().finally(end)};
  } catch (error) {
    await end();
    throw error;
  }
}

/** A machine that was removed is in no ring either. */
async function leftBehind(error: unknown, dataDir: string): Promise<never> {
  if (isError(error, 'node-removed')) await endSidecar(dataDir);
  throw error;
}
