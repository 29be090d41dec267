/** The sidecar beside an agent: the ring as the control plane shows it, and the fence, agent or no agent. */
import {type ChildProcess, spawn} from 'node:child_process';
import {randomBytes, randomUUID} from 'node:crypto';
import {once} from 'node:events';
import {join, resolve} from 'node:path';
import {type Bus, connectNatsBus, createEmbeddedBus, serve} from '@hivemind/bus';
import {createFakeRuntime} from '@hivemind/container/testing';
import {collections, ContainerRecord, engineLabels} from '@hivemind/contracts';
import * as subjects from '@hivemind/contracts/subjects';
import {createMembershipManager} from '@hivemind/membership/control';
import {createNodeManager} from '@hivemind/node/control';
import {connectSidecar, type Description} from '@hivemind/sidecar/client';
import {collection, openSqliteStore, type Store} from '@hivemind/store';
import {busyboxImage, dockerEngine, freePort, removeTempDir, startNats, tempDir, waitFor} from '@hivemind/testkit';
import type Docker from 'dockerode';
import {pino} from 'pino';
import {Registry} from 'prom-client';
import {type Agent, startAgent} from '../../src/index.ts';

const logger = pino({level: process.env.LOG ?? 'silent'});
const gossipKey = randomBytes(32).toString('base64');
const deadlineMs = 40_000;

async function described(dataDir: string): Promise<Description | undefined> {
  using client = connectSidecar(join(dataDir, 'sidecar.sock'));
  return await client.describe().catch(() => undefined);
}
const sidecarOf = (dataDir: string, other = 0) => waitFor(async () => {
  const found = await described(dataDir);
  return found && found.pid !== other ? found : undefined;
}, {what: 'a sidecar to answer', deadlineMs});

/** With its agent gone: the one that is known, which may be frozen, then one that was started meanwhile. */
async function endSidecarOf(dataDir: string, known: number | undefined): Promise<void> {
  for (const pid of [() => known, async () => (await described(dataDir))?.pid]) {
    try {
      const one = await pid();
      if (one !== undefined) process.kill(one, 'SIGKILL');
    } catch {
      // It has ended.
    }
  }
}

