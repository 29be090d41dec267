/** The part of the contract about leases and elections. */
import type {ContractContext} from './contract.ts';
import {put, write} from './watching.ts';

export function leasesContract(context: ContractContext): void {
  describe('leases', () => {
    it('removes what a lapsed lease held, and logs each removal', async () => {
      const lease = await context.store.grantLease(100);
      const from = await context.store.revision();
      await write(context.store, put('a', 'x', '1', lease.id), put('a', 'y', '1', lease.id), put('a', 'z', '1'));
      expect((await context.store.get('a', 'x'))?.lease).toBe(lease.id);
      const watching = context.watch({from});
      await context.elapse(150);
      const events = await watching.until(from.n + 2);
      expect(events.filter(({type}) => type === 'delete')).toEqual([
        {type: 'delete', collection: 'a', key: 'x', version: from.n + 2},
        {type: 'delete', collection: 'a', key: 'y', version: from.n + 2},
      ]);
      expect(await context.store.getMany([{collection: 'a', key: 'x'}, {collection: 'a', key: 'y'}])).toEqual([undefined, undefined]);
      expect(await context.store.get('a', 'z')).toBeDefined();
    });

    it('lasts while it is kept alive, without writing a revision', async () => {
      const lease = await context.store.grantLease(400);
      const n = await write(context.store, put('a', 'x', '1', lease.id));
      for (let i = 0; i < 6; i += 1) {
        await context.elapse(150);
        await context.store.keepAlive(lease.id);
      }
      expect(await context.store.get('a', 'x')).toBeDefined();
      expect((await context.store.revision()).n).toBe(n);
    });

    it('refuses a lease that has ended', async () => {
      const lease = await context.store.grantLease(50);
      const watching = context.watch({from: await context.store.revision()});
      const n = await write(context.store, put('a', 'x', '1', lease.id));
      await context.elapse(80);
      await watching.until(n + 1);
      await expect(context.store.keepAlive(lease.id)).rejects.toMatchObject({code: 'lease-expired'});
      await expect(context.store.transact({writes: [put('a', 'y', '1', lease.id)]})).rejects.toMatchObject({code: 'lease-expired'});
      await expect(context.store.campaign('e', 'me', lease.id)).rejects.toMatchObject({code: 'lease-expired'});
      await expect(context.store.keepAlive('no-such-lease')).rejects.toMatchObject({code: 'lease-expired'});
    });

    it('removes at once what a revoked lease held', async () => {
      const lease = await context.store.grantLease(60_000);
      await write(context.store, put('a', 'x', '1', lease.id));
      await context.store.revokeLease(lease.id);
      expect(await context.store.get('a', 'x')).toBeUndefined();
      await expect(context.store.keepAlive(lease.id)).rejects.toMatchObject({code: 'lease-expired'});
      await context.store.revokeLease(lease.id);
    });

    it('lets go of a record that is written again without it, or was deleted', async () => {
      const lease = await context.store.grantLease(60_000);
      await write(context.store, put('a', 'x', '1', lease.id), put('a', 'y', '1', lease.id));
      await write(context.store, put('a', 'x', '2'));
      await write(context.store, {op: 'delete', collection: 'a', key: 'y'});
      await write(context.store, put('a', 'y', '2'));
      const {n} = await context.store.revision();
      await context.store.revokeLease(lease.id);
      expect((await context.store.revision()).n).toBe(n);
      expect(await context.store.get('a', 'x')).toMatchObject({value: '2'});
      expect(await context.store.get('a', 'y')).toMatchObject({value: '2'});
    });

    it('refuses a time that makes no sense', async () => {
      for (const ttl of [0, -1, 1.5, NaN, Infinity]) await expect(context.store.grantLease(ttl)).rejects.toMatchObject({code: 'invalid-input'});
    });
  });

  describe('elections', () => {
    it('has one winner among many', async () => {
      const campaigns = await Promise.all(
        Array.from({length: 8}, async (_, i) => context.store.campaign('scheduler', `m${i}`, (await context.store.grantLease(60_000)).id)),
      );
      expect(new Set(campaigns.map(({holder}) => holder)).size).toBe(1);
      expect(new Set(campaigns.map(({revision}) => revision)).size).toBe(1);
      expect(await context.store.leader('scheduler')).toEqual(campaigns[0]);
      expect(await context.store.leader('other')).toBeUndefined();
    });

    it('passes on when the lease ends, with a later fencing revision', async () => {
      const [one, two] = [await context.store.grantLease(60_000), await context.store.grantLease(60_000)];
      const first = await context.store.campaign('e', 'one', one.id);
      expect(await context.store.campaign('e', 'two', two.id)).toEqual(first);
      await context.store.revokeLease(one.id);
      expect(await context.store.leader('e')).toBeUndefined();
      const second = await context.store.campaign('e', 'two', two.id);
      expect(second.holder).toBe('two');
      expect(second.revision).toBeGreaterThan(first.revision);
    });

    it('refuses the writes of who does not lead any more, and changes nothing', async () => {
      const [one, two] = [await context.store.grantLease(60_000), await context.store.grantLease(60_000)];
      const first = await context.store.campaign('e', 'one', one.id);
      const fence = {election: 'e', revision: first.revision};
      expect((await context.store.transact({writes: [put('a', 'x', '1')], fence})).ok).toBe(true);
      await context.store.revokeLease(one.id);
      expect(await context.store.transact({writes: [put('a', 'x', '2')], fence})).toMatchObject({ok: false, reason: 'fenced'});
      const second = await context.store.campaign('e', 'two', two.id);
      expect(await context.store.transact({writes: [put('a', 'x', '3')], fence})).toMatchObject({ok: false, reason: 'fenced'});
      expect((await context.store.get('a', 'x'))?.value).toBe('1');
      expect((await context.store.transact({writes: [put('a', 'x', '4')], fence: {election: 'e', revision: second.revision}})).ok).toBe(true);
    });

    it('tells watchers who won and that a leader is gone', async () => {
      const lease = await context.store.grantLease(60_000);
      const from = await context.store.revision();
      const watching = context.watch({from, collections: ['elections']});
      const {revision} = await context.store.campaign('e', 'one', lease.id);
      await context.store.revokeLease(lease.id);
      const events = await watching.until(revision + 1);
      expect(events.map(({type}) => type)).toEqual(['put', 'delete']);
    });
  });
}
