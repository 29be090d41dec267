/**
 * What one member knows of the others: 16 bytes a row, side by side so that a look at a row is one look at memory, and the order in
 * which they are probed.
 *
 * SWIM probes in rounds, each member once a round, in an order that is drawn anew each time. The order is drawn as it is used (one
 * step of a Fisher-Yates shuffle a probe), so a round costs nothing to begin and who joins takes part in the round that runs.
 */
import type {LifeState, MemberClaim} from './messages.ts';
import {type Profile, type Roster} from './roster.ts';

const states: readonly LifeState[] = ['alive', 'suspect', 'dead', 'left'];
/** Rows hold a state as 1 + its place in `states`; 0 is a row that is not in use. */
export const ALIVE = 1;
export const SUSPECT = 2;
export const DEAD = 3;
export const LEFT = 4;
export type StateCode = 1 | 2 | 3 | 4;

/** A row: its state in 3 bits and the last round trip in the other 29, incarnation, profile, and since when it is in its state. */
const width = 4;
const INCARNATION = 1;
const PROFILE = 2;
const SINCE = 3;
const stateMask = 7;
/** Times are kept in tenths of a second: 13 years in 32 bits. */
const tick = 100;
/** Round trips are kept in hundredths of a ms; 0 is unknown. */
const rttGrain = 0.01;
const rttMost = 0x1fff_ffff;

export class MemberTable {
  readonly roster: Roster;
  #rows = new Uint32Array(8 * width);
  /** Ids of the rows in use; those before `#cursor` were probed in this round. */
  #order = new Uint32Array(8);
  #count = 0;
  #cursor = 0;
  readonly #counts = [0, 0, 0, 0, 0];

  constructor(roster: Roster) {
    this.roster = roster;
  }

  /** Rows in use, whatever their state. */
  get size(): number {
    return this.#count;
  }

