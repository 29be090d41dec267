/**
 * News to pass on. Each is sent a bounded number of times, in what room packets leave; what was sent least goes first, and the
 * newest of those. What is said of a member replaces what was said of it before, except that its accusers stand beside each
 * other: each is a confirmation of its own.
 */
import type {PacketMessage} from './messages.ts';
import {bytesInCompound} from './size.ts';

interface Entry {
  readonly subject: string;
  readonly message: PacketMessage;
  readonly bytes: number;
  /** Of a suspect message. */
  readonly accuser: string | undefined;
  live: boolean;
}

/** A compound packet counts its messages in one byte. */
const perPacket = 250;
/** Entries looked at in vain before the next bucket is tried. */
const misses = 8;

export class Broadcasts {
  readonly #size: (message: PacketMessage) => number;
  readonly #bound: number;
  /** Entries by how often they were sent; the newest last. */
  #buckets: Entry[][] = [];
  readonly #bySubject = new Map<string, Entry[]>();
  #count = 0;

  /** @param bound entries kept; beyond it what was sent most is dropped. */
  constructor(size: (message: PacketMessage) => number, bound = 8192) {
    this.#size = size;
    this.#bound = bound;
  }

  get size(): number {
    return this.#count;
  }

  has(subject: string): boolean {
    return this.#bySubject.has(subject);
  }

  put(subject: string, message: PacketMessage): void {
    const accuser = message.type === 'suspect' ? message.from : undefined;
    const entry: Entry = {subject, message, bytes: this.#size(message) + bytesInCompound, accuser, live: true};
    for (const old of this.#bySubject.get(subject) ?? []) {
      if (accuser === undefined || old.accuser === undefined || old.accuser === accuser) this.#kill(old);
    }
    const entries = this.#bySubject.get(subject);
    if (entries) entries.push(entry);
    else this.#bySubject.set(subject, [entry]);
    (this.#buckets[0] ??= []).push(entry);
    this.#count++;
    if (this.#count > this.#bound) this.#dropOne();
  }

  /** Withdraws what is said against others, by whomever; that a member leaves it says itself. */
  withdrawAccusations(): void {
    for (const entries of [...this.#bySubject.values()]) {
      for (const entry of [...entries]) {
        const {message} = entry;
        if (message.type === 'suspect' || (message.type === 'dead' && message.from !== message.name)) this.#kill(entry);
      }
    }
  }

  /**
   * Appends to `into` what fits in `room` bytes.
   * @param limit how often a message is sent in all
   * @param counts whether this is one of those times
   */
  collect(into: PacketMessage[], room: number, limit: number, counts = true): void {
    if (this.#count === 0) return;
    const taken: {entry: Entry; sent: number}[] = [];
    for (let sent = 0; sent < this.#buckets.length && into.length < perPacket; sent++) {
      room = this.#takeFrom(sent, into, room, taken);
    }
    for (let i = taken.length - 1; i >= 0; i--) {
      const {entry, sent} = taken[i] ?? unreachable();
      const times = counts ? sent + 1 : sent;
      if (times >= limit) this.#kill(entry);
      else (this.#buckets[times] ??= []).push(entry);
    }
    if (this.#count === 0) this.#buckets = [];
  }

  #takeFrom(sent: number, into: PacketMessage[], room: number, taken: {entry: Entry; sent: number}[]): number {
    const bucket = this.#buckets[sent];
    if (!bucket) return room;
    const skipped: Entry[] = [];
    while (skipped.length < misses && into.length < perPacket) {
      const entry = bucket.pop();
      if (!entry) break;
      if (!entry.live) continue;
      if (entry.bytes > room) {
        skipped.push(entry);
        continue;
      }
      room -= entry.bytes;
      into.push(entry.message);
      taken.push({entry, sent});
    }
    for (let i = skipped.length - 1; i >= 0; i--) bucket.push(skipped[i] ?? unreachable());
    return room;
  }

  #kill(entry: Entry): void {
    if (!entry.live) return;
    entry.live = false;
    this.#count--;
    const left = (this.#bySubject.get(entry.subject) ?? []).filter((other) => other !== entry);
    if (left.length > 0) this.#bySubject.set(entry.subject, left);
    else this.#bySubject.delete(entry.subject);
  }

  #dropOne(): void {
    for (let sent = this.#buckets.length - 1; sent >= 0; sent--) {
      const bucket = this.#buckets[sent] ?? [];
      while (bucket.length > 0) {
        const oldest = bucket.shift();
        if (!oldest?.live) continue;
        this.#kill(oldest);
        return;
      }
    }
  }
}

function unreachable(): never {
  throw new Error('an index within its array');
}
