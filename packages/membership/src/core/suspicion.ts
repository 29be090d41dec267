/**
 * How long a suspicion lasts (Lifeguard): long while one member alone accuses, which may be the one that is unwell; shrinking with
 * the logarithm of independent confirmations to the shortest that a healthy member needs to hear of it and answer.
 */

/** ms after its beginning, for so many confirmations of the `wanted` that make it shortest. */
export function suspicionTimeout(confirmations: number, wanted: number, min: number, max: number): number {
  if (wanted < 1) return min;
  const share = Math.log(confirmations + 1) / Math.log(wanted + 1);
  return Math.max(min, max - (max - min) * share);
}

export interface Suspicion {
  readonly id: number;
  start: number;
  readonly min: number;
  readonly max: number;
  /** Confirmations wanted: fewer in a ring that has not so many. */
  readonly wanted: number;
  /** Who accuses, the first included; at most wanted + 1. */
  accusers: string[];
  /** When the suspect is asked, unless it has been: confirmation would have come by then, were it dead. */
  askAt: number;
  deadline: number;
  /** ms by which it may still be postponed: a member that is always late must get somewhere too. */
  patience: number;
}

/** The suspicions in hand, by row. */
export class Suspicions {
  readonly #open = new Map<number, Suspicion>();
  #next = Infinity;
  #stale = false;

  get size(): number {
    return this.#open.size;
  }

  get(id: number): Suspicion | undefined {
    return this.#open.get(id);
  }

  ids(): IterableIterator<number> {
    return this.#open.keys();
  }

  /** The first time at which something is due, be it `doubted` or `due`. */
  get next(): number {
    if (this.#stale) {
      this.#next = Infinity;
      for (const {askAt, deadline} of this.#open.values()) this.#next = Math.min(this.#next, askAt, deadline);
      this.#stale = false;
    }
    return this.#next;
  }

  open(id: number, accuser: string, wanted: number, bounds: {readonly min: number; readonly max: number}, now: number): void {
    const suspicion: Suspicion = {id, start: now, ...bounds, wanted, accusers: [accuser], askAt: 0, deadline: 0, patience: bounds.max};
    this.#open.set(id, suspicion);
    this.#settle(suspicion);
  }

  /** Whether that was a confirmation that still counts. */
  confirm(id: number, accuser: string): boolean {
    const suspicion = this.#open.get(id);
    if (!suspicion || suspicion.accusers.length > suspicion.wanted || suspicion.accusers.includes(accuser)) return false;
    suspicion.accusers.push(accuser);
    this.#settle(suspicion);
    return true;
  }

  close(id: number): void {
    if (this.#open.delete(id)) this.#stale = true;
  }

  /** Rows that are still accused by too few; each is named once. */
  doubted(now: number): number[] {
    if (this.next > now) return [];
    const ids: number[] = [];
    for (const suspicion of this.#open.values()) {
      if (suspicion.askAt > now || suspicion.deadline <= now) continue;
      suspicion.askAt = Infinity;
      this.#stale = true;
      ids.push(suspicion.id);
    }
    return ids;
  }

  /** Rows whose time is over; they stay until closed. */
  due(now: number): number[] {
    if (this.next > now) return [];
    return [...this.#open.values()].filter((s) => s.deadline <= now).map((s) => s.id);
  }

  /** This member stood still: what it missed in that time does not count against others. */
  postpone(ms: number): void {
    for (const suspicion of this.#open.values()) {
      const by = Math.min(ms, suspicion.patience);
      suspicion.patience -= by;
      suspicion.start += by;
      this.#settle(suspicion);
    }
  }

  /** Begins each anew with its first accuser alone. */
  restart(now: number): void {
    for (const suspicion of this.#open.values()) {
      suspicion.start = now;
      suspicion.accusers.length = 1;
      this.#settle(suspicion);
    }
  }

  #settle(suspicion: Suspicion): void {
    const {accusers, wanted, min, max} = suspicion;
    suspicion.deadline = suspicion.start + suspicionTimeout(accusers.length - 1, wanted, min, max);
    if (suspicion.askAt !== Infinity) suspicion.askAt = suspicion.start + min;
    this.#stale = true;
  }
}
