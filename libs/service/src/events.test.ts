import {collections} from '@hivemind/contracts';
import {collection, openSqliteStore, storeErrors, type Store} from '@hivemind/store';
import {pino} from 'pino';
import {flushEvents, recordEvent} from './index.ts';

const event = {namespace: 'shop', kind: 'App', name: 'web', type: 'normal', reason: 'Created', message: 'it was created'} as const;

function contextOf(store: Store, log: string[] = []) {
  let ids = 0;
  return {store, logger: pino({level: 'warn'}, {write: (line: string) => void log.push(line)}), now: () => Date.parse('2026-01-01T00:00:00Z'), uid: () => `00000000-0000-0000-0000-${String(ids++).padStart(12, '0')}`};
}

it('writes events of many managers together, each under a key of its own', async () => {
  const store = await openSqliteStore({path: ':memory:'});
  const context = contextOf(store);
  const before = await store.revision();
  for (let index = 0; index < 20; index++) recordEvent(context, {...event, name: `web-${index}`});
  recordEvent({...context}, {...event, namespace: 'other'});
  await flushEvents(store);
  const {items} = await collection(collections.events).in(store).list();
  expect(items).toHaveLength(21);
  expect(items.find(({value}) => value.name === 'web-3')).toMatchObject({key: 'shop/2026-01-01T00:00:00.000Z-00000003', value: {...event, name: 'web-3', time: '2026-01-01T00:00:00.000Z'}});
  expect((await store.revision()).n).toBe(before.n + 1);
  await store.close();
});

it('fails nobody when the store does, and goes on when it is back', async () => {
  const real = await openSqliteStore({path: ':memory:'});
  const log: string[] = [];
  let down = true;
  const store: Store = Object.assign(Object.create(real), {transact: async (transaction: Parameters<Store['transact']>[0]) => {
    if (down) throw storeErrors.unavailable('the disk is full');
    return real.transact(transaction);
  }});
  const context = contextOf(store, log);
  recordEvent(context, event);
  await flushEvents(store);
  expect(log.join('')).toContain('events could not be recorded');
  down = false;
  recordEvent(context, event);
  await flushEvents(store);
  expect((await real.list('events')).records).toHaveLength(1);
  await real.close();
});

it('keeps only so many waiting', async () => {
  const real = await openSqliteStore({path: ':memory:'});
  const log: string[] = [];
  const context = contextOf(real, log);
  for (let index = 0; index < 2500; index++) recordEvent(context, event);
  await flushEvents(real);
  expect((await collection(collections.events).in(real).list()).items).toHaveLength(2000);
  expect(log.join('')).toContain('"dropped":500');
  await real.close();
});
