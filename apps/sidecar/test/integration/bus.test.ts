import {type Bus, connectNatsBus, listen} from '@hivemind/bus';
import {collections, membershipChanged, NodeLeaseRecord, NodeRecord} from '@hivemind/contracts';
import {createMembershipManager} from '@hivemind/membership/control';
import {createHttp, type HttpServer, type Manager} from '@hivemind/service';
import {collection, openSqliteStore, type Store} from '@hivemind/store';
import {type NatsServer, removeTempDir, startNats, tempDir, waitFor} from '@hivemind/testkit';
import {pino} from 'pino';
import {Registry} from 'prom-client';
import {Sidecars} from '../sidecars.ts';

const logger = pino({level: 'silent'});

describe('sidecars on a bus, and the manager that counts what they report', () => {
  let dir: string;
  let nats: NatsServer;
  let sidecars: Sidecars;
  let bus: Bus;
  let store: Store;
  let manager: Manager;
  let http: HttpServer;
  let base: string;

  beforeEach(async () => {
    dir = tempDir('sidecars');
    sidecars = new Sidecars(dir);
    nats = await startNats();
    bus = await connectNatsBus({servers: nats.url, name: 'manager'});
    store = await openSqliteStore({path: ':memory:'});
    const metrics = new Registry();
    manager = createMembershipManager({store, bus, logger, metrics, cluster: 'c1', dataDir: dir, instance: 'manager-1', clusterKey: async () => Buffer.alloc(32), now: Date.now, uid: () => crypto.randomUUID(), random: Math.random});
    http = createHttp({logger, metrics, name: 'test'});
    await manager.routes(http);
    await manager.start();
    base = await http.listen({port: 0, host: '127.0.0.1'});
  });
  afterEach(async () => {
    await sidecars[Symbol.asyncDispose]();
    await manager.stop();
    await http.close();
    await bus.close();
    await store.close();
    await nats.stop();
    await removeTempDir(dir);
  });

  const machine = async (name: string) => {
    const time = new Date().toISOString();
    await collection(collections.nodes).in(store).put(name, NodeRecord.parse({name, labels: {}, annotations: {}, spec: {address: '127.0.0.1'}, meta: {uid: name, generation: 1, createdAt: time, updatedAt: time}}));
    await collection(collections.nodeLeases).in(store).put(name, NodeLeaseRecord.parse({name, session: 1, lease: 'l'}));
  };
  const shows = (path: string, body: object) => waitFor(async () => {
    expect(await (await fetch(`${base}${path}`)).json()).toMatchObject(body);
    return true;
  }, {what: `${path} to show ${JSON.stringify(body)}`, deadlineMs: 25_000});

  it('shows a death that most machines report, who leads everywhere, and the whole again after the bus was away', async () => {
    for (const name of ['a', 'b', 'c']) await machine(name);
    const changes: string[] = [];
    await listen(bus, membershipChanged, {}, ({type, member}, {tokens: {node}}) => void changes.push(`${node}: ${member.name} ${type}`));
    const a = await sidecars.start('a', ['--bus', nats.url, '--zone', 'z1']);
    const b = await sidecars.start('b', ['--bus', nats.url]);
    const c = await sidecars.start('c', ['--bus', nats.url]);
    // It has no bus, and knows all the same who leads.
    const d = await sidecars.start('d');
    await shows('/members', {items: [{name: 'a', spec: {zone: 'z1'}, status: {phase: 'alive', votes: {alive: 3}}}, {name: 'b', status: {phase: 'alive'}}, {name: 'c', status: {phase: 'alive'}}, {name: 'd', status: {phase: 'alive', votes: {alive: 3}}}]});
    await waitFor(async () => {
      for (const {client} of [a, d]) expect(await client.leader()).toMatchObject({name: 'manager-1', provisional: false});
      return true;
    }, {what: 'all to know the leader', deadlineMs: 25_000});
    expect(await d.client.statistics()).toMatchObject({bus: 'off'});

    await c.end('SIGKILL');
    await shows('/members/c', {status: {phase: 'dead', votes: {dead: 2, silent: 0}}});
    expect(changes).toEqual(expect.arrayContaining(['a: c died', 'b: c died']));

    await nats.kill();
    await waitFor(async () => (await a.client.statistics()).bus === 'away', {what: 'the bus to be away'});
    await d.end('SIGKILL');
    await waitFor(async () => (await a.ring()).d === 'dead', {what: 'the ring to go on without', deadlineMs: 20_000});
    await nats.start();
    await shows('/members/d', {status: {phase: 'dead'}});
    expect(await b.client.statistics()).toMatchObject({bus: 'connected'});
  }, 120_000);

  it('comes up with the bus away, and reports when it is there', async () => {
    await machine('a');
    await nats.terminate();
    const a = await sidecars.start('a', ['--bus', nats.url]);
    expect(await a.client.statistics()).toMatchObject({bus: 'away'});
    expect(await a.ring()).toEqual({a: 'alive'});
    await nats.start();
    await shows('/members', {items: [{name: 'a', status: {phase: 'alive'}}]});
  }, 60_000);
});
