/**
 * Things that will happen, in the order of their time: a wheel of slots for what is near, a heap by turn of the wheel for the rest.
 * Within a slot things happen in the order in which they were added.
 */

/** ms of one slot: what happens within it happens at its beginning. */
export const grain = 0.25;
const slots = 8192;

export class Wheel<T> {
  readonly #near: T[][] = Array.from({length: slots}, () => []);
  /** By turn: what lies beyond this turn of the wheel. */
  readonly #far = new Map<number, {readonly slot: number; readonly item: T}[]>();
  #slot = 0;
  #at = 0;

  /** The slot whose things happen now. */
  get slot(): number {
    return this.#slot;
  }

  get now(): number {
    return this.#slot * grain;
  }

  /** At a slot that is not past. */
  add(slot: number, item: T): void {
    if (slot < this.#slot) slot = this.#slot;
    if (slot - this.#slot < slots - (this.#slot % slots)) {
      this.#near[slot % slots]?.push(item);
      return;
    }
    const turn = Math.floor(slot / slots);
    const later = this.#far.get(turn);
    if (later) later.push({slot, item});
    else this.#far.set(turn, [{slot, item}]);
  }

  /** The next thing up to `last`; undefined when there is none, and time is there. */
  next(last: number): T | undefined {
    for (;;) {
      const due = this.#near[this.#slot % slots] ?? [];
      if (this.#at < due.length) return due[this.#at++];
      due.length = 0;
      this.#at = 0;
      if (this.#slot >= last) return undefined;
      this.#slot++;
      if (this.#slot % slots === 0) this.#turn();
    }
  }

  #turn(): void {
    const turn = this.#slot / slots;
    for (const {slot, item} of this.#far.get(turn) ?? []) this.#near[slot % slots]?.push(item);
    this.#far.delete(turn);
  }
}
