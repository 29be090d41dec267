/** The part of the contract about records, lists, transactions and closing. */
import type {ContractContext} from './contract.ts';
import {keysOf, put, write} from './watching.ts';

export function recordsContract(context: ContractContext): void {
  describe('records', () => {
    it('reads back what was written, with the revisions that made and touched it', async () => {
      const first = await write(context.store, put('apps', 'default/web', '{"a":1}'));
      const second = await write(context.store, put('apps', 'default/web', '{"a":2}'));
      expect(second).toBe(first + 1);
      expect(await context.store.get('apps', 'default/web')).toEqual({collection: 'apps', key: 'default/web', value: '{"a":2}', created: first, version: second});
    });

    it('knows nothing of what was never written, or was deleted', async () => {
      expect(await context.store.get('apps', 'x')).toBeUndefined();
      await write(context.store, put('apps', 'x', '1'));
      await write(context.store, {op: 'delete', collection: 'apps', key: 'x'});
      expect(await context.store.get('apps', 'x')).toBeUndefined();
    });

    it('begins a new life for a key that was deleted', async () => {
      await write(context.store, put('apps', 'x', '1'));
      await write(context.store, {op: 'delete', collection: 'apps', key: 'x'});
      const n = await write(context.store, put('apps', 'x', '2'));
      expect(await context.store.get('apps', 'x')).toMatchObject({created: n, version: n});
    });

    it('keeps collections apart and names those that hold something', async () => {
      await write(context.store, put('b', 'k', '1'), put('a', 'k', '2'));
      await write(context.store, put('c', 'k', '3'));
      await write(context.store, {op: 'delete', collection: 'c', key: 'k'});
      expect(await context.store.collections()).toEqual(['a', 'b']);
      expect((await context.store.get('a', 'k'))?.value).toBe('2');
    });

    it('answers many gets in the order asked', async () => {
      await write(context.store, put('a', 'x', '1'), put('b', 'y', '2'));
      const found = await context.store.getMany([{collection: 'b', key: 'y'}, {collection: 'b', key: 'none'}, {collection: 'a', key: 'x'}]);
      expect(found.map((record) => record?.value)).toEqual(['2', undefined, '1']);
      expect(await context.store.getMany([])).toEqual([]);
    });

    it('keeps text exactly, whatever is in it', async () => {
      const value = JSON.stringify({text: 'ü€😀 \u0000 \\ " \n \u2028 {}', empty: '', n: 1.5, deep: [[[]]]});
      await write(context.store, put('apps', 'ns/ü😀:*[x]?', value));
      expect((await context.store.get('apps', 'ns/ü😀:*[x]?'))?.value).toBe(value);
      expect((await context.store.list('apps')).records.map(({key}) => key)).toEqual(['ns/ü😀:*[x]?']);
    });

    it('takes values up to 1 MiB and refuses larger ones', async () => {
      const largest = JSON.stringify('x'.repeat(1024 * 1024 - 2));
      await write(context.store, put('apps', 'large', largest));
      expect((await context.store.get('apps', 'large'))?.value).toBe(largest);
      await expect(context.store.transact({writes: [put('apps', 'larger', `${largest} `)]})).rejects.toMatchObject({code: 'too-large', status: 413});
    });

    it('refuses names it could not keep', async () => {
      for (const [collection, key] of [['apps', ''], ['Apps!', 'k'], ['apps', 'a\u0000b'], ['apps', '\ud800'], ['apps', 'x'.repeat(513)]] as const) {
        await expect(context.store.transact({writes: [put(collection, key, '1')]})).rejects.toMatchObject({code: 'invalid-input'});
        await expect(context.store.get(collection, key)).rejects.toMatchObject({code: 'invalid-input'});
      }
    });
  });

  describe('list', () => {
    it('pages in the order of UTF-8 bytes, each record once', async () => {
      const keys = ['a', 'a/1', 'a/10', 'a/2', 'b', 'é', '￿', '😀', 'Z', '~'];
      await write(context.store, ...keys.map((key) => put('apps', key, JSON.stringify(key))), put('apps-other', 'c', '1'));
      const found: string[] = [];
      let pages = 0;
      for (let after: string | undefined = undefined; ; pages += 1) {
        const page = await context.store.list('apps', {limit: 3, ...(after === undefined ? {} : {after})});
        expect(page.records.length).toBeLessThanOrEqual(3);
        found.push(...page.records.map(({key, value}) => (expect(value).toBe(JSON.stringify(key)), key)));
        after = page.next;
        if (after === undefined) break;
      }
      expect(found).toEqual([...keys].sort((a, b) => Buffer.compare(Buffer.from(a), Buffer.from(b))));
      expect(pages).toBeGreaterThanOrEqual(3);
    });

    it('narrows by prefix, also from the middle', async () => {
      await write(context.store, ...['a/1', 'a/2', 'a/3', 'a0', 'b/1', 'a/'].map((key) => put('apps', key, '1')));
      expect((await context.store.list('apps', {prefix: 'a/'})).records.map(({key}) => key)).toEqual(['a/', 'a/1', 'a/2', 'a/3']);
      expect((await context.store.list('apps', {prefix: 'a/', after: 'a/1', limit: 1})).records.map(({key}) => key)).toEqual(['a/2']);
      expect((await context.store.list('apps', {prefix: 'a/', after: 'a/3'})).records).toEqual([]);
      expect((await context.store.list('none')).records).toEqual([]);
    });

    it('answers no more than 1,000 records a page', async () => {
      for (const half of ['a', 'b']) await write(context.store, ...Array.from({length: 600}, (_, i) => put('apps', `${half}${i}`, '1')));
      const page = await context.store.list('apps', {limit: 5000});
      expect(page.records).toHaveLength(1000);
      expect((await context.store.list('apps', {after: page.next})).records).toHaveLength(200);
    });

    it('names a revision from which a watch misses nothing', async () => {
      await write(context.store, put('apps', 'before', '1'));
      const {revision} = await context.store.list('apps');
      const n = await write(context.store, put('apps', 'after', '2'));
      const watching = context.watch({from: revision});
      expect(keysOf(await watching.until(n))).toEqual(['after']);
    });
  });

  describe('transactions', () => {
    it('creates only what is absent and replaces only what was read', async () => {
      const absent = {collection: 'apps', key: 'x', version: 0};
      const created = await context.store.transact({compare: [absent], writes: [put('apps', 'x', '1')]});
      expect(created.ok).toBe(true);
      const {n} = created.revision;
      expect(await context.store.transact({compare: [absent], writes: [put('apps', 'x', '2')]})).toEqual({
        ok: false, reason: 'conflict', revision: created.revision, conflicts: [{collection: 'apps', key: 'x', version: n}],
      });
      expect((await context.store.transact({compare: [{...absent, version: n}], writes: [put('apps', 'x', '3')]})).ok).toBe(true);
      expect((await context.store.get('apps', 'x'))?.value).toBe('3');
    });

    it('writes all or nothing, names every failed comparison, and takes no revision then', async () => {
      const n = await write(context.store, put('a', 'x', '1'), put('a', 'y', '1'));
      const result = await context.store.transact({
        compare: [{collection: 'a', key: 'x', version: n}, {collection: 'a', key: 'y', version: n + 7}, {collection: 'a', key: 'z', version: 3}],
        writes: [put('a', 'x', '2'), {op: 'delete', collection: 'a', key: 'y'}],
      });
      expect(result).toMatchObject({ok: false, reason: 'conflict', conflicts: [{collection: 'a', key: 'y', version: n}, {collection: 'a', key: 'z', version: 0}]});
      expect((await context.store.getMany([{collection: 'a', key: 'x'}, {collection: 'a', key: 'y'}])).map((record) => record?.value)).toEqual(['1', '1']);
      expect((await context.store.revision()).n).toBe(n);
    });

    it('gives all writes of a transaction one revision', async () => {
      const n = await write(context.store, put('a', 'x', '1'), put('b', 'y', '2'));
      expect((await context.store.get('a', 'x'))?.version).toBe(n);
      expect((await context.store.get('b', 'y'))?.version).toBe(n);
      expect((await context.store.revision()).n).toBe(n);
    });

    it('takes no revision when it writes nothing', async () => {
      const n = await write(context.store, put('a', 'x', '1'));
      expect(await write(context.store)).toBe(n);
      expect(await write(context.store, {op: 'delete', collection: 'a', key: 'none'})).toBe(n);
    });

    it('refuses a key written twice, and a hand-made election', async () => {
      await expect(context.store.transact({writes: [put('a', 'x', '1'), {op: 'delete', collection: 'a', key: 'x'}]})).rejects.toMatchObject({code: 'invalid-input'});
      await expect(context.store.transact({writes: [put('elections', 'x', '{"holder":"me"}')]})).rejects.toMatchObject({code: 'invalid-input'});
    });

    it('refuses more than 4,096 writes or 8 MiB', async () => {
      const many = Array.from({length: 4097}, (_, i) => put('a', `${i}`, '1'));
      await expect(context.store.transact({writes: many})).rejects.toMatchObject({code: 'too-large'});
      expect(await write(context.store, ...many.slice(1))).toBeGreaterThan(0);
      const big = JSON.stringify('x'.repeat(1024 * 1023));
      await expect(context.store.transact({writes: Array.from({length: 9}, (_, i) => put('a', `${i}`, big))})).rejects.toMatchObject({code: 'too-large'});
    });

    it('loses no increment among concurrent compare-and-set loops', async () => {
      await write(context.store, put('a', 'counter', '0'));
      const increment = async (): Promise<void> => {
        for (;;) {
          const record = await context.store.get('a', 'counter');
          const result = await context.store.transact({
            compare: [{collection: 'a', key: 'counter', version: record?.version ?? 0}],
            writes: [put('a', 'counter', String(Number(record?.value) + 1))],
          });
          if (result.ok) return;
        }
      };
      await Promise.all(Array.from({length: 32}, increment));
      expect((await context.store.get('a', 'counter'))?.value).toBe('32');
    });
  });

  describe('closing', () => {
    it('ends watches and refuses everything with `closed`', async () => {
      const watching = context.watch({from: await context.store.revision()});
      const pending = write(context.store, put('a', 'x', '1'));
      await context.store.close();
      await pending;
      await expect(watching.until(1_000_000)).rejects.toMatchObject({code: 'closed'});
      await expect(context.store.get('a', 'x')).rejects.toMatchObject({code: 'closed'});
      await expect(context.store.transact({writes: [put('a', 'x', '1')]})).rejects.toMatchObject({code: 'closed'});
      await context.store.close();
    });
  });
}
