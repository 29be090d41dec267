/**
 * What every store driver must do (law 13), and every fake of one.
 *
 * `makeStore` opens an empty store; `elapse` lets time pass on the store's clock (an injected clock, or the real one).
 */
import type {ChangeEvent, Revision, Store, WatchBatch, WatchOptions, Write} from '../store.ts';

export interface ContractStore {
  readonly store: Store;
  /** Resolves once at least `ms` have passed for leases, and what lapsed thereby is being removed. */
  elapse(ms: number): Promise<void>;
  /** Closes the store and removes what it left. */
  dispose(): Promise<void>;
}

/** Registers the suite with jest. */
export function storeContract(name: string, makeStore: () => Promise<ContractStore>): void {
  describe(`store contract: ${name}`, () => {
    let context: ContractStore;
    let store: Store;
    let ended: AbortController;

    beforeEach(async () => {
      context = await makeStore();
      store = context.store;
      ended = new AbortController();
    });

    afterEach(async () => {
      ended.abort();
      await context.dispose();
    });

    const watch = (options: Omit<WatchOptions, 'signal'>): Watching => new Watching(store.watch({...options, signal: ended.signal}));

    describe('records', () => {
      it('reads back what was written, with the revisions that made and touched it', async () => {
        const first = await write(store, put('apps', 'default/web', '{"a":1}'));
        const second = await write(store, put('apps', 'default/web', '{"a":2}'));
        expect(second).toBe(first + 1);
        expect(await store.get('apps', 'default/web')).toEqual({collection: 'apps', key: 'default/web', value: '{"a":2}', created: first, version: second});
      });

      it('knows nothing of what was never written, or was deleted', async () => {
        expect(await store.get('apps', 'x')).toBeUndefined();
        await write(store, put('apps', 'x', '1'));
        await write(store, {op: 'delete', collection: 'apps', key: 'x'});
        expect(await store.get('apps', 'x')).toBeUndefined();
      });

      it('begins a new life for a key that was deleted', async () => {
        await write(store, put('apps', 'x', '1'));
        await write(store, {op: 'delete', collection: 'apps', key: 'x'});
        const n = await write(store, put('apps', 'x', '2'));
        expect(await store.get('apps', 'x')).toMatchObject({created: n, version: n});
      });

      it('keeps collections apart and names those that hold something', async () => {
        await write(store, put('b', 'k', '1'), put('a', 'k', '2'));
        await write(store, put('c', 'k', '3'));
        await write(store, {op: 'delete', collection: 'c', key: 'k'});
        expect(await store.collections()).toEqual(['a', 'b']);
        expect((await store.get('a', 'k'))?.value).toBe('2');
      });

      it('answers many gets in the order asked', async () => {
        await write(store, put('a', 'x', '1'), put('b', 'y', '2'));
        const found = await store.getMany([{collection: 'b', key: 'y'}, {collection: 'b', key: 'none'}, {collection: 'a', key: 'x'}]);
        expect(found.map((record) => record?.value)).toEqual(['2', undefined, '1']);
        expect(await store.getMany([])).toEqual([]);
      });

      it('keeps text exactly, whatever is in it', async () => {
        const value = JSON.stringify({text: 'ü€😀 \u0000 \\ " \n \u2028 {}', empty: '', n: 1.5, deep: [[[]]]});
        await write(store, put('apps', 'ns/ü😀:*[x]?', value));
        expect((await store.get('apps', 'ns/ü😀:*[x]?'))?.value).toBe(value);
        expect((await store.list('apps')).records.map(({key}) => key)).toEqual(['ns/ü😀:*[x]?']);
      });

      it('takes values up to 1 MiB and refuses larger ones', async () => {
        const largest = JSON.stringify('x'.repeat(1024 * 1024 - 2));
        await write(store, put('apps', 'large', largest));
        expect((await store.get('apps', 'large'))?.value).toBe(largest);
        await expect(store.transact({writes: [put('apps', 'larger', `${largest} `)]})).rejects.toMatchObject({code: 'too-large', status: 413});
      });

      it('refuses names it could not keep', async () => {
        for (const [collection, key] of [['apps', ''], ['Apps!', 'k'], ['apps', 'a\u0000b'], ['apps', '\ud800'], ['apps', 'x'.repeat(513)]] as const) {
          await expect(store.transact({writes: [put(collection, key, '1')]})).rejects.toMatchObject({code: 'invalid-input'});
          await expect(store.get(collection, key)).rejects.toMatchObject({code: 'invalid-input'});
        }
      });
    });

    describe('list', () => {
      it('pages in the order of UTF-8 bytes, each record once', async () => {
        const keys = ['a', 'a/1', 'a/10', 'a/2', 'b', 'é', '￿', '😀', 'Z', '~'];
        await write(store, ...keys.map((key) => put('apps', key, JSON.stringify(key))), put('apps-other', 'c', '1'));
        const found: string[] = [];
        let pages = 0;
        for (let after: string | undefined = undefined; ; pages += 1) {
          const page = await store.list('apps', {limit: 3, ...(after === undefined ? {} : {after})});
          expect(page.records.length).toBeLessThanOrEqual(3);
          found.push(...page.records.map(({key, value}) => (expect(value).toBe(JSON.stringify(key)), key)));
          after = page.next;
          if (after === undefined) break;
        }
        expect(found).toEqual([...keys].sort((a, b) => Buffer.compare(Buffer.from(a), Buffer.from(b))));
        expect(pages).toBeGreaterThanOrEqual(3);
      });

      it('narrows by prefix, also from the middle', async () => {
        await write(store, ...['a/1', 'a/2', 'a/3', 'a0', 'b/1', 'a/'].map((key) => put('apps', key, '1')));
        expect((await store.list('apps', {prefix: 'a/'})).records.map(({key}) => key)).toEqual(['a/', 'a/1', 'a/2', 'a/3']);
        expect((await store.list('apps', {prefix: 'a/', after: 'a/1', limit: 1})).records.map(({key}) => key)).toEqual(['a/2']);
        expect((await store.list('apps', {prefix: 'a/', after: 'a/3'})).records).toEqual([]);
        expect((await store.list('none')).records).toEqual([]);
      });

      it('answers no more than 1,000 records a page', async () => {
        for (const half of ['a', 'b']) await write(store, ...Array.from({length: 600}, (_, i) => put('apps', `${half}${i}`, '1')));
        const page = await store.list('apps', {limit: 5000});
        expect(page.records).toHaveLength(1000);
        expect((await store.list('apps', {after: page.next})).records).toHaveLength(200);
      });

      it('names a revision from which a watch misses nothing', async () => {
        await write(store, put('apps', 'before', '1'));
        const {revision} = await store.list('apps');
        const n = await write(store, put('apps', 'after', '2'));
        const watching = watch({from: revision});
        expect(keysOf(await watching.until(n))).toEqual(['after']);
      });
    });

    describe('transactions', () => {
      it('creates only what is absent and replaces only what was read', async () => {
        const absent = {collection: 'apps', key: 'x', version: 0};
        const created = await store.transact({compare: [absent], writes: [put('apps', 'x', '1')]});
        expect(created.ok).toBe(true);
        const {n} = created.revision;
        expect(await store.transact({compare: [absent], writes: [put('apps', 'x', '2')]})).toEqual({
          ok: false, reason: 'conflict', revision: created.revision, conflicts: [{collection: 'apps', key: 'x', version: n}],
        });
        expect((await store.transact({compare: [{...absent, version: n}], writes: [put('apps', 'x', '3')]})).ok).toBe(true);
        expect((await store.get('apps', 'x'))?.value).toBe('3');
      });

      it('writes all or nothing, names every failed comparison, and takes no revision then', async () => {
        const n = await write(store, put('a', 'x', '1'), put('a', 'y', '1'));
        const result = await store.transact({
          compare: [{collection: 'a', key: 'x', version: n}, {collection: 'a', key: 'y', version: n + 7}, {collection: 'a', key: 'z', version: 3}],
          writes: [put('a', 'x', '2'), {op: 'delete', collection: 'a', key: 'y'}],
        });
        expect(result).toMatchObject({ok: false, reason: 'conflict', conflicts: [{collection: 'a', key: 'y', version: n}, {collection: 'a', key: 'z', version: 0}]});
        expect((await store.getMany([{collection: 'a', key: 'x'}, {collection: 'a', key: 'y'}])).map((record) => record?.value)).toEqual(['1', '1']);
        expect((await store.revision()).n).toBe(n);
      });

      it('gives all writes of a transaction one revision', async () => {
        const n = await write(store, put('a', 'x', '1'), put('b', 'y', '2'));
        expect((await store.get('a', 'x'))?.version).toBe(n);
        expect((await store.get('b', 'y'))?.version).toBe(n);
        expect((await store.revision()).n).toBe(n);
      });

      it('takes no revision when it writes nothing', async () => {
        const n = await write(store, put('a', 'x', '1'));
        expect(await write(store)).toBe(n);
        expect(await write(store, {op: 'delete', collection: 'a', key: 'none'})).toBe(n);
      });

      it('refuses a key written twice, and a hand-made election', async () => {
        await expect(store.transact({writes: [put('a', 'x', '1'), {op: 'delete', collection: 'a', key: 'x'}]})).rejects.toMatchObject({code: 'invalid-input'});
        await expect(store.transact({writes: [put('elections', 'x', '{"holder":"me"}')]})).rejects.toMatchObject({code: 'invalid-input'});
      });

      it('refuses more than 4,096 writes or 8 MiB', async () => {
        const many = Array.from({length: 4097}, (_, i) => put('a', `${i}`, '1'));
        await expect(store.transact({writes: many})).rejects.toMatchObject({code: 'too-large'});
        expect(await write(store, ...many.slice(1))).toBeGreaterThan(0);
        const big = JSON.stringify('x'.repeat(1024 * 1023));
        await expect(store.transact({writes: Array.from({length: 9}, (_, i) => put('a', `${i}`, big))})).rejects.toMatchObject({code: 'too-large'});
      });

      it('loses no increment among concurrent compare-and-set loops', async () => {
        await write(store, put('a', 'counter', '0'));
        const increment = async (): Promise<void> => {
          for (;;) {
            const record = await store.get('a', 'counter');
            const result = await store.transact({
              compare: [{collection: 'a', key: 'counter', version: record?.version ?? 0}],
              writes: [put('a', 'counter', String(Number(record?.value) + 1))],
            });
            if (result.ok) return;
          }
        };
        await Promise.all(Array.from({length: 32}, increment));
        expect((await store.get('a', 'counter'))?.value).toBe('32');
      });
    });

    describe('watch', () => {
      it('delivers puts and deletes in order with what was written, live', async () => {
        const watching = watch({from: await store.revision()});
        const first = await write(store, put('a', 'x', '1'));
        const second = await write(store, put('a', 'x', '2'), put('b', 'y', '3'));
        const third = await write(store, {op: 'delete', collection: 'a', key: 'x'});
        expect(await watching.until(third)).toEqual([
          {type: 'put', record: {collection: 'a', key: 'x', value: '1', created: first, version: first}},
          {type: 'put', record: {collection: 'a', key: 'x', value: '2', created: first, version: second}},
          {type: 'put', record: {collection: 'b', key: 'y', value: '3', created: second, version: second}},
          {type: 'delete', collection: 'a', key: 'x', version: third},
        ]);
      });

      it('replays what happened since an older revision', async () => {
        const from = await store.revision();
        for (let i = 0; i < 40; i += 1) await write(store, put('a', `k${i}`, `${i}`));
        const events = await watch({from}).until(from.n + 40);
        expect(keysOf(events)).toEqual(Array.from({length: 40}, (_, i) => `k${i}`));
      });

      it('follows only the collections asked for', async () => {
        const watching = watch({from: await store.revision(), collections: ['b', 'c']});
        await write(store, put('a', 'x', '1'));
        await write(store, put('b', 'y', '1'), put('a', 'z', '1'));
        const n = await write(store, put('c', 'w', '1'));
        expect(keysOf(await watching.until(n))).toEqual(['y', 'w']);
      });

      it('never splits a transaction over batches', async () => {
        const from = await store.revision();
        const watching = watch({from});
        const writes = Array.from({length: 300}, (_, i) => put('a', `k${i}`, '1'));
        const n = await write(store, ...writes);
        await watching.until(n);
        expect(watching.batches.filter(({events}) => events.length > 0).map(({events}) => events.length)).toEqual([300]);
      });

      it('has no gap and no repeat for watchers that join while many write', async () => {
        const from = await store.revision();
        let stop = false;
        let last = from.n;
        const writers = Array.from({length: 16}, async (_, w) => {
          for (let i = 0; !stop; i += 1) last = Math.max(last, await write(store, put('a', `w${w}`, `${i}`)));
        });
        const watchers: Watching[] = [];
        for (let i = 0; i < 12; i += 1) {
          watchers.push(watch({from: i % 2 === 0 ? from : await store.revision()}));
          await write(store, put('a', 'beat', `${i}`));
        }
        stop = true;
        await Promise.all(writers);
        last = (await store.revision()).n;
        for (const watching of watchers) {
          const events = await watching.until(last);
          const start = watching.batches[0]?.revision.n ?? 0;
          expect(events.map(versionOf)).toEqual(Array.from({length: last - start}, (_, i) => start + i + 1));
        }
      });

      it('does not keep a slow watcher from what it missed, nor others waiting for it', async () => {
        const from = await store.revision();
        const iterator = store.watch({from, signal: ended.signal})[Symbol.asyncIterator]();
        await iterator.next();
        for (let round = 0; round < 20; round += 1) await Promise.all(Array.from({length: 50}, (_, i) => write(store, put('a', `k${i}`, `${round}`))));
        const last = (await store.revision()).n;
        await watch({from}).until(last);
        const versions: number[] = [];
        while ((versions.at(-1) ?? 0) < last) {
          const {value} = await iterator.next();
          versions.push(...(value?.events ?? []).map(versionOf));
        }
        expect(versions).toEqual(Array.from({length: 1000}, (_, i) => from.n + i + 1));
        await iterator.return?.();
      });

      it('ends quietly when aborted', async () => {
        const abort = new AbortController();
        const iterator = store.watch({from: await store.revision(), signal: abort.signal})[Symbol.asyncIterator]();
        await iterator.next();
        const next = iterator.next();
        abort.abort();
        expect((await next).done).toBe(true);
      });

      it('refuses to start below the floor, in the future, or in another epoch', async () => {
        const old = await store.revision();
        for (let i = 0; i < 5; i += 1) await write(store, put('a', 'x', `${i}`));
        const now = await store.revision();
        await store.compact(now.n - 1);
        expect((await store.status()).compactedTo).toBe(now.n - 1);
        await expect(watch({from: old}).until(now.n)).rejects.toMatchObject({code: 'compacted'});
        await expect(watch({from: {...now, n: now.n + 1}}).until(now.n + 2)).rejects.toMatchObject({code: 'compacted'});
        await expect(watch({from: {epoch: 'another', n: now.n}}).until(now.n + 1)).rejects.toMatchObject({code: 'compacted'});
        expect(await watch({from: {...now, n: now.n - 1}}).until(now.n)).toHaveLength(1);
      });

      it('keeps records and running watches when the log is compacted, and cannot be compacted into the future', async () => {
        const watching = watch({from: await store.revision()});
        const n = await write(store, put('a', 'x', '1'));
        await watching.until(n);
        await store.compact(n + 1000);
        expect((await store.status()).compactedTo).toBe(n);
        const next = await write(store, put('a', 'x', '2'));
        expect(keysOf(await watching.until(next))).toEqual(['x', 'x']);
        expect((await store.get('a', 'x'))?.created).toBe(n);
      });
    });

    describe('epochs', () => {
      it('ends watches with a new epoch, keeps records, and never counts back', async () => {
        const n = await write(store, put('a', 'x', '1'));
        const before = await store.revision();
        const watching = watch({from: before});
        await watching.until(n);
        const renewed = await store.renewEpoch();
        expect(renewed.epoch).not.toBe(before.epoch);
        expect(renewed.n).toBeGreaterThanOrEqual(before.n);
        await expect(watching.until(n + 1)).rejects.toMatchObject({code: 'compacted'});
        await expect(watch({from: before}).until(n + 1)).rejects.toMatchObject({code: 'compacted'});
        const next = await store.transact({compare: [{collection: 'a', key: 'x', version: n}], writes: [put('a', 'x', '2')]});
        expect(next).toMatchObject({ok: true, revision: {epoch: renewed.epoch, n: renewed.n + 1}});
        expect(keysOf(await watch({from: renewed}).until(renewed.n + 1))).toEqual(['x']);
      });
    });

    describe('leases', () => {
      it('removes what a lapsed lease held, and logs each removal', async () => {
        const lease = await store.grantLease(100);
        const from = await store.revision();
        await write(store, put('a', 'x', '1', lease.id), put('a', 'y', '1', lease.id), put('a', 'z', '1'));
        expect((await store.get('a', 'x'))?.lease).toBe(lease.id);
        const watching = watch({from});
        await context.elapse(150);
        const events = await watching.until(from.n + 2);
        expect(events.filter(({type}) => type === 'delete')).toEqual([
          {type: 'delete', collection: 'a', key: 'x', version: from.n + 2},
          {type: 'delete', collection: 'a', key: 'y', version: from.n + 2},
        ]);
        expect(await store.getMany([{collection: 'a', key: 'x'}, {collection: 'a', key: 'y'}])).toEqual([undefined, undefined]);
        expect(await store.get('a', 'z')).toBeDefined();
      });

      it('lasts while it is kept alive, without writing a revision', async () => {
        const lease = await store.grantLease(400);
        const n = await write(store, put('a', 'x', '1', lease.id));
        for (let i = 0; i < 6; i += 1) {
          await context.elapse(150);
          await store.keepAlive(lease.id);
        }
        expect(await store.get('a', 'x')).toBeDefined();
        expect((await store.revision()).n).toBe(n);
      });

      it('refuses a lease that has ended', async () => {
        const lease = await store.grantLease(50);
        const watching = watch({from: await store.revision()});
        const n = await write(store, put('a', 'x', '1', lease.id));
        await context.elapse(80);
        await watching.until(n + 1);
        await expect(store.keepAlive(lease.id)).rejects.toMatchObject({code: 'lease-expired'});
        await expect(store.transact({writes: [put('a', 'y', '1', lease.id)]})).rejects.toMatchObject({code: 'lease-expired'});
        await expect(store.campaign('e', 'me', lease.id)).rejects.toMatchObject({code: 'lease-expired'});
        await expect(store.keepAlive('no-such-lease')).rejects.toMatchObject({code: 'lease-expired'});
      });

      it('removes at once what a revoked lease held', async () => {
        const lease = await store.grantLease(60_000);
        await write(store, put('a', 'x', '1', lease.id));
        await store.revokeLease(lease.id);
        expect(await store.get('a', 'x')).toBeUndefined();
        await expect(store.keepAlive(lease.id)).rejects.toMatchObject({code: 'lease-expired'});
        await store.revokeLease(lease.id);
      });

      it('lets go of a record that is written again without it, or was deleted', async () => {
        const lease = await store.grantLease(60_000);
        await write(store, put('a', 'x', '1', lease.id), put('a', 'y', '1', lease.id));
        await write(store, put('a', 'x', '2'));
        await write(store, {op: 'delete', collection: 'a', key: 'y'});
        await write(store, put('a', 'y', '2'));
        const {n} = await store.revision();
        await store.revokeLease(lease.id);
        expect((await store.revision()).n).toBe(n);
        expect(await store.get('a', 'x')).toMatchObject({value: '2'});
        expect(await store.get('a', 'y')).toMatchObject({value: '2'});
      });

      it('refuses a time that makes no sense', async () => {
        for (const ttl of [0, -1, 1.5, NaN, Infinity]) await expect(store.grantLease(ttl)).rejects.toMatchObject({code: 'invalid-input'});
      });
    });

    describe('elections', () => {
      it('has one winner among many', async () => {
        const campaigns = await Promise.all(
          Array.from({length: 8}, async (_, i) => store.campaign('scheduler', `m${i}`, (await store.grantLease(60_000)).id)),
        );
        expect(new Set(campaigns.map(({holder}) => holder)).size).toBe(1);
        expect(new Set(campaigns.map(({revision}) => revision)).size).toBe(1);
        expect(await store.leader('scheduler')).toEqual(campaigns[0]);
        expect(await store.leader('other')).toBeUndefined();
      });

      it('passes on when the lease ends, with a later fencing revision', async () => {
        const [one, two] = [await store.grantLease(60_000), await store.grantLease(60_000)];
        const first = await store.campaign('e', 'one', one.id);
        expect(await store.campaign('e', 'two', two.id)).toEqual(first);
        await store.revokeLease(one.id);
        expect(await store.leader('e')).toBeUndefined();
        const second = await store.campaign('e', 'two', two.id);
        expect(second.holder).toBe('two');
        expect(second.revision).toBeGreaterThan(first.revision);
      });

      it('refuses the writes of who does not lead any more, and changes nothing', async () => {
        const [one, two] = [await store.grantLease(60_000), await store.grantLease(60_000)];
        const first = await store.campaign('e', 'one', one.id);
        const fence = {election: 'e', revision: first.revision};
        expect((await store.transact({writes: [put('a', 'x', '1')], fence})).ok).toBe(true);
        await store.revokeLease(one.id);
        expect(await store.transact({writes: [put('a', 'x', '2')], fence})).toMatchObject({ok: false, reason: 'fenced'});
        const second = await store.campaign('e', 'two', two.id);
        expect(await store.transact({writes: [put('a', 'x', '3')], fence})).toMatchObject({ok: false, reason: 'fenced'});
        expect((await store.get('a', 'x'))?.value).toBe('1');
        expect((await store.transact({writes: [put('a', 'x', '4')], fence: {election: 'e', revision: second.revision}})).ok).toBe(true);
      });

      it('tells watchers who won and that a leader is gone', async () => {
        const lease = await store.grantLease(60_000);
        const from = await store.revision();
        const watching = watch({from, collections: ['elections']});
        const {revision} = await store.campaign('e', 'one', lease.id);
        await store.revokeLease(lease.id);
        const events = await watching.until(revision + 1);
        expect(events.map(({type}) => type)).toEqual(['put', 'delete']);
      });
    });

    describe('closing', () => {
      it('ends watches and refuses everything with `closed`', async () => {
        const watching = watch({from: await store.revision()});
        const pending = write(store, put('a', 'x', '1'));
        await store.close();
        await pending;
        await expect(watching.until(1_000_000)).rejects.toMatchObject({code: 'closed'});
        await expect(store.get('a', 'x')).rejects.toMatchObject({code: 'closed'});
        await expect(store.transact({writes: [put('a', 'x', '1')]})).rejects.toMatchObject({code: 'closed'});
        await store.close();
      });
    });
  });
}

