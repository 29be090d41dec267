/**
 * The membership protocol as a pure, deterministic state machine: what was heard, the time and a random source in; what to send,
 * whom to exchange views with and what changed out. SWIM with Lifeguard, and a member that knows when it was itself away.
 *
 * A transport does this, and nothing else:
 *   - each datagram, decoded: `apply(protocol.receive(now, from, messages))`;
 *   - a timer for `protocol.nextTick`, set again after every input: `apply(protocol.tick(now))`;
 *   - a push-pull it opened: send `protocol.state(join)`, read the other's, `apply(protocol.receiveState(now, from, theirs))`;
 *     one that was opened to it: read, send `protocol.state(false)`, then the same;
 *   - a fallback ping that was answered over TCP: `apply(protocol.fallbackAnswered(now, seq))`; one whose connection was refused
 *     (ECONNREFUSED, nothing else): `apply(protocol.fallbackRefused(now, seq))`; any other failure: nothing. One that is asked of
 *     it over TCP it answers with an ack itself when `target` is this member's name or empty.
 * It never delays a tick on purpose and reads its clock at the call: a tick later than asked for is how the protocol knows that
 * the process was paused.
 */
import type {Announcement} from './announcements.ts';
import type {ProtocolConfig} from './config.ts';
import type {Address, LifeState, MemberClaim, PacketMessage, PushPull} from './messages.ts';
import type {MemberTable} from './table.ts';

export {createProtocol} from './machine.ts';

/** A member as the protocol knows it. */
export interface MemberRow extends MemberClaim {
  readonly state: LifeState;
  /** In the scale of `now`, to 100 ms. */
  readonly since: number;
  /** ms of the last direct round trip. */
  readonly rttMs?: number;
}

export type ProtocolEvent =
  /** `joined`: first seen or back from the dead; `updated`: its metadata or address changed. */
  | {readonly type: 'joined' | 'suspected' | 'cleared' | 'died' | 'left' | 'updated'; readonly member: MemberRow}
  /** Someone claims a name that is taken: `known` holds it, `claimed` was refused. At most once in 30 s a name. */
  | {readonly type: 'name-conflict'; readonly name: string; readonly known: Address; readonly claimed: Address}
  /** A newer value of a topic was heard. */
  | {readonly type: 'announced'; readonly announcement: Announcement}
  /** This member was accused, and says otherwise. */
  | {readonly type: 'refuted'; readonly incarnation: number}
  /** This process stood still for so long. */
  | {readonly type: 'paused'; readonly ms: number};

export interface Packet {
  readonly to: Address;
  /** Fit one datagram of `config.packetBytes`. */
  readonly messages: readonly PacketMessage[];
}

export type StreamRequest =
  | {readonly kind: 'push-pull'; readonly to: Address}
  | {readonly kind: 'fallback-ping'; readonly to: Address; readonly target: string; readonly seq: number};

/** What one input leads to. Packets go out in this order, then streams are opened, then events are told; none waits for another. */
export interface Effects {
  readonly send: readonly Packet[];
  readonly streams: readonly StreamRequest[];
  readonly events: readonly ProtocolEvent[];
}

export interface ProtocolStatistics {
  /** 0 (well) to 8. */
  readonly health: number;
  readonly members: Readonly<Record<LifeState, number>>;
  readonly probes: number;
  readonly probeFailures: number;
  readonly pushPulls: number;
  readonly pauses: number;
}

/** Every `now` is monotonic ms of one clock; one that jumps is survived. No input throws for what it was given to hear. */
export interface Protocol {
  readonly name: string;
  readonly address: Address;
  readonly incarnation: number;
  /** When `tick` wants to be called, in the scale of `now`; may be past. */
  readonly nextTick: number;
  /** After `leave`: whether it was said often enough for the process to end. */
  readonly leaveSpread: boolean;
  receive(now: number, from: Address, messages: readonly PacketMessage[]): Effects;
  /** The other's half of a push-pull. */
  receiveState(now: number, from: Address, state: PushPull): Effects;
  /** This half of a push-pull. */
  state(join: boolean): PushPull;
  fallbackAnswered(now: number, seq: number): Effects;
  /** The fallback ping's connection was refused: that machine runs, and nobody listens there. */
  fallbackRefused(now: number, seq: number): Effects;
  tick(now: number): Effects;
  /** Says goodbye; probes nobody afterwards. */
  leave(now: number): Effects;
  /** At most 512 bytes (`metadata.ts`), or `metadata-too-large` (422). */
  setMetadata(now: number, meta: Uint8Array): Effects;
  /** Spreads a value; one that is not newer than what is known changes nothing. `announcement-invalid` (422) beyond its bounds. */
  announce(now: number, announcement: Announcement): Effects;
  announcements(): readonly Announcement[];
  /** This member first, then all it knows of, the dead it has not forgotten included. */
  members(): readonly MemberRow[];
  member(name: string): MemberRow | undefined;
  statistics(): ProtocolStatistics;
}

export interface ProtocolOptions {
  readonly self: {
    readonly name: string;
    readonly address: Address;
    readonly meta?: Uint8Array;
    /** memberlist's six numbers; protocol 5 when absent. */
    readonly versions?: readonly number[];
    /** What an earlier life reached, where that is known. Default 1. */
    readonly incarnation?: number;
  };
  readonly config?: Partial<ProtocolConfig>;
  /** Uniform in [0, 1). */
  readonly random: () => number;
  /** Of the clock that the inputs will be of. */
  readonly now: number;
  /** Bytes of a message inside a compound packet; memberlist's encoding when absent. */
  readonly size?: (message: PacketMessage) => number;
  /** What is known from the start; nothing when absent. */
  readonly table?: MemberTable;
}
