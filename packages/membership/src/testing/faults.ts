/** Troubles that come by themselves, and who counts what they did. */
import {suspicionBounds} from '../core/config.ts';
import type {ProtocolConfig} from '../core/config.ts';
import type {ProtocolEvent} from '../core/protocol.ts';
import type {Host, SimulatedRing} from './ring.ts';

export interface Pauses {
  /** Of all members, paused at any one time. */
  readonly share: number;
  /** ms. Half of the pauses are drawn evenly, half evenly in their logarithm: the short ones are the many. */
  readonly shortest: number;
  readonly longest: number;
}

/** Each member stands still now and then, from now on. */
export function pauseAtRandom(ring: SimulatedRing, {share, shortest, longest}: Pauses): void {
  const {random} = ring;
  const span = longest - shortest;
  const mean = ((shortest + longest) / 2 + span / Math.log(longest / shortest)) / 2;
  const well = (mean * (1 - share)) / share;
  const next = (index: number): void => {
    const ms = random() < 0.5 ? shortest + random() * span : shortest * (longest / shortest) ** random();
    ring.after(-Math.log(1 - random()) * well, () => {
      ring.pause(index, ms);
      ring.after(ms, () => next(index));
    });
  };
  for (const {index} of ring.hosts) next(index);
}

/** The event loop of each member is held up for 50 to 200 ms, `every` ms on average. */
export function stallAtRandom(ring: SimulatedRing, every: number): void {
  const {random} = ring;
  const next = (index: number): void => {
    ring.after(-Math.log(1 - random()) * every, () => {
      const ms = 50 + random() * 150;
      ring.pause(index, ms);
      ring.after(ms, () => next(index));
    });
  };
  for (const {index} of ring.hosts) next(index);
}

export interface FalseDeath {
  readonly at: number;
  readonly observer: string;
  readonly member: string;
  /** ms since its last pause ended. */
  readonly wellFor: number;
  /** ms since the observer's last pause ended. */
  readonly observerWellFor: number;
}

/** Counts deaths declared, and of those the false: of members that run, and did not stand still within one suspicion time before. */
export class DeathWatch {
  readonly false: FalseDeath[] = [];
  deaths = 0;
  readonly #grace: number;

  /** The shortest suspicion counts, which is the strictest reading. */
  constructor(config: ProtocolConfig, members: number) {
    this.#grace = suspicionBounds(config, members).min;
  }

  saw(observer: Host, event: ProtocolEvent, now: number, hosts: readonly Host[]): void {
    if (event.type !== 'died') return;
    this.deaths++;
    const subject = hosts.find((host) => host.name === event.member.name);
    if (!subject?.up || subject.paused) return;
    const wellFor = now - subject.pausedUntil;
    if (wellFor > this.#grace) this.false.push({at: now, observer: observer.name, member: subject.name, wellFor, observerWellFor: now - observer.pausedUntil});
  }
}
