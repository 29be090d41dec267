/**
 * What members of the ring say to each other, decoded. `wire/` turns these into the bytes of hashicorp/memberlist's protocol
 * version 5 and back; the core never sees a byte of framing.
 *
 * Source of names and meanings: SWIM (Das et al., 2002), Lifeguard (Dadgar et al., 2017), memberlist's net.go.
 */

/** Where a member listens, for UDP and TCP alike. */
export interface Address {
  /** An IP address as text, IPv4 or IPv6; never a name. */
  readonly host: string;
  readonly port: number;
}

/** What a member says of itself. It alone raises its incarnation. */
export interface MemberClaim {
  readonly name: string;
  readonly address: Address;
  /** uint32; a greater one replaces what is known. */
  readonly incarnation: number;
  /** Opaque to the protocol, at most 512 bytes (`metadata.ts` has its form). */
  readonly meta: Uint8Array;
  /** memberlist's [protocol min, max, current, delegate min, max, current]. */
  readonly versions: readonly number[];
}

/** States as memberlist numbers them in a push-pull. */
export type LifeState = 'alive' | 'suspect' | 'dead' | 'left';

export interface Ping {
  readonly type: 'ping';
  /** uint32 that the ack repeats. */
  readonly seq: number;
  /** Who should answer; a member of another name stays silent. Empty: whoever listens there. */
  readonly target: string;
  /** Who asks, where the packet's own source will not do. */
  readonly source?: {readonly name: string; readonly address: Address};
}
export interface IndirectPing {
  readonly type: 'indirect-ping';
  readonly seq: number;
  readonly target: string;
  readonly address: Address;
  /** The asker understands `nack`. */
  readonly nack: boolean;
  readonly source?: {readonly name: string; readonly address: Address};
}
export interface Ack {
  readonly type: 'ack';
  readonly seq: number;
  readonly payload: Uint8Array;
}
/** "I got no answer from it either", so that the asker knows that at least its helper hears it (Lifeguard). */
export interface Nack {
  readonly type: 'nack';
  readonly seq: number;
}
export interface Suspect {
  readonly type: 'suspect';
  readonly incarnation: number;
  readonly name: string;
  /** Who suspects: each counts once as an independent confirmation. */
  readonly from: string;
}
export interface Alive {
  readonly type: 'alive';
  readonly claim: MemberClaim;
}
/** From the member itself: it left. */
export interface Dead {
  readonly type: 'dead';
  readonly incarnation: number;
  readonly name: string;
  readonly from: string;
}
/** Bytes of the application, spread by gossip. */
export interface User {
  readonly type: 'user';
  readonly payload: Uint8Array;
}

/** What a datagram carries; several in one by the compound framing. */
export type PacketMessage = Ping | IndirectPing | Ack | Nack | Suspect | Alive | Dead | User;

/** One row of a push-pull: everything a member knows of another. */
export interface MemberView extends MemberClaim {
  readonly state: LifeState;
}
/** The whole view, exchanged both ways over TCP. */
export interface PushPull {
  readonly type: 'push-pull';
  readonly join: boolean;
  readonly members: readonly MemberView[];
  readonly userState: Uint8Array;
}
