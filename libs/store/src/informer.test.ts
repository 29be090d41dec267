import {waitFor} from '@hivemind/testkit';
import * as z from 'zod';
import {collection, type Stored} from './collection.ts';
import {storeErrors} from './errors.ts';
import {informer, type Informer, type InformerOptions} from './informer.ts';
import {openSqliteStore} from './sqlite.ts';
import type {Store} from './store.ts';
import {put, write} from './testing/watching.ts';

const Container = z.object({app: z.string(), node: z.string().optional()});
type Container = z.infer<typeof Container>;
const containers = collection({name: 'containers', schema: Container, version: 1});
const apps = collection({name: 'apps', schema: z.object({image: z.string()}), version: 1});

let store: Store;
let ended: AbortController;
beforeEach(async () => {
  store = await openSqliteStore({path: ':memory:'});
  ended = new AbortController();
});
afterEach(async () => {
  ended.abort();
  await store.close();
});

const follow = (options: Partial<InformerOptions<Container, 'app' | 'node'>> = {}): Informer<Container, 'app' | 'node'> =>
  informer({
    store, collection: containers, signal: ended.signal,
    indexes: {app: ({app}) => [app], node: ({node}) => (node === undefined ? [] : [node])},
    ...options,
  });
const keys = (records: readonly Stored<unknown>[]): string[] => records.map(({key}) => key).sort();

it('holds what was there and follows what comes, found by key and by index', async () => {
  const bound = containers.in(store);
  await bound.put('a', {app: 'web', node: 'n1'});
  await bound.put('b', {app: 'web'});
  const cache = follow();
  await cache.ready();
  expect(keys(cache.byIndex('app', 'web'))).toEqual(['a', 'b']);
  expect(keys(cache.byIndex('node', 'n1'))).toEqual(['a']);

  await bound.put('b', {app: 'db', node: 'n1'});
  const {version} = await bound.put('c', {app: 'web'});
  await bound.delete('a');
  await cache.waitForRevision(version + 1);
  expect(keys(cache.list())).toEqual(['b', 'c']);
  expect(keys(cache.byIndex('app', 'web'))).toEqual(['c']);
  expect(keys(cache.byIndex('node', 'n1'))).toEqual(['b']);
  expect(cache.byIndex('app', 'none')).toEqual([]);
  expect(cache.get('b')?.value).toEqual({app: 'db', node: 'n1'});
});

it('tells listeners each change with before and after, the first list included', async () => {
  await containers.in(store).put('a', {app: 'web'});
  const cache = follow();
  const heard: [string, string | undefined, string | undefined][] = [];
  const stop = cache.onChange((key, before, after) => heard.push([key, before?.value.app, after?.value.app]));
  await cache.ready();
  await containers.in(store).put('a', {app: 'db'});
  await containers.in(store).delete('a');
  await cache.waitForRevision((await store.revision()).n);
  stop();
  await cache.waitForRevision(await write(store, put('containers', 'x', '{"v":1,"app":"late"}')));
  expect(heard).toEqual([['a', undefined, 'web'], ['a', 'web', 'db'], ['a', 'db', undefined]]);
});

it('stands at one revision with the other informers of the store when listeners run', async () => {
  const cache = follow();
  const others = informer({store, collection: apps, signal: ended.signal});
  await Promise.all([cache.ready(), others.ready()]);
  const seen: unknown[] = [];
  cache.onChange((key) => seen.push(others.get(key)?.value, others.revision));
  others.onChange((key) => seen.push(cache.get(key)?.value));
  const n = await write(store, put('apps', 'x', '{"v":1,"image":"i"}'), put('containers', 'x', '{"v":1,"app":"x"}'));
  await cache.waitForRevision(n);
  expect(seen).toEqual(expect.arrayContaining([{image: 'i'}, {app: 'x'}, expect.objectContaining({n})]));
});

it('comes to a revision even when nothing of its own changed', async () => {
  const cache = follow();
  await cache.ready();
  const n = await write(store, put('apps', 'x', '{"v":1,"image":"i"}'));
  await cache.waitForRevision(n);
  expect(cache.revision.n).toBe(n);
});

