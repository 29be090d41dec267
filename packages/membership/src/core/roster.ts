/**
 * Numbers for names, and one copy of what each name says of itself, so that a table row is a few integers. A process has one
 * roster; a simulation shares one among all its members, which is what makes ten thousand tables of ten thousand rows fit.
 */
import type {Address, MemberClaim} from './messages.ts';

/** The part of a claim that rarely changes. */
export interface Profile {
  readonly address: Address;
  readonly meta: Uint8Array;
  readonly versions: readonly number[];
}

export function sameAddress(a: Address, b: Address): boolean {
  return a === b || (a.port === b.port && a.host === b.host);
}

export function sameBytes(a: Uint8Array, b: Uint8Array): boolean {
  if (a === b) return true;
  if (a.length !== b.length) return false;
  for (let i = 0; i < a.length; i++) if (a[i] !== b[i]) return false;
  return true;
}

function sameVersions(a: readonly number[], b: readonly number[]): boolean {
  return a === b || (a.length === b.length && a.every((n, i) => n === b[i]));
}

/** Slots that are counted and used again once nobody holds them. */
class Slots<T> {
  readonly #values: (T | undefined)[] = [];
  readonly #uses: number[] = [];
  readonly #free: number[] = [];

  get size(): number {
    return this.#values.length;
  }

  at(slot: number): T {
    const value = this.#values[slot];
    if (value === undefined) throw new Error(`slot ${slot} is not in use`);
    return value;
  }

  add(value: T): number {
    const slot = this.#free.pop() ?? this.#values.length;
    this.#values[slot] = value;
    this.#uses[slot] = 0;
    return slot;
  }

  retain(slot: number, times = 1): void {
    this.#uses[slot] = (this.#uses[slot] ?? 0) + times;
  }

  /** Whether that was the last use. */
  release(slot: number): boolean {
    const left = (this.#uses[slot] ?? 0) - 1;
    this.#uses[slot] = left;
    if (left > 0) return false;
    this.#values[slot] = undefined;
    this.#free.push(slot);
    return true;
  }
}

export class Roster {
  readonly #ids = new Map<string, number>();
  readonly #names = new Slots<string>();
  readonly #profiles = new Slots<Profile>();
  /** The profiles known of each name: one, unless tables differ. */
  readonly #of: number[][] = [];

  /** One more than the greatest id given. */
  get size(): number {
    return this.#names.size;
  }

  find(name: string): number | undefined {
    return this.#ids.get(name);
  }

  name(id: number): string {
    return this.#names.at(id);
  }

  profile(slot: number): Profile {
    return this.#profiles.at(slot);
  }

  /** The name's id, held by the caller from now on. */
  hold(name: string): number {
    let id = this.#ids.get(name);
    if (id === undefined) {
      id = this.#names.add(name);
      this.#ids.set(name, id);
      this.#of[id] = [];
    }
    this.#names.retain(id);
    return id;
  }

  drop(id: number): void {
    const name = this.#names.at(id);
    if (this.#names.release(id)) this.#ids.delete(name);
  }

  /** The slot of what `claim` says, held by the caller from now on. */
  holdProfile(id: number, claim: MemberClaim): number {
    const known = this.#of[id] ?? [];
    let slot = known.find((s) => isProfile(this.#profiles.at(s), claim));
    if (slot === undefined) {
      slot = this.#profiles.add({address: claim.address, meta: claim.meta, versions: claim.versions});
      known.push(slot);
    }
    this.#profiles.retain(slot);
    return slot;
  }

  dropProfile(id: number, slot: number): void {
    if (!this.#profiles.release(slot)) return;
    const known = this.#of[id] ?? [];
    known.splice(known.indexOf(slot), 1);
  }

  /** Holds a row's name and profile once more: for a table that is copied. */
  share(id: number, slot: number): void {
    this.#names.retain(id);
    this.#profiles.retain(slot);
  }
}

function isProfile(profile: Profile, claim: MemberClaim): boolean {
  return sameAddress(profile.address, claim.address) && sameBytes(profile.meta, claim.meta) && sameVersions(profile.versions, claim.versions);
}
