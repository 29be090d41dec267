/**
 * Local health (Lifeguard): a member that misses what it should have heard doubts itself first. Its score stretches its probes, so
 * that one that is slow accuses others late, and seldom.
 */
const worst = 8;

export class LocalHealth {
  #score = 0;
  readonly #enabled: boolean;

  constructor(enabled: boolean) {
    this.#enabled = enabled;
  }

  /** 0 (well) to 8. */
  get score(): number {
    return this.#score;
  }

  /** What a probe's times are multiplied by. */
  get factor(): number {
    return this.#score + 1;
  }

  worsen(by = 1): void {
    if (this.#enabled) this.#score = Math.min(worst, this.#score + by);
  }

  improve(): void {
    this.#score = Math.max(0, this.#score - 1);
  }
}
