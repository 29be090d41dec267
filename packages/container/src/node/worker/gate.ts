/** Lets so many in at a time: of those that wait the lowest rank first, and of one rank in the order they came. */
export class Gate {
  readonly #waiting: {readonly rank: number; readonly enter: () => void}[] = [];
  #free: number;

  constructor(places: number) {
    this.#free = places;
  }

  async pass<T>(work: () => Promise<T>, rank = 0): Promise<T> {
    if (this.#free > 0) this.#free--;
    else await this.#turn(rank);
    try {
      return await work();
    } finally {
      const next = this.#waiting.shift();
      if (next) next.enter();
      else this.#free++;
    }
  }

  #turn(rank: number): Promise<void> {
    return new Promise((enter) => {
      const later = this.#waiting.findIndex((other) => other.rank > rank);
      this.#waiting.splice(later === -1 ? this.#waiting.length : later, 0, {rank, enter});
    });
  }
}
