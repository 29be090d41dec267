/**
 * How long a connection waits before it asks a server again. One that refuses the credentials would refuse them a moment later
 * too, so it is asked less and less often; one that is away is asked often, because it may be back at any time.
 */

/** ms. */
const WAIT = {first: 300, most: 30_000};
/** Less than the wait, so that not all come at once: up to this share of it. */
const SPREAD = 0.2;

export class Patience {
  readonly #random: () => number;
  #refusals = 0;
  #waitMs: number;

  constructor(random: () => number) {
    this.#random = random;
    this.#waitMs = this.#drawn();
  }

  /** How often in a row credentials were refused. */
  get refusals(): number {
    return this.#refusals;
  }

  /** ms between two attempts, as of now. The same until the next attempt has an outcome: it is asked for again while it passes. */
  readonly waitMs = (): number => this.#waitMs;

  refused(): void {
    this.#refusals += 1;
    this.#waitMs = this.#drawn();
  }

  accepted(): void {
    this.#refusals = 0;
    this.#waitMs = this.#drawn();
  }

  #drawn(): number {
    return Math.min(WAIT.most, WAIT.first * 2 ** Math.max(0, this.#refusals - 1)) * (1 - SPREAD * this.#random());
  }
}
