/**
 * How far this machine does as names say: its sidecar answers them, its kernel leads to virtual IPs. Told to the one who counts when a
 * container is out of the rotation here; many in one word.
 */
import type {NamesEverywhere} from '@hivemind/contracts';
import type {Clock} from '@hivemind/controller';
import type {Point} from '../model.ts';

export interface ApplicationOptions {
  /** `n` null: names are used for nothing any more. */
  readonly say: (word: {readonly epoch: string; readonly n: number | null}) => void;
  readonly clock: Clock;
  /** In [0, 1). */
  readonly random: () => number;
}

export type Part = 'answers' | 'balances';

/** All machines hear of a new leader at once: each waits up to so long (ms) before it says where it stands. */
const SPREAD_MS = 300;

export class Application {
  readonly #options: ApplicationOptions;
  /** Up to where each part that is in use has come; undefined: not known. */
  readonly #parts = new Map<Part, number | undefined>();
  #at: Point = {epoch: '', n: 0};
  #lastChange = 0;
  /** A container left the rotation then, and that was not said. */
  #out: {first: number; last: number} | undefined;
  /** It is to be said anyway. */
  #owed = false;
  #by: string | undefined;
  #everyMs = 0;
  #said: number | null = null;
  #saidAt = -Infinity;
  #cancelSaying: (() => void) | undefined;
  #cancelSpread = (): void => undefined;

  constructor(options: ApplicationOptions) {
    this.#options = options;
  }

  use(part: Part, isUsed: boolean): void {
    if (this.#parts.has(part) === isUsed) return;
    if (isUsed) this.#parts.set(part, undefined);
    else this.#parts.delete(part);
    this.#owed = true;
    this.#consider();
  }

  /** Told up to here. `changed`: there is something to apply; `out`: a container left the rotation. */
  told(at: Point, {changed, out}: {readonly changed: boolean; readonly out: boolean}): void {
    if (at.epoch !== this.#at.epoch) {
      for (const part of this.#parts.keys()) this.#parts.set(part, undefined);
      this.#out = undefined;
      this.#lastChange = 0;
    }
    this.#at = at;
    if (changed) this.#lastChange = at.n;
    if (out) this.#out = {first: this.#out?.first ?? at.n, last: at.n};
    this.#consider();
  }

  applied(part: Part, {epoch, n}: Point): void {
    if (epoch !== this.#at.epoch || !this.#parts.has(part)) return;
    this.#parts.set(part, n);
    this.#consider();
  }

  /** @param node this machine's name */
  heard({by, behind, everyMs}: NamesEverywhere, node: string): void {
    this.#everyMs = everyMs;
    if (by !== this.#by) {
      this.#by = by;
      this.#cancelSpread();
      this.#cancelSpread = this.#options.clock.setTimer(() => this.#owe(), this.#options.random() * SPREAD_MS);
    } else if (behind.includes(node)) {
      this.#owe();
    }
  }

  stop(): void {
    this.#cancelSpread();
    this.#cancelSaying?.();
  }

  #owe(): void {
    this.#owed = true;
    this.#consider();
  }

  /** Up to where every part has come; undefined: not known, or nothing is in use. */
  #applied(): number | undefined {
    let least: number | undefined = this.#at.n;
    for (const n of this.#parts.values()) {
      if (n === undefined) return undefined;
      if (n < this.#lastChange) least = Math.min(least, n);
    }
    return this.#parts.size === 0 ? undefined : least;
  }

  #isDue(): boolean {
    if (this.#parts.size === 0) return this.#said !== null;
    const applied = this.#applied();
    return applied !== undefined && (this.#owed || (this.#out !== undefined && applied >= this.#out.first));
  }

  #consider(): void {
    if (this.#cancelSaying || !this.#isDue()) return;
    const waitMs = this.#saidAt + this.#everyMs - this.#options.clock.monotonic();
    if (waitMs > 0) this.#cancelSaying = this.#options.clock.setTimer(() => this.#say(), waitMs);
    else this.#say();
  }

  #say(): void {
    this.#cancelSaying = undefined;
    if (!this.#isDue()) return;
    const n = this.#applied() ?? null;
    if (n !== null && this.#out) this.#out = this.#out.last > n ? {first: this.#out.last, last: this.#out.last} : undefined;
    this.#owed = false;
    this.#said = n;
    this.#saidAt = this.#options.clock.monotonic();
    this.#options.say({epoch: this.#at.epoch, n});
  }
}
