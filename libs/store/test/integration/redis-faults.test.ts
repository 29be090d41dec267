/** What the Redis driver does when the server is weak, dies, freezes, forgets, or has other clients. */
import {collection, informer, openRedisStore, type Store} from '../../src/index.ts';
import {put, Watching, write} from '../../src/testing/index.ts';
import {startRedis, waitFor, type RedisServer} from '@hivemind/testkit';
import {Redis} from 'ioredis';
import * as z from 'zod';

const closing: (() => Promise<unknown>)[] = [];
afterEach(async () => {
  for (const close of closing.splice(0).reverse()) await close();
});

async function server(options: Parameters<typeof startRedis>[0] = {}): Promise<RedisServer> {
  const started = await startRedis(options);
  closing.push(() => started.stop());
  return started;
}

async function open(url: string, options: {allowWeakPersistence?: boolean; prefix?: string; retainLog?: number} = {}): Promise<Store> {
  const store = await openRedisStore({url, ...options});
  closing.push(() => store.close());
  return store;
}

function admin(url: string): Redis {
  const redis = new Redis(url);
  closing.push(async () => redis.disconnect());
  return redis;
}

const watch = (store: Store, from: Awaited<ReturnType<Store['revision']>>): Watching => {
  const ended = new AbortController();
  closing.push(async () => ended.abort());
  return new Watching(store.watch({from, signal: ended.signal}));
};
const writable = (store: Store): Promise<number> => waitFor(() => write(store, put('probe', 'x', '1')), {what: 'Redis to take writes again', deadlineMs: 20_000});

describe('persistence', () => {
  it.each([
    [{appendfsync: 'everysec'} as const, 'appendfsync everysec'],
    [{appendonly: false}, 'appendonly no'],
    [{maxmemoryPolicy: 'allkeys-lru'}, 'maxmemory-policy allkeys-lru'],
  ])('weaker than asked (%j) is refused by name, or taken with a warning', async (options, words) => {
    const {url} = await server(options);
    await expect(openRedisStore({url})).rejects.toMatchObject({code: 'weak-persistence', message: expect.stringContaining(words)});
    const store = await open(url, {allowWeakPersistence: true});
    expect((await store.status()).warnings).toEqual([expect.stringContaining(words)]);
  });

  it('as asked has no warning', async () => {
    const store = await open((await server()).url);
    expect(await store.status()).toMatchObject({driver: 'redis', warnings: []});
  });

  it('keeps every acknowledged write when the server is killed', async () => {
    const redis = await server();
    const store = await open(redis.url);
    let stop = false;
    const acknowledged = new Map<string, number>();
    const writers = Array.from({length: 32}, async (_, w) => {
      for (let i = 1; !stop; i += 1) {
        try {
          await write(store, put('a', `w${w}`, `${i}`));
          acknowledged.set(`w${w}`, i);
        } catch (error) {
          expect(error).toMatchObject({code: 'unavailable', status: 503});
          stop = true;
        }
      }
    });
    await waitFor(() => [...acknowledged.values()].some((i) => i > 20), {what: 'writes'});
    await redis.kill();
    await Promise.all(writers);
    await redis.start();
    await writable(store);
    for (const [key, number] of acknowledged) expect(Number((await store.get('a', key))?.value)).toBeGreaterThanOrEqual(number);
  });
});

