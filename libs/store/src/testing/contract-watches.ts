/** The part of the contract about watches and epochs. */
import type {ContractContext} from './contract.ts';
import {keysOf, put, versionOf, type Watching, write} from './watching.ts';

export function watchesContract(context: ContractContext): void {
  describe('watch', () => {
    it('delivers puts and deletes in order with what was written, live', async () => {
      const watching = context.watch({from: await context.store.revision()});
      const first = await write(context.store, put('a', 'x', '1'));
      const second = await write(context.store, put('a', 'x', '2'), put('b', 'y', '3'));
      const third = await write(context.store, {op: 'delete', collection: 'a', key: 'x'});
      expect(await watching.until(third)).toEqual([
        {type: 'put', record: {collection: 'a', key: 'x', value: '1', created: first, version: first}},
        {type: 'put', record: {collection: 'a', key: 'x', value: '2', created: first, version: second}},
        {type: 'put', record: {collection: 'b', key: 'y', value: '3', created: second, version: second}},
        {type: 'delete', collection: 'a', key: 'x', version: third},
      ]);
    });

    it('replays what happened since an older revision', async () => {
      const from = await context.store.revision();
      for (let i = 0; i < 40; i += 1) await write(context.store, put('a', `k${i}`, `${i}`));
      const events = await context.watch({from}).until(from.n + 40);
      expect(keysOf(events)).toEqual(Array.from({length: 40}, (_, i) => `k${i}`));
    });

    it('follows only the collections asked for', async () => {
      const watching = context.watch({from: await context.store.revision(), collections: ['b', 'c']});
      await write(context.store, put('a', 'x', '1'));
      await write(context.store, put('b', 'y', '1'), put('a', 'z', '1'));
      const n = await write(context.store, put('c', 'w', '1'));
      expect(keysOf(await watching.until(n))).toEqual(['y', 'w']);
    });

    it('never splits a transaction over batches', async () => {
      const from = await context.store.revision();
      const watching = context.watch({from});
      const writes = Array.from({length: 300}, (_, i) => put('a', `k${i}`, '1'));
      const n = await write(context.store, ...writes);
      await watching.until(n);
      expect(watching.batches.filter(({events}) => events.length > 0).map(({events}) => events.length)).toEqual([300]);
    });

    it('has no gap and no repeat for watchers that join while many write', async () => {
      const from = await context.store.revision();
      let stop = false;
      let last = from.n;
      const writers = Array.from({length: 16}, async (_, w) => {
        for (let i = 0; !stop; i += 1) last = Math.max(last, await write(context.store, put('a', `w${w}`, `${i}`)));
      });
      const watchers: Watching[] = [];
      for (let i = 0; i < 12; i += 1) {
        watchers.push(context.watch({from: i % 2 === 0 ? from : await context.store.revision()}));
        await write(context.store, put('a', 'beat', `${i}`));
      }
      stop = true;
      await Promise.all(writers);
      last = (await context.store.revision()).n;
      for (const watching of watchers) {
        const events = await watching.until(last);
        const start = watching.batches[0]?.revision.n ?? 0;
        expect(events.map(versionOf)).toEqual(Array.from({length: last - start}, (_, i) => start + i + 1));
      }
    });

    it('does not keep a slow watcher from what it missed, nor others waiting for it', async () => {
      const from = await context.store.revision();
      const iterator = context.store.watch({from, signal: context.ended.signal})[Symbol.asyncIterator]();
      await iterator.next();
      for (let round = 0; round < 20; round += 1) await Promise.all(Array.from({length: 50}, (_, i) => write(context.store, put('a', `k${i}`, `${round}`))));
      const last = (await context.store.revision()).n;
      await context.watch({from}).until(last);
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
      const iterator = context.store.watch({from: await context.store.revision(), signal: abort.signal})[Symbol.asyncIterator]();
      await iterator.next();
      const next = iterator.next();
      abort.abort();
      expect((await next).done).toBe(true);
    });

    it('refuses to start below the floor, in the future, or in another epoch', async () => {
      const old = await context.store.revision();
      for (let i = 0; i < 5; i += 1) await write(context.store, put('a', 'x', `${i}`));
      const now = await context.store.revision();
      await context.store.compact(now.n - 1);
      expect((await context.store.status()).compactedTo).toBe(now.n - 1);
      await expect(context.watch({from: old}).until(now.n)).rejects.toMatchObject({code: 'compacted'});
      await expect(context.watch({from: {...now, n: now.n + 1}}).until(now.n + 2)).rejects.toMatchObject({code: 'compacted'});
      await expect(context.watch({from: {epoch: 'another', n: now.n}}).until(now.n + 1)).rejects.toMatchObject({code: 'compacted'});
      expect(await context.watch({from: {...now, n: now.n - 1}}).until(now.n)).toHaveLength(1);
    });

    it('keeps records and running watches when the log is compacted, and cannot be compacted into the future', async () => {
      const watching = context.watch({from: await context.store.revision()});
      const n = await write(context.store, put('a', 'x', '1'));
      await watching.until(n);
      await context.store.compact(n + 1000);
      expect((await context.store.status()).compactedTo).toBe(n);
      const next = await write(context.store, put('a', 'x', '2'));
      expect(keysOf(await watching.until(next))).toEqual(['x', 'x']);
      expect((await context.store.get('a', 'x'))?.created).toBe(n);
    });
  });

  describe('epochs', () => {
    it('ends watches with a new epoch, keeps records, and never counts back', async () => {
      const n = await write(context.store, put('a', 'x', '1'));
      const before = await context.store.revision();
      const watching = context.watch({from: before});
      await watching.until(n);
      const renewed = await context.store.renewEpoch();
      expect(renewed.epoch).not.toBe(before.epoch);
      expect(renewed.n).toBeGreaterThanOrEqual(before.n);
      await expect(watching.until(n + 1)).rejects.toMatchObject({code: 'compacted'});
      await expect(context.watch({from: before}).until(n + 1)).rejects.toMatchObject({code: 'compacted'});
      const next = await context.store.transact({compare: [{collection: 'a', key: 'x', version: n}], writes: [put('a', 'x', '2')]});
      expect(next).toMatchObject({ok: true, revision: {epoch: renewed.epoch, n: renewed.n + 1}});
      expect(keysOf(await context.watch({from: renewed}).until(renewed.n + 1))).toEqual(['x']);
    });
  });
}
