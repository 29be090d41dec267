/** The keys of a ring, changed while it runs: install a new one everywhere, then use it everywhere, then remove the old one. */
import {createHash, createSecretKey, type KeyObject} from 'node:crypto';
import {membershipErrors} from '../errors.ts';
import type {Keys} from '../wire/index.ts';
import type {KeyringControl} from './member.ts';

interface Key {
  readonly fingerprint: string;
  readonly key: KeyObject;
}

/** More than a rotation needs; each one is tried on every packet that no other opens. */
const MAX_KEYS = 8;

export class Keyring implements KeyringControl {
  #primary: Key;
  #others: readonly Key[] = [];
  #keys: Keys;

  /** The first key is sent with. Errors: `key-invalid` (422). */
  constructor([primary, ...others]: readonly Uint8Array[]) {
    if (!primary) throw membershipErrors['key-invalid']('a keyring needs at least one key of 16, 24 or 32 bytes');
    this.#primary = toKey(primary);
    this.#keys = [this.#primary.key];
    for (const other of others) this.install(other);
  }

  /** For sealing and opening: the primary first. */
  get keys(): Keys {
    return this.#keys;
  }

  list(): readonly string[] {
    return [this.#primary, ...this.#others].map(({fingerprint}) => fingerprint);
  }

  install(bytes: Uint8Array): void {
    const key = toKey(bytes);
    if (this.list().includes(key.fingerprint)) return;
    if (this.#others.length + 1 >= MAX_KEYS) throw membershipErrors['key-invalid'](`a keyring holds at most ${MAX_KEYS} keys: remove one that is no longer used`);
    this.#set(this.#primary, [...this.#others, key]);
  }

  use(fingerprint: string): void {
    const all = [this.#primary, ...this.#others];
    const primary = all.find((key) => key.fingerprint === fingerprint);
    if (!primary) throw this.#unknown(fingerprint);
    this.#set(primary, all.filter((key) => key !== primary));
  }

  remove(fingerprint: string): void {
    if (fingerprint === this.#primary.fingerprint) {
      throw membershipErrors['key-in-use'](`key ${fingerprint} is what this member sends with: use another one first`);
    }
    if (!this.#others.some((key) => key.fingerprint === fingerprint)) throw this.#unknown(fingerprint);
    this.#set(this.#primary, this.#others.filter((key) => key.fingerprint !== fingerprint));
  }

  #set(primary: Key, others: readonly Key[]): void {
    this.#primary = primary;
    this.#others = others;
    this.#keys = [primary.key, ...others.map(({key}) => key)];
  }

  #unknown(fingerprint: string): Error {
    return membershipErrors['key-unknown'](`key ${fingerprint} is not installed here: there are ${this.list().join(', ')}`);
  }
}

function toKey(bytes: Uint8Array): Key {
  if (bytes.length !== 16 && bytes.length !== 24 && bytes.length !== 32) {
    throw membershipErrors['key-invalid'](`a key has 16, 24 or 32 bytes, not ${bytes.length}`);
  }
  return {fingerprint: createHash('sha256').update(bytes).digest('hex').slice(0, 8), key: createSecretKey(bytes)};
}
