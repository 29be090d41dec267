/** `proto/` as tables. A test holds one to the other. */
import {bytes, type Decoded, double, field, flag, mapOf, type MessageType, messageType, nested, oneOf, optional, repeated, text, unsigned} from '@hivemind/protobuf';

export const Member = messageType({
  name: field(1, text),
  host: field(2, text),
  port: field(3, unsigned),
  state: field(4, oneOf('alive', 'suspect', 'dead', 'left')),
  incarnation: field(5, unsigned),
  sinceMs: field(6, unsigned),
  rttMs: optional(7, double),
  described: field(8, flag),
  zone: field(9, text),
  agentVersion: field(10, text),
  api: field(11, text),
  tags: mapOf(12, text),
});
export type Member = Decoded<typeof Member>;

const Empty = messageType({});
export const MemberList = messageType({members: repeated(1, nested(Member)), self: field(2, text)});
export const WatchReply = messageType({
  whole: optional(1, nested(MemberList)),
  change: field(2, oneOf('joined', 'suspected', 'cleared', 'died', 'left', 'updated')),
  member: optional(3, nested(Member)),
});
export type WatchReply = Decoded<typeof WatchReply>;
export const JoinRequest = messageType({addresses: repeated(1, text)});
export const JoinReply = messageType({joined: field(1, unsigned)});
export const InstallKeyRequest = messageType({key: field(1, bytes)});
export const KeyRequest = messageType({fingerprint: field(1, text)});
export const KeyList = messageType({fingerprints: repeated(1, text)});
export const Statistics = messageType({
  health: field(1, unsigned),
  members: mapOf(2, unsigned),
  packetsIn: field(3, unsigned),
  packetsOut: field(4, unsigned),
  bytesIn: field(5, unsigned),
  bytesOut: field(6, unsigned),
  dropped: mapOf(7, unsigned),
  probes: field(8, unsigned),
  probeFailures: field(9, unsigned),
  pushPulls: field(10, unsigned),
  metricsAddress: field(11, text),
  residentMemory: field(13, unsigned),
  bus: field(14, text),
});
export type Statistics = Decoded<typeof Statistics>;
export const LeaderReply = messageType({
  name: field(1, text),
  node: field(2, text),
  since: field(3, text),
  epoch: field(4, text),
  revision: field(5, unsigned),
  provisional: field(6, flag),
});
export type LeaderReply = Decoded<typeof LeaderReply>;

export const Description = messageType({
  name: field(1, text),
  version: field(2, text),
  pid: field(3, unsigned),
  bind: field(4, text),
  advertise: field(5, text),
  keyFile: field(6, text),
});
export type Description = Decoded<typeof Description>;
const LeaseMessage = messageType({cluster: field(1, text), engine: field(2, text), bootId: field(3, text), heardAtMs: field(4, unsigned), agent: field(5, text)});
const HeardLeader = messageType({
  name: field(1, text),
  node: field(2, text),
  since: field(3, text),
  epoch: field(4, text),
  revision: field(5, unsigned),
  renewal: field(6, unsigned),
  leaseMs: field(7, unsigned),
});
export type HeardLeader = Decoded<typeof HeardLeader>;

interface Method<Request, Reply> {
  readonly path: string;
  readonly requestStream: false;
  readonly responseStream: boolean;
  readonly requestSerialize: (value: Request) => Buffer;
  readonly requestDeserialize: (bytes: Buffer) => Request;
  readonly responseSerialize: (value: Reply) => Buffer;
  readonly responseDeserialize: (bytes: Buffer) => Reply;
}

function method<Request, Reply>(name: string, request: MessageType<Request>, reply: MessageType<Reply>, responseStream = false, service = 'membership.v1.Membership'): Method<Request, Reply> {
  return {
    path: `/hivemind.${service}/${name}`,
    requestStream: false,
    responseStream,
    requestSerialize: request.encode,
    requestDeserialize: request.decode,
    responseSerialize: reply.encode,
    responseDeserialize: reply.decode,
  };
}

/** See `NamesPart` in `dns/parts.ts`. */
const NamesPart = messageType({
  node: field(1, text),
  listen: repeated(2, text),
  virtualIps: field(3, flag),
  epoch: field(4, text),
  from: field(5, unsigned),
  n: field(6, unsigned),
  whole: field(7, flag),
  part: field(8, unsigned),
  more: field(9, flag),
  items: field(10, bytes),
});
export type NamesPart = Decoded<typeof NamesPart>;
const NamesPoint = messageType({epoch: field(1, text), n: field(2, unsigned)});
export type NamesPoint = Decoded<typeof NamesPoint>;
const IngressState = messageType({version: field(1, text), running: field(2, flag), problem: field(3, text)});
export type IngressState = Decoded<typeof IngressState>;

/** The services as @grpc/grpc-js takes them. */
export const MembershipService = {
  listMembers: method('ListMembers', Empty, MemberList),
  watch: method('Watch', Empty, WatchReply, true),
  join: method('Join', JoinRequest, JoinReply),
  leave: method('Leave', Empty, Empty),
  listKeys: method('ListKeys', Empty, KeyList),
  installKey: method('InstallKey', InstallKeyRequest, KeyList),
  useKey: method('UseKey', KeyRequest, KeyList),
  removeKey: method('RemoveKey', KeyRequest, KeyList),
  getStatistics: method('GetStatistics', Empty, Statistics),
  getLeader: method('GetLeader', Empty, LeaderReply),
};

const ofSidecar = <Request, Reply>(name: string, request: MessageType<Request>, reply: MessageType<Reply>) => method(name, request, reply, false, 'sidecar.v1.Sidecar');

export const SidecarService = {
  describe: ofSidecar('Describe', Empty, Description),
  renew: ofSidecar('Renew', LeaseMessage, Empty),
  hearLeader: ofSidecar('HearLeader', HeardLeader, Empty),
  applyNames: ofSidecar('ApplyNames', NamesPart, NamesPoint),
  applyIngress: ofSidecar('ApplyIngress', Empty, IngressState),
};
