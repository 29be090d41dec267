/** The socket of the sidecar: what the agent and tools ask it. */
import {type handleServerStreamingCall, type handleUnaryCall, Server, ServerCredentials} from '@grpc/grpc-js';
import type {Leader} from '@hivemind/contracts';
import {commonErrors} from '@hivemind/contracts/define-errors';
import type {Address, Member as RingMember, MemberInfo} from '@hivemind/membership/model';
import {parseAddress} from '../address.ts';
import {sidecarErrors} from '../errors.ts';
import {listenToMember} from '../membership/listen.ts';
import type {Keys} from '../keys.ts';
import type {AnnouncedLeader} from '../leader.ts';
import type {Lease} from '../fence/lease-file.ts';
import {type Description, type HeardLeader, type IngressState, type LeaderReply, type Member, MembershipService, type NamesPart, type NamesPoint, SidecarService, type Statistics, type WatchReply} from './messages.ts';
import {claimSocketPath} from './socket.ts';
import {toStatus} from './status.ts';

export interface SocketOptions {
  readonly path: string;
  readonly member: Pick<RingMember, 'name' | 'members' | 'onEvent' | 'join'>;
  readonly keys: Keys;
  readonly leader: () => Leader | undefined;
  readonly statistics: () => Statistics;
  readonly describe: () => Description;
  /** Answered when nothing is done here any more that an agent does itself. */
  readonly renew: (lease: Lease) => Promise<void>;
  readonly hearLeader: (leader: AnnouncedLeader) => void;
  readonly applyNames: (part: NamesPart) => Promise<NamesPoint>;
  readonly applyIngress: () => Promise<IngressState>;
  /** Tells the ring; the process ends after the answer. */
  readonly leave: () => Promise<void>;
}

export interface SocketServer {
  /** Absolute. */
  readonly path: string;
  close(): void;
}

/** Replies that a watcher may leave unread: past it, it is let go, and comes back for the whole. */
const MAX_UNREAD = 10_000;

/** @throws `socket-in-use` 409; `socket-invalid` 422 */
export async function serveSocket(options: SocketOptions): Promise<SocketServer> {
  const path = await claimSocketPath(options.path);
  const server = new Server({'grpc.enable_channelz': 0, 'grpc.max_receive_message_length': 256 * 1024});
  server.addService(MembershipService, handlers(options));
  server.addService(SidecarService, agentHandlers(options));
  // For its owner alone from the first moment on.
  const before = process.umask(0o177);
  try {
    await new Promise<void>((resolve, reject) => server.bindAsync(`unix:${path}`, ServerCredentials.createInsecure(), (error) => (error ? reject(sidecarErrors['socket-invalid'](`The socket ${path} cannot be made: ${error.message}`)) : resolve())));
  } finally {
    process.umask(before);
  }
  return {path, close: () => server.forceShutdown()};
}

function handlers({member, keys, leader, statistics, leave}: SocketOptions) {
  const fingerprints = async (answer: Promise<readonly string[]>) => ({fingerprints: await answer});
  return {
    listMembers: unary(async () => ({self: member.name, members: member.members().map(memberMessage)})),
    watch: watchOf(member),
    join: unary(async ({addresses}: {addresses: readonly string[]}) => ({joined: await member.join(addresses.map(joinAddress))})),
    leave: unary(async () => {
      await leave();
      return {};
    }),
    listKeys: unary(() => fingerprints(keys.list())),
    installKey: unary(({key}: {key: Uint8Array}) => fingerprints(keys.install(key))),
    useKey: unary(({fingerprint}: {fingerprint: string}) => fingerprints(keys.use(fingerprint))),
    removeKey: unary(({fingerprint}: {fingerprint: string}) => fingerprints(keys.remove(fingerprint))),
    getStatistics: unary(async () => statistics()),
    getLeader: unary(async () => leaderMessage(leader())),
  };
}

function agentHandlers({describe, renew, hearLeader, applyNames, applyIngress}: SocketOptions) {
  return {
    describe: unary(async () => describe()),
    renew: unary(async (lease: Lease) => {
      await renew(lease);
      return {};
    }),
    applyNames: unary(applyNames),
    applyIngress: unary(applyIngress),
    hearLeader: unary(async ({name, node, since, epoch, revision, renewal, leaseMs}: HeardLeader) => {
      hearLeader({name, ...(node === '' ? {} : {node}), since, revision: {epoch, n: revision}, renewal, leaseMs});
      return {};
    }),
  };
}

function unary<Request, Reply>(answer: (request: Request) => Promise<Reply>): handleUnaryCall<Request, Reply> {
  return ({request}, callback) => {
    answer(request).then((reply) => callback(null, reply), (error: unknown) => callback(toStatus(error)));
  };
}

function watchOf(member: SocketOptions['member']): handleServerStreamingCall<object, WatchReply> {
  return (call) => {
    const send = (reply: WatchReply): void => {
      // In replies, not bytes: it is a stream of objects.
      if (call.writableLength <= MAX_UNREAD) return void call.write(reply);
      stop();
      call.emit('error', toStatus(commonErrors.unavailable('Changes came faster than they were read: watch again for the whole.')));
    };
    const stop = listenToMember(member, {
      whole: (members) => send({whole: {self: member.name, members: members.map(memberMessage)}, change: '', member: undefined}),
      changed: ({type, member: changed}) => send({whole: undefined, change: type, member: memberMessage(changed)}),
    });
    call.once('close', stop);
    call.once('cancelled', stop);
  };
}

function joinAddress(text: string): Address {
  const address = parseAddress(text);
  if (address) return address;
  throw commonErrors['invalid-input'](`${text} is no address to join: write an IP address and a port, as in 10.0.0.1:7946 or [fd00::1]:7946.`, {errors: [{path: 'addresses', message: `${text} is not an IP address and a port`}]});
}

export function memberMessage({name, address, state, incarnation, since, rttMs, metadata}: MemberInfo): Member {
  const {zone = '', agentVersion = '', api = '', tags = {}} = metadata ?? {};
  return {name, host: address.host, port: address.port, state, incarnation, sinceMs: Math.max(0, Math.round(since)), rttMs, described: metadata !== undefined, zone, agentVersion, api, tags};
}

function leaderMessage(leader: Leader | undefined): LeaderReply {
  const {name = '', node = '', since = '', revision, provisional = false} = leader ?? {};
  return {name, node, since, epoch: revision?.epoch ?? '', revision: revision?.n ?? 0, provisional};
}
