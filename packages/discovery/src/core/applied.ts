/** Which names every machine has applied, counted by the one who leads. Pure. */
import type {NameItem, NamesEverywhere} from '@hivemind/contracts';

/** Machines have so long (ms) to say where they stand before anything is said of all of them. */
export const LISTEN_MS = 1_000;
/** A machine that got no further for so long (ms) is named. */
export const LATE_MS = 1_000;
/** Of those that are waited for. */
const MOST_NAMED = 20;
/** Words of machines that are heard in a second, at most. */
const WORDS_A_SECOND = 5_000;

interface Machine {
  /** It has applied everything up to here. */
  readonly n: number;
  /** ms: since then it is known to be behind, and got no further. */
  readonly behindSince: number | undefined;
}

/** Whether somebody may wait for this change to be applied: a container left the rotation. */
export function takesOut(items: readonly NameItem[]): boolean {
  return items.some((item) => item.kind === 'endpoint' && item.value?.ready === false);
}

/** Of one epoch of the store, by one leader. */
export class AppliedCount {
  readonly #by: string;
  readonly #countsFrom: number;
  readonly #machines = new Map<string, Machine>();
  /** The last change that machines say that they applied; what came before this count is one. */
  #lastOut: number;

  /** @param n up to where the machines were told; @param now ms */
  constructor(by: string, n: number, now: number) {
    this.#by = by;
    this.#lastOut = n;
    this.#countsFrom = now + LISTEN_MS;
  }

  /** ms until it knows enough to say anything. */
  listensFor(now: number): number {
    return Math.max(0, this.#countsFrom - now);
  }

  /** ms between two words of a machine. */
  get everyMs(): number {
    return Math.max(2, (this.#machines.size * 1_000) / WORDS_A_SECOND);
  }

  /** @param n null: it uses no names any more. @returns whether its agent may have begun anew: then it is to hear how all stand */
  heard(node: string, n: number | null, now: number): boolean {
    const before = this.#machines.get(node);
    if (n === null) {
      this.#machines.delete(node);
      return false;
    }
    const isUpToDate = n >= this.#lastOut;
    this.#machines.set(node, {n, behindSince: isUpToDate ? undefined : before?.n === n ? (before.behindSince ?? now) : now});
    return before === undefined || n < before.n || (n === before.n && isUpToDate);
  }

  /** Up to where all ready machines have applied what changed, `told` at most; null: not known yet. */
  through(told: number, isReady: (node: string) => boolean, now: number): number | null {
    if (this.listensFor(now) > 0) return null;
    let least = told;
    for (const [node, {n}] of this.#machines) if (n < this.#lastOut && n < least && isReady(node)) least = n;
    return least;
  }

  /** Whether a ready machine is known to have something yet to apply. */
  isWaiting(isReady: (node: string) => boolean): boolean {
    return [...this.#machines].some(([node, {n}]) => n < this.#lastOut && isReady(node));
  }

  /** What to say of it with a word to all machines, about what changed after `since`, up to `to`. */
  say({since, to, out}: {readonly since: number; readonly to: number; readonly out: boolean}, isReady: (node: string) => boolean, now: number): NamesEverywhere {
    const counted = [...this.#machines.keys()].some(isReady);
    const n = this.through(out && counted ? since : to, isReady, now);
    const behind: string[] = [];
    for (const [node, {behindSince}] of this.#machines) {
      if (behindSince !== undefined && now - behindSince >= LATE_MS && isReady(node) && behind.length < MOST_NAMED) behind.push(node);
    }
    if (out) {
      this.#lastOut = to;
      for (const [node, machine] of this.#machines) if (machine.behindSince === undefined && machine.n < to) this.#machines.set(node, {...machine, behindSince: now});
    }
    return {by: this.#by, n, behind, everyMs: this.everyMs};
  }
}
