/**
 * Who leads, as a machine knows it. The leader says so on the bus again and again; sidecars that have a bus pass it on in
 * gossip, so that all know it. Not heard for its lease's length: the ring names a provisional one, the same everywhere, for
 * people to look at. It may decide nothing that needs the store. Pure.
 */
import type {Leader} from '@hivemind/contracts';
import {type MemberInfo, provisionalLeader} from '@hivemind/membership/model';

/** A leader as it travels, on the bus and in gossip. */
export interface AnnouncedLeader {
  readonly name: string;
  readonly node?: string | undefined;
  /** RFC 3339. */
  readonly since: string;
  /** The fencing revision. */
  readonly revision: {readonly epoch: string; readonly n: number};
  /** Counts up within one term. */
  readonly renewal: number;
  /** Not heard for so long (ms), it is no longer known to lead. */
  readonly leaseMs: number;
}

export interface HeardLeader {
  readonly leader: AnnouncedLeader;
  /** Monotonic ms of this machine: clocks of others are not compared with. */
  readonly heardAt: number;
}

export const LEADER_TOPIC = 'leader';
/** What an announcement may hold. */
const MAX_PAYLOAD_BYTES = 400;
const MAX_LEASE_MS = 600_000;

/**
 * Whether `next` says more than `known`. Within an epoch the fencing revision decides, then the renewal. Epochs are not
 * ordered: from the store's own side (`bus`) another one is the newer one.
 */
export function supersedes(next: AnnouncedLeader, known: AnnouncedLeader | undefined): boolean {
  if (!known || next.revision.epoch !== known.revision.epoch) return true;
  return next.revision.n > known.revision.n || (next.revision.n === known.revision.n && next.renewal > known.renewal);
}

/** The announced leader while it is heard; else the alive member of the lowest name, provisionally; undefined in an empty ring. */
export function leaderNow(heard: HeardLeader | undefined, members: readonly Pick<MemberInfo, 'name' | 'state'>[], now: number): Leader | undefined {
  if (heard && now - heard.heardAt < heard.leader.leaseMs) {
    const {name, node, since, revision} = heard.leader;
    return {name, ...(node === undefined ? {} : {node}), since, revision, provisional: false};
  }
  const first = provisionalLeader(members);
  return first === undefined ? undefined : {name: first, node: first, provisional: true};
}

/** undefined: too long for gossip. */
export function encodeLeader({name, node, since, revision, renewal, leaseMs}: AnnouncedLeader): Uint8Array | undefined {
  const payload = Buffer.from(JSON.stringify([name, node ?? '', since, revision.epoch, revision.n, renewal, leaseMs]));
  return payload.length <= MAX_PAYLOAD_BYTES ? payload : undefined;
}

/** undefined: not of this form. */
export function decodeLeader(payload: Uint8Array): AnnouncedLeader | undefined {
  if (payload.length > MAX_PAYLOAD_BYTES) return undefined;
  const fields = parsed(payload);
  if (!Array.isArray(fields)) return undefined;
  const [name, node, since, epoch, n, renewal, leaseMs]: unknown[] = fields;
  if (!isText(name) || name === '' || !isText(node) || !isText(since) || !isText(epoch)) return undefined;
  if (!isCount(n) || !isCount(renewal) || !isCount(leaseMs) || leaseMs === 0 || leaseMs > MAX_LEASE_MS) return undefined;
  return {name, ...(node === '' ? {} : {node}), since, revision: {epoch, n}, renewal, leaseMs};
}

function parsed(payload: Uint8Array): unknown {
  try {
    return JSON.parse(Buffer.from(payload).toString('utf8'));
  } catch {
    return undefined;
  }
}

const isText = (value: unknown): value is string => typeof value === 'string';
const isCount = (value: unknown): value is number => typeof value === 'number' && Number.isSafeInteger(value) && value >= 0;