it('has the store exactly, though it lists and joins while many write', async () => {
  await write(store, ...Array.from({length: 2500}, (_, i) => put('containers', `k${i}`, '{"v":1,"app":"old"}')));
  let stop = false;
  const writers = Array.from({length: 8}, async (_, w) => {
    for (let i = 0; !stop; i += 1) {
      const key = `k${(i * 8 + w) % 3000}`;
      if (i % 3 === 0) await containers.in(store).delete(key);
      else await containers.in(store).put(key, {app: `${w}-${i}`});
    }
  });
  const caches = [follow(), follow()];
  await Promise.all(caches.map((cache) => cache.ready()));
  const late = follow();
  await late.ready();
  stop = true;
  await Promise.all(writers);
  const {n} = await store.revision();
  const {items} = await containers.in(store).list();
  const truth = new Map(items.map(({key, raw}) => [key, raw]));
  for (const cache of [...caches, late]) {
    await cache.waitForRevision(n);
    expect(new Map(cache.list().map(({key, raw}) => [key, raw]))).toEqual(truth);
  }
});

it('lists again after a new epoch, and tells only the differences', async () => {
  await containers.in(store).put('a', {app: 'web'});
  await containers.in(store).put('b', {app: 'web'});
  const cache = follow();
  await cache.ready();
  const heard: string[] = [];
  cache.onChange((key) => heard.push(key));
  const {epoch} = await store.renewEpoch();
  const {version} = await containers.in(store).put('b', {app: 'db'});
  await waitFor(() => cache.revision.epoch === epoch && cache.revision.n >= version, {what: 'the new epoch in the cache'});
  expect(cache.get('b')?.value.app).toBe('db');
  expect(heard).toEqual(['b']);
});

it('keeps what it knew of a record that cannot be read any more: unreadable is not gone', async () => {
  await write(store, put('containers', 'bad', '{"v":1}'));
  await containers.in(store).put('a', {app: 'web'});
  const errors: unknown[] = [];
  const cache = follow({onError: (error) => errors.push(error)});
  await cache.ready();
  expect([...cache.unreadable]).toEqual(['bad']);
  const n = await write(store, put('containers', 'a', 'nonsense'));
  await cache.waitForRevision(n);
  expect(cache.get('a')?.value).toEqual({app: 'web'});
  expect([...cache.unreadable].sort()).toEqual(['a', 'bad']);
  expect(errors).toMatchObject([{code: 'unreadable-record'}, {code: 'unreadable-record'}]);
  const {epoch} = await store.renewEpoch();
  await waitFor(() => cache.revision.epoch === epoch, {what: 'the list of the new epoch'});
  expect(cache.get('a')?.value).toEqual({app: 'web'});
  await cache.waitForRevision(await write(store, {op: 'delete', collection: 'containers', key: 'bad'}, put('containers', 'a', '{"v":1,"app":"db"}')));
  expect([...cache.unreadable]).toEqual([]);
});

it('tries again while the store is not available, and then has no gap', async () => {
  let down = true;
  const flaky: Store = new Proxy(store, {
    get(target, property) {
      if (property === 'list' && down) return () => Promise.reject(storeErrors.unavailable('down'));
      const value: unknown = Reflect.get(target, property);
      return typeof value === 'function' ? value.bind(target) : value;
    },
  });
  const errors: unknown[] = [];
  const cache = follow({store: flaky, onError: (error) => errors.push(error)});
  await waitFor(() => errors.length >= 2, {what: 'two refused lists'});
  const {version} = await containers.in(store).put('a', {app: 'web'});
  down = false;
  await cache.waitForRevision(version);
  expect(keys(cache.list())).toEqual(['a']);
});

it('ends with its signal: waiting rejects, the cache stays', async () => {
  await containers.in(store).put('a', {app: 'web'});
  const cache = follow();
  await cache.ready();
  const waiting = expect(cache.waitForRevision(1_000)).rejects.toMatchObject({code: 'closed'});
  const impatient = new AbortController();
  const given = expect(cache.waitForRevision(1_000, impatient.signal)).rejects.toMatchObject({code: 'closed'});
  impatient.abort();
  await given;
  ended.abort();
  await waiting;
  await expect(cache.ready()).rejects.toMatchObject({code: 'closed'});
  expect(keys(cache.list())).toEqual(['a']);
});
