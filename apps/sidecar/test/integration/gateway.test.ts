import {createEmbeddedBus, emit, type Bus} from '@hivemind/bus';
import {membershipReport, type MemberSighting} from '@hivemind/contracts';
import {adminToken, createGateway, type Gateway, tokenHash} from '@hivemind/gateway';
import {createMembershipManager} from '@hivemind/membership/control';
import type {Manager, ManagerContext} from '@hivemind/service';
import {openSqliteStore, type Store} from '@hivemind/store';
import {removeTempDir, tempDir, waitFor} from '@hivemind/testkit';
import {pino} from 'pino';
import {Registry} from 'prom-client';

const sighting = (name: string, state: MemberSighting['state'] = 'alive'): MemberSighting => ({name, state, address: '10.0.0.1:7946', incarnation: 1, since: 0, tags: {}});

describe('the ring through a gateway', () => {
  let dir: string;
  let store: Store;
  let bus: Bus;
  let manager: Manager;
  let gateway: Gateway;
  let get: (path: string, token?: string) => Promise<{status: number; body: unknown}>;

  beforeEach(async () => {
    dir = tempDir('ring-gateway');
    store = await openSqliteStore({path: ':memory:'});
    bus = createEmbeddedBus();
    const logger = pino({level: 'silent'});
    const context: ManagerContext = {bus, store, logger, metrics: new Registry(), cluster: 'c1', dataDir: dir, instance: 'manager-1', clusterKey: async () => Buffer.alloc(32), now: Date.now, uid: () => crypto.randomUUID(), random: Math.random};
    manager = createMembershipManager(context);
    const token = await adminToken(dir);
    gateway = await createGateway({context, managers: [manager], adminTokenHash: tokenHash(token), version: '0.0.1', listen: {host: '127.0.0.1', port: 0}});
    const url = await gateway.listen();
    await manager.start();
    get = async (path, bearer = token) => {
      const answer = await fetch(`${url}${path}`, {headers: {authorization: `Bearer ${bearer}`}});
      return {status: answer.status, body: await answer.json()};
    };
  });
  afterEach(async () => {
    await gateway.stop();
    await manager.stop();
    await bus.close();
    await store.close();
    await removeTempDir(dir);
  });

  it('is told page by page, filtered, to whoever has a token, and is in the document of the API', async () => {
    await emit(bus, membershipReport, {node: 'a'}, {boot: 'b1', seq: 1, full: true, members: [sighting('a'), sighting('b', 'dead'), sighting('c')], gone: []});
    await waitFor(async () => {
      expect(await get('/api/v1/members')).toMatchObject({status: 200, body: {items: [{name: 'a'}, {name: 'b'}, {name: 'c'}]}});
      return true;
    }, {what: 'the ring'});
    expect(await get('/api/v1/members?limit=1&phase=alive')).toMatchObject({body: {items: [{name: 'a'}], next: expect.any(String)}});
    expect(await get('/api/v1/members?phase=dead')).toMatchObject({body: {items: [{kind: 'Member', name: 'b', status: {phase: 'dead', votes: {dead: 1}}}], next: null}});
    expect(await get('/api/v1/leader')).toMatchObject({status: 200, body: {name: 'manager-1', provisional: false}});
    expect((await get('/api/v1/members', 'wrong')).status).toBe(401);
    expect(await get('/openapi.json')).toMatchObject({body: {paths: {'/api/v1/members': {get: {tags: ['membership']}}, '/api/v1/leader': {get: {}}}}});
  });
});
