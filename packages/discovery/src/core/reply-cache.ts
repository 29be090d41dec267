/** Replies of other resolvers, for as long as they may be kept, and never more than so many bytes of them. Pure. */
import type {Reply} from './reply.ts';

interface Kept {
  readonly reply: Reply;
  /** ms. */
  readonly at: number;
}

/** What an entry takes beside its bytes, about. */
const OVERHEAD_BYTES = 300;

export class ReplyCache {
  /** In the order they came. */
  readonly #kept = new Map<string, Kept>();
  readonly #mostBytes: number;
  #bytes = 0;

  constructor(mostBytes: number) {
    this.#mostBytes = mostBytes;
  }

  get size(): number {
    return this.#kept.size;
  }

  /** With its age in whole seconds. `now`: monotonic ms. */
  get(key: string, now: number): {readonly reply: Reply; readonly age: number} | undefined {
    const found = this.#kept.get(key);
    if (!found) return undefined;
    const age = Math.floor((now - found.at) / 1_000);
    if (age < found.reply.ttl) return {reply: found.reply, age};
    this.#drop(key, found);
    return undefined;
  }

  set(key: string, reply: Reply, now: number): void {
    const before = this.#kept.get(key);
    if (before) this.#drop(key, before);
    if (reply.ttl <= 0) return;
    this.#kept.set(key, {reply, at: now});
    this.#bytes += weightOf(key, reply);
    // The oldest go, whether they would live on or not.
    for (const [oldest, kept] of this.#kept) {
      if (this.#bytes <= this.#mostBytes) return;
      this.#drop(oldest, kept);
    }
  }

  #drop(key: string, {reply}: Kept): void {
    this.#kept.delete(key);
    this.#bytes -= weightOf(key, reply);
  }
}

const weightOf = (key: string, {bytes, ttls}: Reply): number => key.length + bytes.length + ttls.length * 8 + OVERHEAD_BYTES;
