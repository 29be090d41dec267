interface Waiter {
  readonly rank: number;
  readonly enter: () => void;
}

/** Lets so many in at a time: of those that wait the lowest rank first, and of one rank in the order they came. */
export class Gate {
  readonly #waiting: Waiter[] = [];
  #free: number;

  constructor(places: number) {
    this.#free = places;
  }

  /** @throws what the work throws; the signal's reason, where it is not begun by then */
  async pass<T>(work: () => Promise<T>, rank = 0, signal?: AbortSignal): Promise<T> {
    signal?.throwIfAborted();
    if (this.#free > 0) {
      this.#free--;
      return this.#run(work);
    }
    const {promise, resolve, reject} = Promise.withResolvers<T>();
    const leave = (): void => {
      this.#waiting.splice(this.#waiting.indexOf(waiter), 1);
      reject(signal?.reason);
    };
    const enter = (): void => {
      signal?.removeEventListener('abort', leave);
      // At once: nobody who comes later is before it.
      resolve(this.#run(work));
    };
    const waiter: Waiter = {rank, enter};
    signal?.addEventListener('abort', leave, {once: true});
    const later = this.#waiting.findIndex((other) => other.rank > rank);
    this.#waiting.splice(later === -1 ? this.#waiting.length : later, 0, waiter);
    return promise;
  }

  async #run<T>(work: () => Promise<T>): Promise<T> {
    try {
      return await work();
    } finally {
      const next = this.#waiting.shift();
      if (next) next.enter();
      else this.#free++;
    }
  }
}
