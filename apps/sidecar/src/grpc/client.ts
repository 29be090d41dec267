/** The other end of the sidecar's socket, for the agent and tools. */
import {resolve} from 'node:path';
import {Client, credentials, type ServiceError} from '@grpc/grpc-js';
import {sidecarErrors} from '../errors.ts';
import type {Lease} from '../fence/lease-file.ts';
import {type Description, type HeardLeader, type IngressState, type Member, MembershipService, type NamesPart, type NamesPoint, SidecarService, type Statistics, type LeaderReply, type WatchReply} from './messages.ts';
import {fromStatus} from './status.ts';

export type {Description, HeardLeader, IngressState, LeaderReply, Lease, Member, NamesPart, NamesPoint, Statistics, WatchReply};

const DEADLINE_MS = 10_000;
/**
 * One that was away is tried so often at least, ms: a connection to a socket of this machine costs nothing, and who was started again
 * has to be told of the lease before it stops by an old one what must never run twice.
 */
const TRY_EVERY_MS = 250;

/** Every call rejects with the error of the sidecar, or `sidecar-absent` 503. */
export interface SidecarClient extends Disposable {
  members(): Promise<{readonly self: string; readonly members: readonly Member[]}>;
  /** First the whole, then changes; ends when the signal is aborted. */
  watch(signal: AbortSignal): AsyncIterable<WatchReply>;
  /** IP addresses and ports; answers how many answered. */
  join(addresses: readonly string[]): Promise<number>;
  leave(): Promise<void>;
  /** Fingerprints, the one that is used first; so of all of these. */
  keys(): Promise<readonly string[]>;
  installKey(key: Uint8Array): Promise<readonly string[]>;
  useKey(fingerprint: string): Promise<readonly string[]>;
  removeKey(fingerprint: string): Promise<readonly string[]>;
  statistics(): Promise<Statistics>;
  /** An empty name: nobody is known to lead. */
  leader(): Promise<LeaderReply>;
  /** Who serves this socket. */
  describe(): Promise<Description>;
  /** Each second: see docs/fencing.md. `heardAtMs` 0: no heartbeat was answered yet. */
  renew(lease: Lease): Promise<void>;
  /** What the bus says of who leads. */
  hearLeader(leader: HeardLeader): Promise<void>;
  /** Names for it to answer; says where they stand then. */
  applyNames(part: NamesPart): Promise<NamesPoint>;
  /** There is another plan of ingress on disk; says what came of it. */
  applyIngress(): Promise<IngressState>;
}

const methods = {...MembershipService, ...SidecarService};
type Service = typeof methods;
type Unary = Exclude<keyof Service, 'watch'>;
type RequestOf<M extends keyof Service> = Parameters<Service[M]['requestSerialize']>[0];
type ReplyOf<M extends keyof Service> = ReturnType<Service[M]['responseDeserialize']>;

/** Nothing is connected before the first call. */
export function connectSidecar(socket: string): SidecarClient {
  const path = resolve(socket);
  // No HTTP proxy stands before a socket.
  const client = new Client(`unix:${path}`, credentials.createInsecure(), {'grpc.enable_http_proxy': 0, 'grpc.enable_channelz': 0, 'grpc.initial_reconnect_backoff_ms': 100, 'grpc.max_reconnect_backoff_ms': TRY_EVERY_MS});
  const call = <M extends Unary>(name: M, request: RequestOf<M>): Promise<ReplyOf<M>> => {
    const {path: method, requestSerialize, responseDeserialize} = methods[name] as unknown as {path: string; requestSerialize(value: RequestOf<M>): Buffer; responseDeserialize(bytes: Buffer): ReplyOf<M>};
    return new Promise((settle, reject) => {
      client.makeUnaryRequest(method, requestSerialize, responseDeserialize, request, {deadline: Date.now() + DEADLINE_MS}, (error, reply) => {
        if (error || reply === undefined) reject(error ? asThrown(error, path) : new Error('no reply'));
        else settle(reply);
      });
    });
  };
  const fingerprints = async (reply: Promise<{readonly fingerprints: readonly string[]}>): Promise<readonly string[]> => (await reply).fingerprints;
  return {
    members: () => call('listMembers', {}),
    watch: (signal) => watch(client, path, signal),
    join: async (addresses) => (await call('join', {addresses})).joined,
    leave: async () => void (await call('leave', {})),
    keys: () => fingerprints(call('listKeys', {})),
    installKey: (key) => fingerprints(call('installKey', {key})),
    useKey: (fingerprint) => fingerprints(call('useKey', {fingerprint})),
    removeKey: (fingerprint) => fingerprints(call('removeKey', {fingerprint})),
    statistics: () => call('getStatistics', {}),
    leader: () => call('getLeader', {}),
    describe: () => call('describe', {}),
    renew: async (lease) => void (await call('renew', {agent: '', ...lease})),
    hearLeader: async (leader) => void (await call('hearLeader', leader)),
    applyNames: (part) => call('applyNames', part),
    applyIngress: () => call('applyIngress', {}),
    [Symbol.dispose]: () => client.close(),
  };
}

async function* watch(client: Client, socket: string, signal: AbortSignal): AsyncGenerator<WatchReply> {
  const {path, requestSerialize, responseDeserialize} = MembershipService.watch;
  const stream = client.makeServerStreamRequest(path, requestSerialize, responseDeserialize, {});
  const cancel = (): void => stream.cancel();
  signal.addEventListener('abort', cancel, {once: true});
  try {
    if (signal.aborted) return;
    for await (const reply of stream as AsyncIterable<WatchReply>) yield reply;
  } catch (error) {
    if (!signal.aborted) throw asThrown(error as ServiceError, socket);
  } finally {
    signal.removeEventListener('abort', cancel);
    cancel();
  }
}

function asThrown(error: ServiceError, socket: string): Error {
  return fromStatus(error) ?? sidecarErrors['sidecar-absent'](`No sidecar answers at ${socket} (${/\bE[A-Z]{3,}\b/.exec(error.details)?.[0] ?? error.details}). Start one with: hivemind membership --name NAME --bind HOST:PORT --socket ${socket}`, {cause: error});
}