/** A put, short. */
export function put(collection: string, key: string, value: string, lease?: string): Write & {op: 'put'} {
  return {op: 'put', collection, key, value, ...(lease === undefined ? {} : {lease})};
}

/** Writes unconditionally; answers the transaction's `n`. */
export async function write(store: Store, ...writes: Write[]): Promise<number> {
  const result = await store.transact({writes});
  if (!result.ok) throw new Error(`A transaction without conditions was refused: ${result.reason}`);
  return result.revision.n;
}

/** Collects a watch. */
export class Watching {
  readonly batches: WatchBatch[] = [];
  readonly #iterator: AsyncIterator<WatchBatch>;

  constructor(watch: AsyncIterable<WatchBatch>) {
    this.#iterator = watch[Symbol.asyncIterator]();
  }

  get revision(): Revision | undefined {
    return this.batches.at(-1)?.revision;
  }

  /** All events so far, once the watch has come to `n`; rejects with what ended it. */
  async until(n: number): Promise<ChangeEvent[]> {
    while ((this.revision?.n ?? -1) < n) {
      const {value, done} = await this.#iterator.next();
      if (done) throw new Error(`The watch ended at ${this.revision?.n}, before ${n}.`);
      this.batches.push(value);
    }
    return this.batches.flatMap(({events}) => events);
  }
}

const keysOf = (events: readonly ChangeEvent[]): string[] => events.map((event) => (event.type === 'put' ? event.record.key : event.key));
const versionOf = (event: ChangeEvent): number => (event.type === 'put' ? event.record.version : event.version);
