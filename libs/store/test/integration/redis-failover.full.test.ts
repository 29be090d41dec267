/** The Redis driver behind Sentinels: what was acknowledged outlives the primary, and the change of primary is noticed. */
import {startRedisSet, waitFor, type RedisSet} from '@hivemind/testkit';
import {Redis} from 'ioredis';
import {openRedisStore, type Store} from '../../src/index.ts';
import {put, Watching, write} from '../../src/testing/index.ts';

let set: RedisSet;
let store: Store;
beforeEach(async () => {
  set = await startRedisSet();
  store = await waitFor(() => openRedisStore({url: set.url}), {what: 'the set to take writes', deadlineMs: 20_000});
});
afterEach(async () => {
  await store.close();
  await set.stop();
});

const writable = (): Promise<number> => waitFor(() => write(store, put('probe', 'x', '1')), {what: 'the primary to take writes', deadlineMs: 40_000});

it('keeps every acknowledged write when the primary is killed, under a new epoch and higher versions', async () => {
  const before = await store.revision();
  const watching = new Watching(store.watch({from: before, signal: new AbortController().signal}));
  const acknowledged = new Map<string, number>();
  let stop = false;
  const writers = Array.from({length: 16}, async (_, writer) => {
    for (let i = 0; !stop; i++) {
      const key = `${writer}-${i}`;
      const version = await write(store, put('acknowledged', key, key)).catch(() => undefined);
      if (version !== undefined) acknowledged.set(key, version);
      else stop = true;
    }
  });
  await waitFor(() => acknowledged.size > 500 || undefined, {what: 'writes', deadlineMs: 20_000});
  const [primary, replica] = set.servers;
  await primary?.kill();
  await Promise.all(writers);
  const admin = new Redis(replica?.url ?? '');
  await waitFor(async () => (await admin.role())[0] === 'master' || undefined, {what: 'the replica to be promoted', deadlineMs: 25_000}).finally(() => admin.disconnect());
  // It takes writes once it has a replica, as it was told: the killed one becomes that.
  await primary?.start();

  const version = await writable();
  expect(version).toBeGreaterThan(Math.max(...acknowledged.values()));
  expect((await store.revision()).epoch).not.toBe(before.epoch);
  await expect(watching.until(version)).rejects.toMatchObject({code: 'compacted'});
  const keys = [...acknowledged.keys()];
  for (let from = 0; from < keys.length; from += 200) {
    const page = keys.slice(from, from + 200);
    const found = await store.getMany(page.map((key) => ({collection: 'acknowledged', key})));
    expect(found.map((record) => record?.value)).toEqual(page);
  }
}, 60_000);

it('answers no write as done that no replica has', async () => {
  const [, replica] = set.servers;
  replica?.pause();
  await expect(write(store, put('probe', 'alone', '1'))).rejects.toMatchObject({code: 'unavailable'});
  replica?.resume();
  await writable();
}, 60_000);

it('refuses servers that go on taking writes when they are cut off', async () => {
  const [primary] = set.servers;
  const admin = new Redis(primary?.url ?? '');
  try {
    await admin.config('SET', 'min-replicas-to-write', '0');
    await expect(openRedisStore({url: set.url})).rejects.toMatchObject({code: 'weak-persistence', message: expect.stringContaining('min-replicas-to-write 0')});
  } finally {
    admin.disconnect();
  }
}, 60_000);