  /** Rows alive or suspected. */
  get living(): number {
    return (this.#counts[ALIVE] ?? 0) + (this.#counts[SUSPECT] ?? 0);
  }

  count(code: StateCode): number {
    return this.#counts[code] ?? 0;
  }

  /** The id of a name that has a row here. */
  find(name: string): number | undefined {
    const id = this.roster.find(name);
    return id !== undefined && this.state(id) !== 0 ? id : undefined;
  }

  state(id: number): StateCode | 0 {
    return ((this.#rows[id * width] ?? 0) & stateMask) as StateCode | 0;
  }

  isLiving(id: number): boolean {
    const code = this.state(id);
    return code === ALIVE || code === SUSPECT;
  }

  stateName(id: number): LifeState {
    return states[this.state(id) - 1] ?? 'dead';
  }

  incarnation(id: number): number {
    return this.#rows[id * width + INCARNATION] ?? 0;
  }

  profile(id: number): Profile {
    return this.roster.profile(this.#profile(id));
  }

  /** ms, rounded down to 100. */
  since(id: number): number {
    return (this.#rows[id * width + SINCE] ?? 0) * tick;
  }

  /** The last direct round trip in ms. */
  rtt(id: number): number | undefined {
    const hundredths = (this.#rows[id * width] ?? 0) >>> 3;
    return hundredths === 0 ? undefined : hundredths * rttGrain;
  }

  setRtt(id: number, ms: number): void {
    const hundredths = Math.min(rttMost, Math.max(1, Math.round(ms / rttGrain)));
    this.#rows[id * width] = ((hundredths << 3) | this.state(id)) >>> 0;
  }

  idAt(index: number): number {
    return this.#order[index] ?? 0;
  }

  add(claim: MemberClaim, now: number): number {
    const id = this.roster.hold(claim.name);
    this.#reserve(id, this.#count + 1);
    const at = id * width;
    this.#rows[at] = ALIVE;
    this.#rows[at + INCARNATION] = claim.incarnation;
    this.#rows[at + PROFILE] = this.roster.holdProfile(id, claim);
    this.#rows[at + SINCE] = now / tick;
    this.#counts[ALIVE] = this.count(ALIVE) + 1;
    this.#order[this.#count++] = id;
    return id;
  }

  /** Answers whether address, metadata or versions changed. Never to a smaller incarnation. */
  renew(id: number, claim: MemberClaim): boolean {
    this.#raise(id, claim.incarnation);
    const before = this.#profile(id);
    const after = this.roster.holdProfile(id, claim);
    this.#rows[id * width + PROFILE] = after;
    this.roster.dropProfile(id, before);
    return before !== after;
  }

  setState(id: number, code: StateCode, incarnation: number, now: number): void {
    this.#raise(id, incarnation);
    const before = this.state(id);
    if (before === code) return;
    this.#counts[before] = (this.#counts[before] ?? 0) - 1;
    this.#counts[code] = this.count(code) + 1;
    this.#setCode(id, code);
    this.#rows[id * width + SINCE] = now / tick;
  }

  /** The next living member of the round; undefined when nobody lives. Rows that `stale` names are forgotten between rounds. */
  nextToProbe(random: () => number, stale: (id: number) => boolean): number | undefined {
    for (let tries = this.#count; tries >= 0; tries--) {
      if (this.#cursor >= this.#count) {
        this.#cursor = 0;
        this.#sweep(stale);
        if (this.#count === 0) return undefined;
      }
      const at = this.#cursor++;
      const drawn = at + Math.floor(random() * (this.#count - at));
      const id = this.#order[drawn] ?? 0;
      this.#order[drawn] = this.#order[at] ?? 0;
      this.#order[at] = id;
      if (this.isLiving(id)) return id;
    }
    return undefined;
  }

  /** Up to `wanted` different rows that `fits` accepts, drawn at random; fewer when they are rare. */
  draw(wanted: number, random: () => number, fits: (id: number) => boolean): number[] {
    const drawn: number[] = [];
    if (this.#count === 0) return drawn;
    const take = (index: number): void => {
      const id = this.#order[index] ?? 0;
      if (!drawn.includes(id) && fits(id)) drawn.push(id);
    };
    for (let tries = wanted * 4; tries > 0 && drawn.length < wanted; tries--) take(Math.floor(random() * this.#count));
    const start = Math.floor(random() * this.#count);
    for (let i = Math.min(this.#count, 64); i > 0 && drawn.length < wanted; i--) take((start + i) % this.#count);
    return drawn;
  }

  /** A copy for another member of a simulation that shares the roster; without the row of `self`. */
  copyFor(self: number): MemberTable {
    const copy = new MemberTable(this.roster);
    copy.#rows = this.#rows.slice(0, this.roster.size * width);
    copy.#order = this.#order.slice(0, this.#count);
    copy.#count = this.#count;
    this.#counts.forEach((n, code) => (copy.#counts[code] = n));
    for (let i = 0; i < this.#count; i++) this.roster.share(this.idAt(i), this.#profile(this.idAt(i)));
    if (copy.state(self) !== 0) copy.#forget(copy.#order.indexOf(self));
    return copy;
  }

  #sweep(stale: (id: number) => boolean): void {
    for (let i = this.#count - 1; i >= 0; i--) if (stale(this.idAt(i))) this.#forget(i);
  }

  #forget(index: number): void {
    const id = this.idAt(index);
    const code = this.state(id);
    this.#counts[code] = (this.#counts[code] ?? 0) - 1;
    this.#rows[id * width] = 0;
    this.#order[index] = this.#order[--this.#count] ?? 0;
    this.roster.dropProfile(id, this.#profile(id));
    this.roster.drop(id);
  }

  #raise(id: number, incarnation: number): void {
    this.#rows[id * width + INCARNATION] = Math.max(this.incarnation(id), incarnation);
  }

  #profile(id: number): number {
    return this.#rows[id * width + PROFILE] ?? 0;
  }

  #setCode(id: number, code: StateCode): void {
    this.#rows[id * width] = (((this.#rows[id * width] ?? 0) & ~stateMask) | code) >>> 0;
  }

  #reserve(id: number, rows: number): void {
    const held = this.#rows.length / width;
    if (id >= held) this.#rows = grown(this.#rows, Math.max(id + 1, held * 2, this.roster.size) * width);
    if (rows > this.#order.length) this.#order = grown(this.#order, Math.max(rows, this.#order.length * 2));
  }
}

function grown(from: Uint32Array<ArrayBuffer>, size: number): Uint32Array<ArrayBuffer> {
  const into = new Uint32Array(size);
  into.set(from);
  return into;
}
