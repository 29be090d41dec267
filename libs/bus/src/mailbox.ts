/**
 * The messages of one subscription, handled one after the other in the order they came. A handler that returns no promise
 * is called without any delay. What overflows is dropped and logged: messages only wake, the store holds the truth.
 */

const CAPACITY = 10_000;

export interface MailboxOptions<T> {
  readonly handle: (message: T) => void | Promise<void>;
  readonly onError: (error: unknown, message: T) => void;
  readonly onOverflow: (message: T) => void;
}

export class Mailbox<T> {
  readonly #options: MailboxOptions<T>;
  #waiting: T[] = [];
  #running: Promise<void> | undefined;

  constructor(options: MailboxOptions<T>) {
    this.#options = options;
  }

  deliver(message: T): void {
    if (!this.#running) this.#run(message);
    else if (this.#waiting.length < CAPACITY) this.#waiting.push(message);
    else this.#options.onOverflow(message);
  }

  /** Forget what waits; what runs goes on. */
  clear(): void {
    this.#waiting = [];
  }

  async idle(): Promise<void> {
    while (this.#running) await this.#running;
  }

  #run(message: T): void {
    const {handle, onError} = this.#options;
    try {
      const result = handle(message);
      if (!result) return;
      this.#running = result.catch((error: unknown) => onError(error, message)).then(() => this.#next());
    } catch (error) {
      onError(error, message);
    }
  }

  #next(): void {
    this.#running = undefined;
    while (!this.#running) {
      const message = this.#waiting.shift();
      if (message === undefined) return;
      this.#run(message);
    }
  }
}
