/** Records in memory, found by key or by the values of named indexes. */
import type {Stored} from './collection.ts';

/** The values under which a record is found; an empty list leaves it out. */
export type IndexFunction<T> = (value: T, key: string) => readonly string[];

export class IndexedCache<T extends object, I extends string> {
  readonly #records = new Map<string, Stored<T>>();
  readonly #indexes: readonly {readonly name: string; readonly valuesOf: IndexFunction<T>; readonly keys: Map<string, Set<string>>}[];

  constructor(indexes: Readonly<Record<I, IndexFunction<T>>> | undefined) {
    this.#indexes = Object.entries<IndexFunction<T>>(indexes ?? {}).map(([name, valuesOf]) => ({name, valuesOf, keys: new Map()}));
  }

  get(key: string): Stored<T> | undefined {
    return this.#records.get(key);
  }

  list(): Stored<T>[] {
    return [...this.#records.values()];
  }

  byIndex(name: I, value: string): Stored<T>[] {
    const keys = this.#indexes.find((index) => index.name === name)?.keys.get(value);
    if (!keys) return [];
    return [...keys].flatMap((key) => this.#records.get(key) ?? []);
  }

  /** Put (or with undefined: remove) what the key holds; answers what it held. */
  set(key: string, after: Stored<T> | undefined): Stored<T> | undefined {
    const before = this.#records.get(key);
    if (after) this.#records.set(key, after);
    else this.#records.delete(key);
    for (const {valuesOf, keys} of this.#indexes) {
      for (const value of before ? valuesOf(before.value, key) : []) {
        const under = keys.get(value);
        under?.delete(key);
        if (under?.size === 0) keys.delete(value);
      }
      for (const value of after ? valuesOf(after.value, key) : []) {
        const under = keys.get(value);
        if (under) under.add(key);
        else keys.set(value, new Set([key]));
      }
    }
    return before;
  }
}