describe('three machines with sidecars', () => {
  const names = ['a', 'b', 'c'] as const;
  const pids = new Map<string, number>();
  const agents = new Map<string, Agent>();
  const stops: (() => Promise<void>)[] = [];
  let dir: string;
  let bus: Bus;
  let store: Store;

  const dataDir = (name: string) => join(dir, name);
  const start = async (name: string) => {
    const ring = {gossipKey, seeds: [], port: ports.get(name) ?? 0};
    agents.set(name, await startAgent({bus, dataDir: dataDir(name), name, cluster: 'c1-cluster', runtime: createFakeRuntime({cluster: 'c1-cluster'}), address: '127.0.0.1', ring, logger}));
  };
  const ports = new Map<string, number>();
  const members = async () => Object.fromEntries((await collection(collections.members).in(store).list()).items.map(({value}) => [value.name, value.state]));
  const verdict = async (name: string) => (await collection(collections.nodeVerdicts).in(store).get(name))?.value;

  beforeAll(async () => {
    dir = tempDir('sc');
    store = await openSqliteStore({path: ':memory:'});
    bus = createEmbeddedBus();
    for (const create of [createNodeManager, createMembershipManager]) {
      const manager = create({store, bus, logger, metrics: new Registry(), cluster: 'c1-cluster', clusterKey: async () => Buffer.alloc(32), dataDir: dir, instance: 'test', now: Date.now, uid: randomUUID, random: Math.random});
      await manager.start();
      stops.push(() => manager.stop());
    }
    for (const name of names) ports.set(name, await freePort());
  }, 60_000);
  afterAll(async () => {
    await Promise.all([...agents.values()].map((agent) => agent.stop()));
    for (const name of names) await endSidecarOf(dataDir(name), pids.get(name));
    for (const stop of stops) await stop();
    await bus.close();
    await store.close();
    await removeTempDir(dir);
  });

  it('find each other though none was told of another, and are shown as members', async () => {
    await Promise.all(names.map(start));
    await waitFor(async () => {
      expect(await members()).toEqual({a: 'alive', b: 'alive', c: 'alive'});
      return true;
    }, {what: 'all members', deadlineMs});
    for (const name of names) pids.set(name, (await sidecarOf(dataDir(name))).pid);
    using client = connectSidecar(join(dataDir('a'), 'sidecar.sock'));
    await waitFor(async () => (await client.members()).members.length === 3, {what: 'a ring of three', deadlineMs});
  }, 90_000);

  it('an agent that is started again adopts its sidecar; one that is killed is started again', async () => {
    await agents.get('a')?.stop();
    await start('a');
    expect((await sidecarOf(dataDir('a'))).pid).toBe(pids.get('a'));
    process.kill(pids.get('a')!, 'SIGKILL');
    pids.set('a', (await sidecarOf(dataDir('a'), pids.get('a'))).pid);
    await waitFor(async () => (await members()).a === 'alive', {what: 'its member to be back', deadlineMs});
  }, 90_000);

  it('an agent with other settings replaces its sidecar', async () => {
    await agents.get('b')?.stop();
    ports.set('b', await freePort());
    await start('b');
    const found = await sidecarOf(dataDir('b'), pids.get('b'));
    expect(found.bind).toBe(`127.0.0.1:${ports.get('b')}`);
    pids.set('b', found.pid);
    await waitFor(async () => {
      expect(await members()).toEqual({a: 'alive', b: 'alive', c: 'alive'});
      return true;
    }, {what: 'all members', deadlineMs});
  }, 90_000);

  it('a machine whose sidecar is frozen is degraded; without its agent too it is dead', async () => {
    process.kill(pids.get('c')!, 'SIGSTOP');
    await waitFor(async () => (await verdict('c'))?.degraded === true, {what: 'c to be degraded', deadlineMs});
    expect(await verdict('c')).toMatchObject({state: 'ready', degraded: true});
    await agents.get('c')?.stop();
    agents.delete('c');
    await waitFor(async () => (await verdict('c'))?.state === 'dead', {what: 'c to be dead', deadlineMs});
  }, 120_000);
});

