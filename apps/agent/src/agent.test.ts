import {busErrors, createEmbeddedBus, emit, serve} from '@hivemind/bus';
import {ContainerRecord, type ContainerStatus} from '@hivemind/contracts';
import * as subjects from '@hivemind/contracts/subjects';
import {FakeClock} from '@hivemind/controller/testing';
import {createFakeRuntime} from '@hivemind/container/testing';
import {createNodeManager} from '@hivemind/node/control';
import {openSqliteStore} from '@hivemind/store';
import {removeTempDir, tempDir, waitFor} from '@hivemind/testkit';
import {pino} from 'pino';
import {Registry} from 'prom-client';
import {startAgent} from './agent.ts';

const logger = pino({level: 'silent'});

describe('the agent', () => {
  it('registers its machine, runs what it is assigned with files, volumes and environment, and reports it', async () => {
    const dataDir = tempDir('agent');
    const store = await openSqliteStore({path: ':memory:'});
    const bus = createEmbeddedBus();
    let ids = 0;
    const manager = createNodeManager({store, bus, logger, metrics: new Registry(), cluster: 'c1-cluster', dataDir, instance: 'test', now: Date.now, uid: () => `uid-${++ids}`, random: () => 0.5});
    await manager.start();
    const statuses = new Map<string, ContainerStatus>();
    const record = ContainerRecord.parse({
      id: 'web-aaaaa', namespace: 'shop', app: 'web', appUid: 'u1', revision: 1, node: 'n1', generation: 1, ports: [], mode: 'replicated', createdAt: '2026-01-01T00:00:00Z',
      template: {
        image: 'busybox',
        env: {MODE: 'prod', GREETING: {config: 'texts', key: 'greeting'}},
        files: [{mount: '/etc/web.conf', config: 'texts', key: 'web.conf'}],
        volumes: [{name: 'data', mount: '/data'}, {host: `${dataDir}/shared`, mount: '/shared'}],
      },
    });
    const to = {node: 'n1'};
    await serve(bus, subjects.getAssignment, to, async () => ({cluster: 'c1-cluster', revision: {epoch: 'e', n: 1}, version: 1, containers: [{id: record.id, generation: 1}], bodies: [record], hold: false}));
    await serve(bus, subjects.getConfigs, to, async () => ({configs: [{namespace: 'shop', name: 'texts', data: {greeting: btoa('hello'), 'web.conf': btoa('listen 80')}}], missing: []}));
    await serve(bus, subjects.reportStatus, to, async ({containers}) => {
      for (const {id, status} of containers) statuses.set(id, status);
      return {};
    });

    const runtime = createFakeRuntime({cluster: 'c1-cluster'});
    const agent = await startAgent({bus, dataDir, name: 'n1', runtime, address: '127.0.0.1', logger});
    await emit(bus, subjects.assignmentChanged, to, {version: 1});
    await waitFor(() => statuses.get('web-aaaaa')?.phase === 'running', {what: 'the container to run'});

    const {spec} = runtime.engine.container('web-aaaaa');
    expect(spec.env).toEqual({MODE: 'prod', GREETING: 'hello'});
    expect(spec.mounts).toEqual([
      expect.objectContaining({type: 'volume', source: 'hivemind-c1-clust-shop-data', target: '/data'}),
      expect.objectContaining({type: 'bind', source: `${dataDir}/shared`, target: '/shared'}),
      expect.objectContaining({type: 'bind', target: '/etc/web.conf', readOnly: true}),
    ]);
    const node = await waitFor(async () => {
      const stored = await store.get('node-status', 'n1');
      return stored?.value.includes('"available":true') ? stored : undefined;
    }, {what: 'the node to report its engine'});
    expect(JSON.parse(node.value)).toMatchObject({session: 1, report: {runtime: {name: 'fake'}, address: '127.0.0.1'}});

    await agent.stop();
    expect(runtime.engine.container('web-aaaaa').state).toBe('running');
    await manager.stop();
    await bus.close();
    await store.close();
    await removeTempDir(dataDir);
  });

  it('leaves nothing going where it cannot start', async () => {
    const dataDir = tempDir('agent');
    const clock = new FakeClock();
    const bus = createEmbeddedBus();
    const refused = busErrors['not-permitted']('The credentials of this connection do not permit that.');
    // Of all that it does on the bus, the last.
    const subscribe = bus.subscribe.bind(bus);
    bus.subscribe = (subject, ...rest) => (subject.includes('assignment') ? Promise.reject(refused) : subscribe(subject, ...rest));
    await expect(startAgent({bus, dataDir, name: 'n1', cluster: 'c1-cluster', runtime: createFakeRuntime({cluster: 'c1-cluster'}), address: '127.0.0.1', clock, logger})).rejects.toBe(refused);
    expect(clock.pending).toBe(0);
    await bus.close();
    await removeTempDir(dataDir);
  });
});
