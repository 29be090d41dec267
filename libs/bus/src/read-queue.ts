/** A queue read by `for await`. What was pushed before the end, or the error, is still read; leaving the loop loses nothing. */
export class ReadQueue<T> implements AsyncIterable<T> {
  readonly #onTaken: (item: T) => void;
  #items: T[] = [];
  #ended = false;
  #error: Error | undefined;
  #wake: (() => void)[] = [];

  constructor(onTaken: (item: T) => void) {
    this.#onTaken = onTaken;
  }

  push(item: T): void {
    if (this.#ended) return;
    this.#items.push(item);
    this.#wake.shift()?.();
  }

  end(error?: Error): void {
    if (this.#ended) return;
    this.#ended = true;
    this.#error = error;
    for (const wake of this.#wake.splice(0)) wake();
  }

  clear(): void {
    this.#items = [];
  }

  [Symbol.asyncIterator](): AsyncIterator<T> {
    return {next: () => this.#next(), return: async () => ({done: true, value: undefined})};
  }

  async #next(): Promise<IteratorResult<T>> {
    for (;;) {
      const item = this.#items.shift();
      if (item !== undefined) {
        this.#onTaken(item);
        return {done: false, value: item};
      }
      if (this.#error) throw this.#error;
      if (this.#ended) return {done: true, value: undefined};
      await new Promise<void>((resolve) => this.#wake.push(resolve));
    }
  }
}
