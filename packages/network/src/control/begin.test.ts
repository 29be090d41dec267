import {collections} from '@hivemind/contracts';
import {flushEvents} from '@hivemind/service';
import {collection, openSqliteStore, type Store} from '@hivemind/store';
import {pino} from 'pino';
import * as z from 'zod';
import {askedBackend, beginNetwork} from './begin.ts';
import {networks, openTables, whenReady} from './tables.ts';

const logger = pino({level: 'silent'});

describe('the network of a cluster that is new', () => {
  let store: Store;
  let ending: AbortController;
  beforeEach(async () => {
    store = await openSqliteStore({path: ':memory:'});
    ending = new AbortController();
  });
  afterEach(async () => {
    ending.abort();
    await flushEvents(store);
    await store.close();
  });

  const begin = async (unable?: string, asked?: string): Promise<void> => {
    const tables = openTables(store, ending.signal, () => undefined);
    await whenReady(tables);
    await beginNetwork({store, logger, now: Date.now, uid: () => 'u', network: {unable: async () => unable}}, tables, askedBackend(asked, {}));
  };
  const stored = async () => (await networks.in(store).get('cluster'))?.value;
  const backend = async () => (await stored())?.spec.backend;
  const anApp = () => collection({name: collections.apps.name, schema: z.looseObject({}), version: 1}).in(store).put('default/web', {});

  it('is there from the start, and only once decided', async () => {
    await Promise.all([begin(), begin()]);
    expect(await backend()).toBe('auto');
    await begin('nothing can be had', 'none');
    expect(await backend()).toBe('auto');
  });

  it('is what was asked for, by word before environment', async () => {
    await begin('nothing can be had', 'vxlan');
    expect(await backend()).toBe('vxlan');
    expect(askedBackend('direct', {HIVEMIND_NETWORK_BACKEND: 'none'})).toBe('direct');
    expect(askedBackend(undefined, {HIVEMIND_NETWORK_BACKEND: 'none'})).toBe('none');
    expect(askedBackend(undefined, {HIVEMIND_NETWORK_BACKEND: ''})).toBeUndefined();
    for (const wrong of ['wireguard', 'yes']) expect(() => askedBackend(undefined, {HIVEMIND_NETWORK_BACKEND: wrong})).toThrow('use auto, vxlan, direct, none');
  });

  it('is none where the first machine can have none, with the reason, until that can and nothing was deployed', async () => {
    await begin('there is no nft');
    expect(await stored()).toMatchObject({spec: {backend: 'none'}, because: 'there is no nft'});
    await flushEvents(store);
    expect((await collection(collections.events).in(store).list()).items).toMatchObject([{value: {reason: 'NoNetwork', message: expect.stringContaining('there is no nft')}}]);
    await begin();
    expect(await stored()).toMatchObject({spec: {backend: 'auto'}});
    expect((await stored())?.because).toBeUndefined();
  });

  it('stays none where apps have come to rely on it', async () => {
    await begin('there is no nft');
    await anApp();
    await begin();
    expect(await stored()).toMatchObject({spec: {backend: 'none'}, because: 'there is no nft'});
  });

  it('is none for a cluster that had apps before there was a choice', async () => {
    await anApp();
    await begin();
    expect(await stored()).toMatchObject({spec: {backend: 'none'}});
    expect((await stored())?.because).toBeUndefined();
  });
});
