/**
 * One member of the ring as the rest of the machine sees it: what `startMember` gives. The sidecar serves it over gRPC.
 */
import type {Announcement} from '../core/announcements.ts';
import type {Address, LifeState} from '../core/messages.ts';
import type {Metadata} from '../core/metadata.ts';

/** A member as this machine sees it now. */
export interface MemberInfo {
  readonly name: string;
  readonly address: Address;
  readonly state: LifeState;
  readonly incarnation: number;
  /** Absent: not of Hivemind's form (another memberlist program). */
  readonly metadata?: Metadata;
  /** ms since the epoch of the last change of state. */
  readonly since: number;
  /** The last direct round trip in ms; absent: none yet. */
  readonly rttMs?: number;
}

export interface MemberEvent {
  /** `joined`: first seen or back from the dead. `updated`: metadata or address. */
  readonly type: 'joined' | 'suspected' | 'cleared' | 'died' | 'left' | 'updated';
  readonly member: MemberInfo;
}

export type {Announcement};

export interface MemberStatistics {
  /** Local health multiplier's score, 0 (well) to 8. */
  readonly health: number;
  readonly members: Readonly<Record<LifeState, number>>;
  readonly packetsIn: number;
  readonly packetsOut: number;
  readonly bytesIn: number;
  readonly bytesOut: number;
  /** Why packets were thrown away: reason → count (`no-key`, `malformed`, `too-large`, `rate`, …). */
  readonly dropped: Readonly<Record<string, number>>;
  readonly probes: number;
  readonly probeFailures: number;
  readonly pushPulls: number;
}

/** Keys are 16, 24 or 32 bytes (AES-128/192/256-GCM). Errors: `key-invalid` (422), `key-unknown` (404), `key-in-use` (409). */
export interface KeyringControl {
  /** Fingerprints (first 8 hex digits of SHA-256) of the keys, the primary first; never the keys. */
  list(): readonly string[];
  install(key: Uint8Array): void;
  /** By fingerprint: sends with it from now on. */
  use(fingerprint: string): void;
  /** The primary one cannot be removed. */
  remove(fingerprint: string): void;
}

export interface Member {
  readonly name: string;
  readonly address: Address;
  members(): readonly MemberInfo[];
  /** Answers how to stop listening. */
  onEvent(listener: (event: MemberEvent) => void): () => void;
  announce(announcement: Announcement): void;
  announcements(): readonly Announcement[];
  onAnnouncement(listener: (announcement: Announcement) => void): () => void;
  setMetadata(metadata: Metadata): void;
  /** Asks each address for its view; answers how many did. `join-failed` (503) when none did. */
  join(addresses: readonly Address[]): Promise<number>;
  /** Tells the ring that it goes, waits until that was sent (bounded), and is silent afterwards. */
  leave(): Promise<void>;
  /** Stops without a word, as if killed. */
  close(): Promise<void>;
  readonly keyring?: KeyringControl;
  statistics(): MemberStatistics;
}
