import {createEmbeddedBus, emit, listen, type Bus} from '@hivemind/bus';
import {collections, Leader, type LeaderChanged, leaderChanged, meetMembers, type MemberSighting, membershipReport, NodeLeaseRecord, NodeRecord, reportWhole} from '@hivemind/contracts';
import {createHttp, type HttpServer, type Manager} from '@hivemind/service';
import {collection, openSqliteStore, type Store, storeErrors} from '@hivemind/store';
import {waitFor} from '@hivemind/testkit';
import {pino} from 'pino';
import {Registry} from 'prom-client';
import * as z from 'zod';
import {createMembershipManager} from './manager.ts';

const logger = pino({level: 'silent'});

const sighting = (name: string, state: MemberSighting['state'] = 'alive', fields: Partial<MemberSighting> = {}): MemberSighting => ({name, state, address: '10.0.0.1:7946', incarnation: 1, since: 0, tags: {}, ...fields});

describe('the membership manager', () => {
  let store: Store;
  let away: boolean;
  let bus: Bus;
  let manager: Manager;
  let http: HttpServer;
  let base: string;
  /** Reports so far, by node. */
  let told: Map<string, number>;

  beforeEach(async () => {
    told = new Map();
    away = false;
    const real = await openSqliteStore({path: ':memory:'});
    store = new Proxy(real, {
      get: (target, name: keyof Store) => (name === 'leader' && away ? () => Promise.reject(storeErrors.unavailable('The store is away.')) : target[name].bind(target)),
    });
    bus = createEmbeddedBus();
    const metrics = new Registry();
    let ids = 0;
    manager = createMembershipManager({store, bus, logger, metrics, cluster: 'c1', dataDir: '/nowhere', instance: 'manager-1', clusterKey: async () => Buffer.alloc(32), now: Date.now, uid: () => `uid-${++ids}`, random: () => 0.5});
    http = createHttp({logger, metrics, name: 'test'});
    await manager.routes(http);
    base = await http.listen({port: 0, host: '127.0.0.1'});
  });

  afterEach(async () => {
    await manager.stop();
    await http.close();
    await bus.close();
    await store.close();
  });

  const get = async (path: string) => {
    const answer = await fetch(`${base}${path}`);
    return {status: answer.status, body: await answer.json()};
  };
  const items = async (path: string) => z.object({items: z.array(z.unknown())}).parse((await get(path)).body).items;
  const shows = (path: string, body: object) => waitFor(async () => {
    expect((await get(path)).body).toMatchObject(body);
    return true;
  }, {what: `${path} to show ${JSON.stringify(body)}`});
  const report = (node: string, members: readonly MemberSighting[]) => {
    const seq = (told.get(node) ?? 0) + 1;
    told.set(node, seq);
    return emit(bus, membershipReport, {node}, {boot: `boot-${node}`, seq, full: seq === 1, members: [...members], gone: []});
  };
  const machine = async (name: string) => {
    const time = new Date().toISOString();
    await collection(collections.nodes).in(store).put(name, NodeRecord.parse({name, labels: {}, annotations: {}, spec: {address: '10.0.0.1'}, meta: {uid: name, generation: 1, createdAt: time, updatedAt: time}}));
    await collection(collections.nodeLeases).in(store).put(name, NodeLeaseRecord.parse({name, session: 1, lease: 'l'}));
  };

  it('shows the ring as most ready machines see it, and outvotes one that takes all others for dead', async () => {
    for (const name of ['a', 'b', 'c']) await machine(name);
    await manager.start();
    for (const name of ['a', 'b', 'c']) await report(name, ['a', 'b', 'c'].map((other) => sighting(other, 'alive', {zone: `z-${other}`, tags: {disk: 'ssd'}})));
    await shows('/members', {items: [{kind: 'Member', name: 'a', labels: {disk: 'ssd'}, spec: {address: '10.0.0.1:7946', zone: 'z-a'}, status: {phase: 'alive', votes: {alive: 3}}}, {name: 'b'}, {name: 'c'}]});
    await report('a', [sighting('b', 'dead'), sighting('c', 'dead')]);
    await shows('/members/b', {status: {phase: 'alive', votes: {alive: 2, dead: 1}}});
    await report('b', [sighting('c', 'dead')]);
    await shows('/members/c', {status: {phase: 'dead', votes: {alive: 1, dead: 2}}});
    expect(await items('/members?phase=dead')).toMatchObject([{name: 'c'}]);
    expect(await items('/members?zone=z-b&fields=name')).toEqual([{name: 'b'}]);
  });

  it('counts the death of one of two machines once its lease has lapsed', async () => {
    for (const name of ['a', 'b']) await machine(name);
    await manager.start();
    for (const name of ['a', 'b']) await report(name, [sighting('a'), sighting('b')]);
    await shows('/members', {items: [{name: 'a'}, {name: 'b'}]});
    await report('a', [sighting('b', 'dead')]);
    await shows('/members/b', {status: {phase: 'alive', votes: {dead: 1}}});
    await collection(collections.nodeLeases).in(store).delete('b');
    await shows('/members/b', {status: {phase: 'dead'}});
  });

  it('counts nothing of what a machine saw before it was away, and wants the whole of it', async () => {
    const leases = collection(collections.nodeLeases).in(store);
    for (const name of ['a', 'b', 'c']) await machine(name);
    await manager.start();
    const asked: string[] = [];
    await listen(bus, reportWhole, {}, (_message, {tokens: {node}}) => void asked.push(node));
    for (const name of ['a', 'b', 'c']) await report(name, ['a', 'b', 'c'].map((other) => sighting(other)));
    await report('a', [sighting('b', 'dead')]);
    await shows('/members/b', {status: {phase: 'alive', votes: {alive: 2, dead: 1}}});
    await leases.delete('a');
    await shows('/members/b', {status: {votes: {alive: 2, dead: 0}}});
    // Counted without it, as what another tells then is.
    await report('c', [sighting('d')]);
    await shows('/members/d', {name: 'd'});
    await machine('a');
    for (const name of ['b', 'c']) await leases.delete(name);
    await shows('/members/b', {status: {phase: 'alive', votes: {dead: 0, silent: 1}}});
    await report('a', [sighting('c', 'dead')]);
    await waitFor(() => asked.includes('a'), {what: 'the whole to be wanted'});
    expect((await get('/members/b')).body).toMatchObject({status: {phase: 'alive'}});
  });

  it('asks for the whole where a report was missed', async () => {
    await manager.start();
    const asked: string[] = [];
    await listen(bus, reportWhole, {}, (_message, {tokens: {node}}) => void asked.push(node));
    await emit(bus, membershipReport, {node: 'a'}, {boot: 'x', seq: 5, full: false, members: [sighting('a')], gone: []});
    await waitFor(() => asked.includes('a'), {what: 'the whole to be wanted'});
    expect(await items('/members')).toEqual([]);
  });

  it('lets machines meet that joined at the same time', async () => {
    for (const name of ['a', 'b']) await machine(name);
    await manager.start();
    const met = new Map<string, readonly string[]>();
    await listen(bus, meetMembers, {}, ({addresses}, {tokens: {node}}) => void met.set(node, addresses));
    await report('a', [sighting('a', 'alive', {address: '10.0.0.1:7946'})]);
    await report('b', [sighting('b', 'alive', {address: '10.0.0.2:7946'})]);
    await waitFor(() => met.size === 2, {what: 'both to be told'});
    expect(Object.fromEntries(met)).toEqual({a: ['10.0.0.2:7946'], b: ['10.0.0.1:7946']});
  });

  it('drops what is no report, and goes on', async () => {
    await manager.start();
    await bus.publish('membership.a.report', {boot: 'x', seq: -1, members: 'none'});
    await report('a', [sighting('a')]);
    await shows('/members', {items: [{name: 'a'}]});
  });

  it('leads, says so, and shows it with its fencing revision', async () => {
    const heard: LeaderChanged[] = [];
    await listen(bus, leaderChanged, {}, (message) => void heard.push(message));
    await manager.start();
    await shows('/leader', {name: 'manager-1', provisional: false});
    const {revision} = Leader.parse((await get('/leader')).body);
    expect(await store.leader('leader')).toMatchObject({revision: revision?.n});
    expect(heard).toMatchObject([{name: 'manager-1', revision, renewal: 0, leaseMs: 30_000}]);
    expect(await collection(collections.leader).in(store).get('leader')).toMatchObject({value: {name: 'manager-1'}});
  });

  it('names the alive member of the lowest name while nobody is known to lead, and says that it is provisional', async () => {
    expect(await get('/leader')).toMatchObject({status: 503, body: {code: 'no-leader'}});
    await manager.start();
    await shows('/leader', {provisional: false});
    await report('b', [sighting('a', 'suspect'), sighting('b'), sighting('c')]);
    await shows('/members', {items: [{name: 'a'}, {name: 'b'}, {name: 'c'}]});
    // Its leadership ends with it; what it cached of the ring is still there.
    await manager.stop();
    await waitFor(async () => (await store.leader('leader')) === undefined, {what: 'the leadership to be given up'});
    expect(await get('/leader')).toEqual({status: 200, body: {name: 'b', node: 'b', provisional: true}});
  });

  it('shows who was heard to lead for the length of the lease, while the store is away', async () => {
    await manager.start();
    await shows('/leader', {name: 'manager-1'});
    away = true;
    expect(await get('/leader')).toMatchObject({status: 200, body: {name: 'manager-1', provisional: false}});
  });

  it('knows no member that nobody reports, and says so', async () => {
    await manager.start();
    expect(await get('/members/none')).toMatchObject({status: 404, body: {code: 'member-not-found'}});
    expect((await get('/members')).body).toMatchObject({items: [], next: null});
    expect(await get('/members?state=dead')).toMatchObject({status: 422, body: {errors: [{path: 'state'}]}});
  });
});