describe('the fence on a Docker engine', () => {
  const cluster = randomUUID();
  const source = resolve(import.meta.dirname, '../../src/index.ts');
  let docker: Docker;
  let bus: Bus;
  let dataDir: string;
  let agent: ChildProcess | undefined;
  let sidecar: number | undefined;
  let beats = 0;
  let words: readonly string[];
  const stops: (() => Promise<void>)[] = [];
  const record = (id: string, template: object): ContainerRecord => ContainerRecord.parse({id, namespace: 'it', app: id.split('-')[0], appUid: 'u', revision: 1, node: 'n1', generation: 1, ports: [], mode: 'replicated', createdAt: '2026-01-01T00:00:00Z', template: {image: 'hivemind-test/busybox:1', init: true, command: ['sleep', '1d'], stop: {grace: '1s'}, ...template}});
  let assigned: readonly ContainerRecord[] = [];

  beforeAll(async () => {
    docker = await dockerEngine();
    await busyboxImage(docker);
    dataDir = tempDir('fence');
    const nats = await startNats();
    bus = await connectNatsBus({servers: nats.url, name: 'test', logger});
    stops.push(() => nats.stop(), () => bus.close());
    const to = {node: 'n1'};
    let session = 0;
    await serve(bus, subjects.registerNode, to, async () => ({cluster, session: ++session, heartbeatMs: 500}));
    await serve(bus, subjects.heartbeat, to, async () => {
      beats += 1;
      return {};
    });
    await serve(bus, subjects.getAssignment, to, async () => ({cluster, revision: {epoch: 'e', n: 1}, version: 1, containers: assigned.map(({id, generation}) => ({id, generation})), bodies: [...assigned], hold: false}));
    await serve(bus, subjects.getConfigs, to, async () => ({configs: [], missing: []}));
    await serve(bus, subjects.reportStatus, to, async () => ({}));
    await serve(bus, subjects.reportStrangers, to, async () => ({accepted: true}));
    const port = await freePort();
    words = ['--input-type=module', '--eval', `
      const {startAgent} = await import(${JSON.stringify(source)});
      const {connectNatsBus} = await import('@hivemind/bus');
      const {pino} = await import('pino');
      const logger = pino({level: ${JSON.stringify(logger.level)}});
      const bus = await connectNatsBus({servers: ${JSON.stringify(nats.url)}, name: 'n1', logger});
      await startAgent({bus, dataDir: ${JSON.stringify(dataDir)}, name: 'n1', cluster: ${JSON.stringify(cluster)}, address: '127.0.0.1', runtime: 'docker', ring: {gossipKey: ${JSON.stringify(gossipKey)}, seeds: [], port: ${port}}, logger});
    `];
    assigned = [record('one-aaaaa', {singleton: true, fencing: {lease: '4s'}}), record('web-aaaaa', {})];
  }, 60_000);
  afterAll(async () => {
    agent?.kill('SIGKILL');
    await endSidecarOf(dataDir, sidecar);
    for (const {Id} of await docker.listContainers({all: true, filters: {label: [`${engineLabels.cluster}=${cluster}`]}})) await docker.getContainer(Id).remove({force: true});
    for (const {Id} of await docker.listNetworks({filters: {label: [`${engineLabels.cluster}=${cluster}`]}})) await docker.getNetwork(Id).remove();
    for (const stop of stops.toReversed()) await stop();
    await removeTempDir(dataDir);
  });

  const launch = () => {
    // The kernel ends it with this process, however that happens.
    agent = spawn('setpriv', ['--pdeathsig', 'KILL', '--', process.execPath, ...words], {cwd: resolve(import.meta.dirname, '../..'), env: {...process.env, NODE_OPTIONS: ''}, stdio: ['ignore', 'inherit', 'inherit']});
  };
  const killAgent = async () => {
    const ended = once(agent!, 'exit');
    agent!.kill('SIGKILL');
    await ended;
  };
  const found = async (id: string) => {
    const [container] = await docker.listContainers({all: true, filters: {label: [`${engineLabels.cluster}=${cluster}`, `${engineLabels.container}=${id}`]}});
    return container && (await docker.getContainer(container.Id).inspect()).State;
  };
  const runs = (id: string) => waitFor(async () => {
    const state = await found(id);
    return state?.Running ? state.StartedAt : undefined;
  }, {what: `${id} to run`, deadlineMs});
  const stopped = (id: string) => waitFor(async () => (await found(id))?.Running === false, {what: `${id} to be stopped`, deadlineMs});
  /** So many heartbeats from now are answered: time enough for any lease that was not renewed to lapse. */
  const beaten = (count: number) => {
    const until = beats + count;
    return waitFor(() => beats >= until, {what: `${count} heartbeats`, deadlineMs});
  };

  it('what must never run twice is stopped when the agent is killed, and nothing else', async () => {
    launch();
    await Promise.all([runs('one-aaaaa'), runs('web-aaaaa')]);
    sidecar = (await sidecarOf(dataDir)).pid;
    await beaten(4);
    await killAgent();
    await stopped('one-aaaaa');
    expect(await found('web-aaaaa')).toMatchObject({Running: true});
  }, 90_000);

  it('it is started again by an agent that is heard, and left alone by one that is back in time', async () => {
    launch();
    const started = await runs('one-aaaaa');
    await beaten(4);
    await killAgent();
    launch();
    await beaten(14);
    expect(await found('one-aaaaa')).toMatchObject({Running: true, StartedAt: started});
  }, 90_000);

  it('a sidecar that is killed is started again, and guards on', async () => {
    process.kill(sidecar!, 'SIGKILL');
    sidecar = (await sidecarOf(dataDir, sidecar)).pid;
    await beaten(4);
    await runs('one-aaaaa');
    agent!.kill('SIGSTOP');
    await stopped('one-aaaaa');
  }, 90_000);

  it('a frozen agent that goes on is heard, and starts it again', async () => {
    agent!.kill('SIGCONT');
    await runs('one-aaaaa');
    await beaten(14);
    expect(await found('one-aaaaa')).toMatchObject({Running: true});
  }, 90_000);
});
