import {call, createEmbeddedBus, type Bus} from '@hivemind/bus';
import {AppSpec, collections, templateOf} from '@hivemind/contracts';
import * as subjects from '@hivemind/contracts/subjects';
import {createHttp, type Manager} from '@hivemind/service';
import {collection, openSqliteStore, type Store} from '@hivemind/store';
import {pino} from 'pino';
import {Registry} from 'prom-client';
import {aRequest, GiB} from '../testing/builders.ts';
import {createSchedulerManager} from './manager.ts';

const nodes = collection(collections.nodes);
const nodeStatus = collection(collections.nodeStatus);
const nodeLeases = collection(collections.nodeLeases);
const allocations = collection(collections.allocations);
const containers = collection(collections.containers);
const logger = pino({level: 'silent'});
const time = '2026-01-01T00:00:00.000Z';
const meta = {uid: 'u', generation: 1, createdAt: time, updatedAt: time};

describe('the scheduler', () => {
  let store: Store;
  let bus: Bus;
  let manager: Manager;
  let http: ReturnType<typeof createHttp>;

  beforeEach(async () => {
    store = await openSqliteStore({path: ':memory:'});
    bus = createEmbeddedBus({logger});
    manager = createSchedulerManager({store, bus, logger, metrics: new Registry(), cluster: 'c1', dataDir: '/nowhere', instance: 'test', now: () => 0, uid: () => 'uid', random: () => 0});
    http = createHttp({logger, metrics: new Registry(), name: 'test'});
    await manager.routes(http);
    await manager.start();
  });
  afterEach(async () => {
    await manager.stop();
    await http.close();
    await bus.close();
    await store.close();
  });

  /** Answers the revision after which the node is there. */
  async function addNode(name: string, memory = 8 * GiB, available = true): Promise<number> {
    const report = {capacity: {cpu: 4000, memory, disk: 1, pods: 500}, labels: {'hivemind.io/os': 'linux'}, address: '10.0.0.1', runtime: {name: 'fake', version: '1', available, message: 'no socket'}, agentVersion: '0'};
    const result = await store.transact({writes: [
      nodes.putting(name, {name, labels: {}, annotations: {}, spec: {unschedulable: false, taints: [], address: '10.0.0.1'}, meta}),
      nodeStatus.putting(name, {name, report, session: 1, lastSeenAt: time}),
      nodeLeases.putting(name, {name, session: 1, lease: 'l'}),
    ]});
    return result.revision.n;
  }
  const place = (data: Parameters<typeof call<typeof subjects.place.request, typeof subjects.place.reply, string>>[3]) => call(bus, subjects.place, {}, data);

  it('places on what the asker has just written, and says which allocations it saw', async () => {
    await addNode('n1');
    const {revision} = await store.transact({writes: [allocations.putting('n1', {node: 'n1', containers: {old: {cpu: 0, memory: 7 * GiB, ports: [], namespace: 'default', app: 'db'}}})]});
    const reply = await place({requests: [aRequest({id: 'a', memory: GiB}), aRequest({id: 'b', memory: GiB})], atLeast: revision.n});
    expect(reply.placements).toEqual([{id: 'a', node: 'n1', ports: []}]);
    expect(reply.refusals).toEqual([{id: 'b', nodes: [{node: 'n1', filter: 'memory', reason: 'asks 1Gi of memory, 0 of 8Gi free'}]}]);
    expect(reply.allocationVersions).toEqual({n1: revision.n});
  });

  it('places nothing on a machine that is away, or whose engine is', async () => {
    await addNode('engineless', GiB, false);
    await addNode('away');
    const {revision} = await store.transact({writes: [nodeLeases.deleting('away')]});
    const {refusals} = await place({requests: [aRequest()], atLeast: revision.n});
    expect(refusals[0]?.nodes).toEqual([
      {node: 'away', filter: 'ready', reason: `is not ready: its agent was last heard at ${time}`},
      {node: 'engineless', filter: 'ready', reason: 'its container engine is not available: no socket'},
    ]);
  });

  it('simulates an app, refusing what is not acted upon', async () => {
    const n = await addNode('n1');
    await place({requests: [], atLeast: n});
    const simulate = (spec: object) => http.inject({method: 'POST', url: '/scheduler/simulate', payload: {name: 'web', spec: {image: 'web:1', ...spec}}});
    expect((await simulate({replicas: 2, resources: {memory: '5Gi'}})).json()).toEqual({
      app: 'web', namespace: 'default',
      placements: [{container: 'web-1', node: 'n1', ports: []}],
      refusals: [{container: 'web-2', nodes: [{node: 'n1', filter: 'memory', reason: 'asks 5Gi of memory, 3Gi of 8Gi free'}]}],
    });
    const refused = await simulate({mode: 'cron'});
    expect(refused.statusCode).toBe(422);
    expect(refused.json()).toMatchObject({code: 'not-supported', errors: [{path: 'spec.mode'}]});
    expect((await simulate({mode: 'global', placement: {strategy: 'worst'}})).json()).toMatchObject({errors: [{path: 'spec.placement.strategy', message: expect.stringContaining('worst-fit')}]});
  });

  it('explains a container, and shows how it decides', async () => {
    await addNode('n1');
    const template = templateOf(AppSpec.parse({image: 'web:1', placement: {nodes: ['n2']}}));
    const {revision} = await store.transact({writes: [containers.putting('web-1', {id: 'web-1', namespace: 'default', app: 'web', appUid: 'u', revision: 1, node: 'n1', generation: 1, template, ports: [], mode: 'replicated', createdAt: time})]});
    await place({requests: [], atLeast: revision.n});
    expect((await http.inject('/scheduler/explain/web-1')).json()).toEqual({container: 'web-1', node: 'n1', nodes: [{node: 'n1', fits: false, reason: 'is not one of the nodes asked for: n2'}]});
    expect((await http.inject('/scheduler/explain/none')).statusCode).toBe(404);
    expect((await http.inject('/scheduler/config')).json()).toMatchObject({spec: {strategy: 'best-fit', filters: expect.arrayContaining(['memory', 'ports'])}});
  });
});