describe('a server', () => {
  it('that is not there, or wants another password, is named as unavailable', async () => {
    await expect(openRedisStore({url: 'redis://127.0.0.1:1'})).rejects.toMatchObject({code: 'unavailable', message: expect.stringContaining('ECONNREFUSED')});
    const {port, url} = await server({password: 'secret'});
    await expect(openRedisStore({url: `redis://:wrong@127.0.0.1:${port}`})).rejects.toMatchObject({code: 'unavailable'});
    expect(await writable(await open(url))).toBe(1);
  });

  it('that came back is another one: a new epoch, watches end, leases restart full', async () => {
    const redis = await server();
    const store = await open(redis.url);
    const lease = await store.grantLease(60_000);
    await write(store, put('a', 'x', '1', lease.id));
    const before = await store.revision();
    const watching = watch(store, before);
    const first = await admin(redis.url).zscore('{hivemind}:leases', lease.id);
    await redis.kill();
    await expect(write(store, put('a', 'y', '1'))).rejects.toMatchObject({code: 'unavailable', status: 503});
    await expect(store.get('a', 'x')).rejects.toMatchObject({code: 'unavailable'});
    await redis.start();
    await writable(store);
    const after = await store.revision();
    expect(after.epoch).not.toBe(before.epoch);
    expect(after.n).toBeGreaterThan(before.n + 100_000);
    await expect(watching.until(after.n)).rejects.toMatchObject({code: 'compacted'});
    await store.keepAlive(lease.id);
    expect(Number(await admin(redis.url).zscore('{hivemind}:leases', lease.id))).toBeGreaterThan(Number(first));
    expect((await store.get('a', 'x'))?.lease).toBe(lease.id);
  });

  it.each([
    ['was another one meanwhile', {run: 'another'}],
    ['was looked at by nobody for a minute', {reaped: Date.now() - 60_000}],
  ])('that %s has no leader of before: who leads next does not wait for one that stopped by its own clock', async (_, meta) => {
    const {url} = await server();
    const store = await open(url);
    const client = admin(url);
    const [leads, works] = [await store.grantLease(60_000), await store.grantLease(60_000)];
    const {revision} = await store.campaign('app', 'one', leads.id);
    await write(store, put('node-leases', 'n1', '1', works.id));
    // In one step: both deadlines passed while nothing could be kept alive.
    await client.multi().call('CLIENT', 'KILL', 'TYPE', 'normal', 'SKIPME', 'yes').zadd('{hivemind}:leases', Date.now() - 56_000, leads.id, Date.now() - 56_000, works.id).hset('{hivemind}:meta', meta).exec();
    await waitFor(async () => (await store.leader('app')) === undefined, {what: 'nobody to lead'});
    await store.keepAlive(works.id);
    const next = await store.grantLease(60_000);
    expect((await store.campaign('app', 'two', next.id)).revision).toBeGreaterThan(revision);
    expect(await store.transact({writes: [put('a', 'x', '1')], fence: {election: 'app', revision}})).toMatchObject({ok: false, reason: 'fenced'});
  });

  it('that forgot what was seen begins a new epoch, and never gives a version out twice', async () => {
    const redis = await server();
    const store = await open(redis.url);
    const client = admin(redis.url);
    for (let i = 0; i < 5; i += 1) await write(store, put('a', 'x', `${i}`));
    const before = await store.revision();
    // As after a failover that lost the last writes: the counter is lower, in the same epoch.
    await client.set('{hivemind}:n', before.n - 3);
    await client.call('CLIENT', 'KILL', 'TYPE', 'normal', 'SKIPME', 'yes');
    const n = await waitFor(async () => {
      const {epoch} = await store.revision();
      return epoch !== before.epoch && (await write(store, put('a', 'x', 'later')));
    }, {what: 'a new epoch'});
    expect(n).toBeGreaterThan(before.n);
  });

  it('that freezes is given up: callers hear within seconds, and it is found again', async () => {
    const redis = await server();
    const store = await open(redis.url);
    redis.pause();
    try {
      await expect(store.get('a', 'x')).rejects.toMatchObject({code: 'unavailable'});
    } finally {
      redis.resume();
    }
    await writable(store);
  });

  it('out of memory refuses writes whole, and goes on reading, deleting and ending leases', async () => {
    const redis = await server();
    const store = await open(redis.url);
    const client = admin(redis.url);
    const lease = await store.grantLease(60_000);
    const n = await write(store, put('a', 'x', '1'), put('a', 'leased', '1', lease.id));
    await client.config('SET', 'maxmemory', '1');
    await expect(write(store, put('a', 'x', '2'), put('a', 'y', '2'))).rejects.toMatchObject({code: 'unavailable', message: expect.stringContaining('OOM')});
    expect((await store.get('a', 'x'))?.value).toBe('1');
    expect((await store.revision()).n).toBe(n);
    await store.revokeLease(lease.id);
    expect(await store.get('a', 'leased')).toBeUndefined();
    await client.config('SET', 'maxmemory', '0');
    await writable(store);
  });

  it('that became a replica is unavailable until it is a primary again', async () => {
    const redis = await server();
    const store = await open(redis.url);
    const client = admin(redis.url);
    await client.call('REPLICAOF', '127.0.0.1', '1');
    await expect(write(store, put('a', 'x', '1'))).rejects.toMatchObject({code: 'unavailable'});
    await client.call('REPLICAOF', 'NO', 'ONE');
    await writable(store);
  });
});

describe('several processes', () => {
  it('see each other’s writes and new epochs', async () => {
    const {url} = await server();
    const [one, two] = [await open(url), await open(url)];
    const watching = watch(two, await two.revision());
    const n = await write(one, put('a', 'x', '1'));
    expect(await watching.until(n)).toHaveLength(1);
    const {epoch} = await one.renewEpoch();
    await expect(watching.until(n + 5)).rejects.toMatchObject({code: 'compacted'});
    expect((await two.revision()).epoch).toBe(epoch);
    expect(await write(two, put('a', 'x', '2'))).toBe(n + 2);
  });

  it('end the leases of one that is gone', async () => {
    const {url} = await server();
    const gone = await openRedisStore({url});
    const lease = await gone.grantLease(300);
    await gone.campaign('e', 'gone', lease.id);
    await gone.close();
    const other = await open(url);
    await waitFor(async () => (await other.leader('e')) === undefined, {what: 'the election to be free'});
  });

  it('keep apart by prefix', async () => {
    const {url} = await server();
    const [one, two] = [await open(url, {prefix: 'one:'}), await open(url, {prefix: 'two:'})];
    await write(one, put('a', 'x', '1'));
    expect(await two.collections()).toEqual([]);
    expect((await two.revision()).n).toBe(0);
  });
});

it('an informer follows through the loss of the server without missing anything', async () => {
  const redis = await server();
  const store = await open(redis.url);
  const other = await open(redis.url);
  const things = collection({name: 'things', schema: z.object({i: z.number()}), version: 1});
  const ended = new AbortController();
  const cache = informer({store, collection: things, signal: ended.signal});
  await cache.ready();
  await things.in(store).put('a', {i: 1});
  await redis.kill();
  await redis.start();
  await writable(other);
  await things.in(other).put('b', {i: 2});
  await things.in(other).delete('a');
  await waitFor(() => cache.get('b') && !cache.get('a'), {what: 'the cache to hold what came after', deadlineMs: 20_000});
  ended.abort();
});

it('keeps no more of the log than asked', async () => {
  const store = await open((await server()).url, {retainLog: 1500});
  for (let i = 0; i < 6; i += 1) await Promise.all(Array.from({length: 500}, () => write(store, put('a', 'x', '1'))));
  const {revision, compactedTo} = await store.status();
  expect(revision.n - compactedTo).toBeGreaterThanOrEqual(1500);
  expect(revision.n - compactedTo).toBeLessThanOrEqual(2500);
});
