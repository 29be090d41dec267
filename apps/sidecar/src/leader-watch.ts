/** Hears who leads, from the bus and from the ring, and passes on in the ring what only the bus knew. */
import type {Leader} from '@hivemind/contracts';
import type {Announcement, Member} from '@hivemind/membership/model';
import {type AnnouncedLeader, decodeLeader, encodeLeader, type HeardLeader, LEADER_TOPIC, leaderNow, supersedes} from './leader.ts';

/** All sidecars hear the bus at once: each waits up to so long (ms) for another to say it in the ring. */
const SPREAD_MS = 2_000;

export interface LeaderWatchOptions {
  readonly member: Pick<Member, 'members' | 'announce' | 'announcements' | 'onAnnouncement'>;
  /** Monotonic ms. */
  readonly now: () => number;
  /** In [0, 1). */
  readonly random: () => number;
  /** Calls once after `ms`; answers how to cancel. */
  readonly setTimer: (callback: () => void, ms: number) => () => void;
}

export class LeaderWatch {
  readonly #options: LeaderWatchOptions;
  readonly #stopListening: () => void;
  #heard: HeardLeader | undefined;
  /** The ring's version; only a greater one is taken there. */
  #version = 0;
  /** What the ring says. */
  #spread: AnnouncedLeader | undefined;
  #cancel: () => void = () => undefined;

  constructor(options: LeaderWatchOptions) {
    this.#options = options;
    this.#stopListening = options.member.onAnnouncement((announcement) => this.#heardInRing(announcement));
    // What the ring knew before this machine listened.
    for (const announcement of options.member.announcements()) this.#heardInRing(announcement);
  }

  view(): Leader | undefined {
    return leaderNow(this.#heard, this.#options.member.members(), this.#options.now());
  }

  heardOnBus(leader: AnnouncedLeader): void {
    if (!supersedes(leader, this.#heard?.leader)) return;
    this.#heard = {leader, heardAt: this.#options.now()};
    this.#cancel();
    this.#cancel = this.#options.setTimer(() => this.#tellRing(leader), this.#options.random() * SPREAD_MS);
  }

  stop(): void {
    this.#cancel();
    this.#stopListening();
  }

  #heardInRing({topic, version, payload}: Announcement): void {
    if (topic !== LEADER_TOPIC || version <= this.#version) return;
    this.#version = version;
    const leader = decodeLeader(payload);
    if (!leader) return;
    this.#spread = leader;
    if (supersedes(leader, this.#heard?.leader)) this.#heard = {leader, heardAt: this.#options.now()};
  }

  #tellRing(leader: AnnouncedLeader): void {
    if (!supersedes(leader, this.#spread)) return;
    const payload = encodeLeader(leader);
    if (!payload) return;
    // Beyond the fencing revision, where the ring still tells of an epoch that had come further.
    this.#version = Math.max(this.#version + 1, leader.revision.n);
    this.#spread = leader;
    this.#options.member.announce({topic: LEADER_TOPIC, version: this.#version, payload});
  }
}
