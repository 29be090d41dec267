/**
 * How much of what arrives is looked at. A flood must neither keep the processor busy nor crowd out the ring: each member's address
 * has a bound of its own, and everyone else shares one, whatever addresses they write on their packets.
 */

/** So many at once, and so many a second on average. Times in ms. */
export class TokenBucket {
  readonly #perMs: number;
  readonly #burst: number;
  #tokens: number;
  #at: number;

  constructor(perSecond: number, burst: number, now: number) {
    this.#perMs = perSecond / 1000;
    this.#burst = burst;
    this.#tokens = burst;
    this.#at = now;
  }

  take(now: number): boolean {
    if (now > this.#at) this.#tokens = Math.min(this.#burst, this.#tokens + (now - this.#at) * this.#perMs);
    this.#at = now;
    if (this.#tokens < 1) return false;
    this.#tokens -= 1;
    return true;
  }
}

export interface Rates {
  /** Packets a second from one member. A ring of 10,000 in trouble sends each member some tens. */
  readonly member: number;
  /** From one source that is not known. */
  readonly stranger: number;
  /** From all that are not known. */
  readonly strangers: number;
}

export const defaultRates: Rates = {member: 1000, stranger: 200, strangers: 2000};

/** Sources that are remembered. Beyond it all are forgotten: the common bound holds. */
const MAX_SOURCES = 1024;
/** Seconds' worth that may come at once. */
const BURST = 2;

export class Gate {
  readonly #rates: Rates;
  readonly #members = new Map<string, TokenBucket>();
  readonly #strangers = new Map<string, TokenBucket>();
  readonly #all: TokenBucket;

  constructor(rates: Rates, now: number) {
    this.#rates = rates;
    this.#all = new TokenBucket(rates.strangers, rates.strangers * BURST, now);
  }

  /** Whether a packet from `source` is looked at. */
  pass(source: string, now: number): boolean {
    const member = this.#members.get(source);
    if (member) return member.take(now);
    let stranger = this.#strangers.get(source);
    if (!stranger) {
      if (this.#strangers.size >= MAX_SOURCES) this.#strangers.clear();
      stranger = new TokenBucket(this.#rates.stranger, this.#rates.stranger * BURST, now);
      this.#strangers.set(source, stranger);
    }
    return stranger.take(now) && this.#all.take(now);
  }

  know(source: string, now: number): void {
    if (this.#members.has(source)) return;
    this.#members.set(source, new TokenBucket(this.#rates.member, this.#rates.member * BURST, now));
    this.#strangers.delete(source);
  }

  forget(source: string): void {
    this.#members.delete(source);
  }
}
