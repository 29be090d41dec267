import {createEmbeddedBus} from '@hivemind/bus';
import {createHttp, type ManagerContext} from '@hivemind/service';
import {openSqliteStore} from '@hivemind/store';
import {removeTempDir, tempDir} from '@hivemind/testkit';
import {pino} from 'pino';
import {Registry} from 'prom-client';
import {catalogue, isManagerName, loadManagers, type ManagerEntry} from './catalogue.ts';

/** What the managers really answer, by mounting each: `METHOD /path`, and whether a token is needed. */
async function routesOf({load}: ManagerEntry): Promise<readonly {readonly route: string; readonly open: boolean; readonly name: string}[]> {
  const store = await openSqliteStore({path: ':memory:'});
  const bus = createEmbeddedBus();
  const dataDir = tempDir('catalogue');
  const logger = pino({level: 'silent'});
  const context: ManagerContext = {bus, store, logger, metrics: new Registry(), cluster: 'c1', dataDir, instance: 'i', clusterKey: async () => Buffer.alloc(32), now: () => 0, uid: () => 'u', random: () => 0};
  const manager = (await load())(context);
  const http = createHttp({name: 'test', logger, metrics: new Registry()});
  const found: {route: string; open: boolean; name: string}[] = [];
  http.addHook('onRoute', ({method, url, config}) => {
    for (const one of [method].flat()) if (url.startsWith('/api/v1/')) found.push({route: `${one} ${url.slice('/api/v1'.length)}`, open: config?.open === true, name: manager.name});
  });
  await http.register(async (scope) => manager.routes(scope), {prefix: '/api/v1'});
  await http.ready();
  await http.close();
  await manager.stop();
  await bus.close();
  await store.close();
  await removeTempDir(dataDir);
  return found;
}

it.each(Object.entries(catalogue))('knows what the %s manager answers', async (name, entry: ManagerEntry) => {
  const routes = await routesOf(entry);
  expect(new Set(routes.map((route) => route.name))).toEqual(new Set(routes.length === 0 ? [] : [name]));
  expect([...new Set(routes.map(({route}) => route.split('/')[1]))].toSorted()).toEqual([...entry.segments].toSorted());
  expect(routes.filter(({open}) => open).map(({route}) => route).toSorted()).toEqual([...(entry.open ?? [])].toSorted());
});

it('has no segment that two managers answer', () => {
  const segments = Object.values(catalogue).flatMap((entry: ManagerEntry) => entry.segments);
  expect(segments.length).toBe(new Set(segments).size);
});

it('loads all of them', async () => {
  expect((await loadManagers()).length).toBe(Object.keys(catalogue).length);
  expect([isManagerName('app'), isManagerName('gateway'), isManagerName('constructor')]).toEqual([true, false, false]);
});
