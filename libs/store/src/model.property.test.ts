/** The drivers' engine against a naive twin: every generated history must be answered alike, and leave the same records. */
import fc from 'fast-check';
import {openSqliteStore} from './sqlite.ts';
import type {Compare, Store, Transaction, Write} from './store.ts';
import {Watching} from './testing/watching.ts';

interface Row {
  value: string;
  created: number;
  version: number;
}

/** What a store is, in the fewest words. */
class Twin {
  n = 0;
  readonly rows = new Map<string, Row>();

  transact({compare = [], writes}: Transaction): {ok: boolean; n: number; conflicts?: Compare[]} {
    const conflicts = compare.map((condition) => ({...condition, found: this.rows.get(idOf(condition))?.version ?? 0})).filter(({version, found}) => version !== found);
    if (conflicts.length > 0) return {ok: false, n: this.n, conflicts: conflicts.map(({collection, key, found}) => ({collection, key, version: found}))};
    const effective = writes.filter((write) => write.op === 'put' || this.rows.has(idOf(write)));
    if (effective.length > 0) this.n += 1;
    for (const write of effective) {
      if (write.op === 'delete') this.rows.delete(idOf(write));
      else this.rows.set(idOf(write), {value: write.value, created: this.rows.get(idOf(write))?.created ?? this.n, version: this.n});
    }
    return {ok: true, n: this.n};
  }

  list(collection: string, prefix: string, after: string, limit: number): string[] {
    return [...this.rows.keys()]
      .map((id) => id.split(' ', 2))
      .filter(([name, key = '']) => name === collection && key.startsWith(prefix) && compareBytes(key, after) > 0)
      .map(([, key = '']) => key)
      .sort(compareBytes)
      .slice(0, limit);
  }
}

const idOf = ({collection, key}: {collection: string; key: string}): string => `${collection} ${key}`;
const compareBytes = (a: string, b: string): number => Buffer.compare(Buffer.from(a), Buffer.from(b));

const collections = fc.constantFrom('a', 'b');
const keys = fc.constantFrom('x', 'y', 'x/1', 'x/2', 'é', '￿', '😀');
const target = fc.record({collection: collections, key: keys});
/** `age` picks the version to compare with: the right one, none, or one that is too old or too new. */
const condition = fc.record({at: target, age: fc.constantFrom('right', 'right', 'right', 'absent', 'old', 'new')});
const change = fc.record({at: target, value: fc.option(fc.json({maxDepth: 1}), {nil: undefined})});
const step = fc.oneof(
  {weight: 5, arbitrary: fc.record({kind: fc.constant('transact'), conditions: fc.array(condition, {maxLength: 3}), changes: fc.uniqueArray(change, {maxLength: 4, selector: ({at}) => idOf(at)})})},
  {weight: 2, arbitrary: fc.record({kind: fc.constant('list'), collection: collections, prefix: fc.constantFrom('', 'x', 'x/', 'é'), after: fc.oneof(fc.constant(''), keys), limit: fc.integer({min: 1, max: 5})})},
);

const AGES = {right: 0, old: -1, new: 1} as const;
function versionFor(twin: Twin, at: {collection: string; key: string}, age: 'right' | 'absent' | 'old' | 'new'): number {
  const version = twin.rows.get(idOf(at))?.version ?? 0;
  return age === 'absent' ? 0 : Math.max(0, version + AGES[age]);
}

async function play(store: Store, twin: Twin, steps: readonly (typeof step extends fc.Arbitrary<infer S> ? S : never)[]): Promise<void> {
  for (const each of steps) {
    if ('conditions' in each) {
      const compare = each.conditions.map(({at, age}) => ({...at, version: versionFor(twin, at, age)}));
      const writes = each.changes.map(({at, value}): Write => (value === undefined ? {op: 'delete', ...at} : {op: 'put', ...at, value}));
      const expected = twin.transact({compare, writes});
      const actual = await store.transact({compare, writes});
      expect({ok: actual.ok, n: actual.revision.n, ...('conflicts' in actual ? {conflicts: actual.conflicts} : {})}).toEqual(expected);
    } else {
      const {collection, prefix, after, limit} = each;
      const page = await store.list(collection, {prefix, after, limit});
      expect(page.records.map(({key}) => key)).toEqual(twin.list(collection, prefix, after, limit));
      expect(page.revision.n).toBe(twin.n);
    }
  }
}

it('answers every history as the twin does, and its log replays to the same records', async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(step, {maxLength: 40}), async (steps) => {
      const store = await openSqliteStore({path: ':memory:'});
      const stop = new AbortController();
      try {
        const twin = new Twin();
        const from = await store.revision();
        await play(store, twin, steps);
        const replayed = new Map<string, Row>();
        for (const event of twin.n === 0 ? [] : await new Watching(store.watch({from, signal: stop.signal})).until(twin.n)) {
          if (event.type === 'delete') replayed.delete(idOf(event));
          else replayed.set(idOf(event.record), {value: event.record.value, created: event.record.created, version: event.record.version});
        }
        expect(replayed).toEqual(twin.rows);
        for (const [id, row] of twin.rows) {
          const [collection = '', key = ''] = id.split(' ', 2);
          expect(await store.get(collection, key)).toEqual({collection, key, ...row});
        }
      } finally {
        stop.abort();
        await store.close();
      }
    }),
    {numRuns: 150},
  );
});
