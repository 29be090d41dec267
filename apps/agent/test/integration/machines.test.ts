/** Three machines with an engine each, on real Redis and NATS: they die and come back, are emptied, and go on alone. */
import {waitFor} from '@hivemind/testkit';
import {startCluster, type TestCluster} from '../cluster.ts';
import type {EngineContainer} from '../engines.ts';

let cluster: TestCluster;

beforeAll(async () => {
  cluster = await startCluster();
}, 120_000);
afterAll(() => cluster?.stop());

/** A process and the container it is of: the same afterwards means that nobody touched it. */
const lives = (containers: readonly EngineContainer[]) => containers.map(({id, node, runtimeId, pid, startedAt}) => ({id, node, runtimeId, pid, startedAt}));
const made = (containers: readonly EngineContainer[]) => containers.map(({id, node, runtimeId}) => ({id, node, runtimeId}));
const on = (containers: readonly EngineContainer[], node: string) => containers.filter((container) => container.node === node);
const perNode = (containers: readonly EngineContainer[]) => cluster.members.map(({name}) => on(containers, name).length);

/** Deploys, and waits until control plane and engines agree. */
async function runs(name: string, spec: Parameters<TestCluster['sleeper']>[0] = {}): Promise<readonly EngineContainer[]> {
  await cluster.deploy(name, cluster.sleeper(spec));
  await cluster.untilRunning(name, spec.replicas ?? 1);
  return cluster.untilContainers(name, spec.replicas ?? 1);
}

async function gone(...names: string[]): Promise<void> {
  for (const name of names) await cluster.remove(name);
  for (const name of names) await cluster.untilContainers(name, 0);
}

/** What the engines run is what the control plane lists, and nothing else is there. */
async function untilOne(name: string, replicas: number): Promise<readonly EngineContainer[]> {
  await cluster.untilRunning(name, replicas, 60_000);
  return waitFor(async () => {
    const [found, listed] = [await cluster.containers(name), (await cluster.records(name)).map(({name: id, spec}) => `${id} ${spec.node}`).toSorted()];
    const there = found.map(({id, node}) => `${id} ${node}`);
    if (found.length === replicas && found.every(({running}) => running) && listed.join() === there.join()) return found;
    throw new Error(`listed ${listed.join()}, there ${found.map(({id, node, state}) => `${id} ${node} ${state}`).join()}`);
  }, {what: `${replicas} containers of ${name}, listed and running`, deadlineMs: 60_000});
}

describe('a machine whose power goes', () => {
  afterAll(() => gone('web', 'db'));

  it('has its share of an app, and its part is put elsewhere', async () => {
    const before = await runs('web', {replicas: 6});
    expect(perNode(before)).toEqual([2, 2, 2]);
    await runs('db', {volumes: [{name: 'data', mount: '/data'}], placement: {nodes: ['m3']}, command: ['sh', '-c', 'echo here >> /data/starts; exec sleep 100000']});
    await cluster.member('m3').powerOff();
    const after = await waitFor(async () => {
      const found = await cluster.running('web');
      return found.length === 6 && found;
    }, {what: 'six containers on two machines', deadlineMs: 30_000});
    expect(perNode(after)).toEqual([3, 3, 0]);
    // Whoever was elsewhere noticed nothing.
    expect(lives(after)).toEqual(expect.arrayContaining(lives(before.filter(({node}) => node !== 'm3'))));
  }, 60_000);

  it('keeps, when it is back, what is still assigned to it, and has no other', async () => {
    await waitFor(async () => (await cluster.app('db')).status.conditions.length >= 0 && (await cluster.records('db'))[0]?.status.reason === 'VolumeOnDeadNode', {what: 'the user of a volume to wait for it'});
    await cluster.member('m3').powerOn();
    await cluster.untilNode('m3', 'ready', 60_000);
    expect(perNode(await untilOne('web', 6))).toEqual([3, 3, 0]);
    const [db] = await untilOne('db', 1);
    expect(db?.node).toBe('m3');
    expect((await cluster.within(db!.id, 'cat /data/starts')).split(/\s+/)).toEqual(['here', 'here']);
  }, 90_000);
});

describe('a machine that is emptied', () => {
  afterAll(() => gone('moving'));

  it('gives its containers up when others are ready in their place, and takes new ones again after uncordon', async () => {
    await runs('moving', {replicas: 3});
    const fewest = await fewestReady('moving', async () => {
      await cluster.api.ask('POST', '/nodes/m1/drain');
      await waitFor(async () => perNode(await cluster.containers('moving'))[0] === 0, {what: 'm1 to be empty', deadlineMs: 30_000});
    });
    expect(fewest).toBe(3);
    await untilOne('moving', 3);
    expect(await cluster.node('m1')).toMatchObject({spec: {unschedulable: true}, status: {drain: {done: true}}});
    await cluster.api.ask('POST', '/nodes/m1/uncordon');
    await cluster.untilNode('m1', 'ready');
    await cluster.scale('moving', 6);
    expect(perNode(await untilOne('moving', 6))).toEqual([2, 2, 2]);
  }, 60_000);
});

/** The fewest containers that any engine's look saw running while `act` ran. */
async function fewestReady(app: string, act: () => Promise<void>): Promise<number> {
  let fewest = Infinity;
  let over = false;
  const watching = (async () => {
    while (!over) fewest = Math.min(fewest, (await cluster.running(app)).length);
  })();
  await act();
  over = true;
  await watching;
  return fewest;
}

describe('an agent that is killed', () => {
  afterAll(() => gone('kept'));

  it('finds its containers again, and touches none', async () => {
    const before = await runs('kept', {replicas: 3});
    const {agent} = cluster.member('m2');
    await agent.kill();
    agent.launch();
    await cluster.untilNode('m2', 'ready');
    // Its word is news again: it takes more.
    await cluster.scale('kept', 6);
    const after = await untilOne('kept', 6);
    expect(perNode(after)).toEqual([2, 2, 2]);
    expect(lives(after)).toEqual(expect.arrayContaining(lives(before)));
  }, 60_000);
});

describe('with bus, store and every manager gone', () => {
  let before: readonly EngineContainer[];
  beforeAll(async () => {
    before = await runs('alone', {replicas: 6});
    await cluster.loseControl();
  }, 60_000);
  afterAll(() => gone('alone'));

  it('containers run on, and one that crashes is started again where it is', async () => {
    const [victim] = on(before, 'm1');
    process.kill(victim!.pid, 'SIGKILL');
    const after = await waitFor(async () => {
      const found = await cluster.running('alone');
      return found.length === 6 && found.some(({id, pid}) => id === victim!.id && pid !== victim!.pid) && found;
    }, {what: 'the crashed container to run again'});
    expect(made(after)).toEqual(made(before));
    expect(lives(after).filter(({id}) => id !== victim!.id)).toEqual(lives(before).filter(({id}) => id !== victim!.id));
  });

  it('a machine that was off brings up what was assigned to it', async () => {
    const member = cluster.member('m2');
    await member.powerOff();
    await member.powerOn();
    const after = await waitFor(async () => {
      const found = await cluster.running('alone');
      return found.length === 6 && found;
    }, {what: 'the containers of m2 to run', deadlineMs: 30_000});
    expect(made(after)).toEqual(made(before));
  }, 60_000);

  it('what is right stays untouched when they are back', async () => {
    const alone = await cluster.running('alone');
    await cluster.regainControl();
    await cluster.untilReady(cluster.members);
    await cluster.scale('alone', 7);
    const after = await untilOne('alone', 7);
    expect(lives(after)).toEqual(expect.arrayContaining(lives(alone)));
  }, 60_000);
});

describe('a store that knows less than the machines', () => {
  afterAll(() => gone('early', 'late'));

  it('removes nothing: what it never heard of is adopted', async () => {
    const early = await runs('early', {replicas: 3});
    const dump = cluster.control.dumpStore();
    const late = await runs('late', {replicas: 3});
    await cluster.scale('early', 5);
    const scaled = await untilOne('early', 5);
    await Promise.all([cluster.control.kill(), cluster.control.redis.kill()]);
    dump.restore();
    await cluster.control.redis.start();
    await cluster.control.start();
    await cluster.untilReady(cluster.members);
    await waitFor(async () => (await cluster.api.call('POST', '/cluster/adopt', {})).status < 300, {what: 'adoption', deadlineMs: 30_000});
    const kept = [...lives(await untilOne('late', 3)), ...lives(await untilOne('early', 5))];
    expect(kept).toEqual([...lives(late), ...lives(scaled)]);
    expect(kept).toEqual(expect.arrayContaining(lives(early)));
  }, 90_000);
});

describe('a store that knows nothing any more', () => {
  afterAll(() => gone('known'));

  async function adopted(before: readonly EngineContainer[]): Promise<void> {
    await waitFor(async () => (await cluster.api.call('GET', '/apps/known')).status === 404, {what: 'the app to be forgotten'});
    await cluster.untilReady(cluster.members);
    await waitFor(async () => {
      const {status, body} = await cluster.api.call('POST', '/cluster/adopt', {});
      if ((await cluster.records('known')).length === before.length) return true;
      throw new Error(`${status} ${JSON.stringify(body)}`);
    }, {what: 'adoption', deadlineMs: 30_000});
    expect(lives(await untilOne('known', before.length))).toEqual(lives(before));
  }

  it('is told by the machines what runs, and nothing of it is touched', async () => {
    const before = await runs('known', {replicas: 3});
    await Promise.all([cluster.control.kill(), cluster.control.redis.kill()]);
    cluster.control.emptyStore();
    await cluster.control.redis.start();
    await cluster.control.start();
    await adopted(before);
  }, 90_000);

  it('may have been emptied under the managers, too', async () => {
    const before = await cluster.containers('known');
    await cluster.control.flushStore();
    await adopted(before);
  }, 90_000);
});

describe('what must never run twice', () => {
  afterAll(async () => {
    for (const {machine} of cluster.members) machine.heal();
    await gone('only', 'held');
  });

  it('is replaced only after it must have stopped, or not at all', async () => {
    const spec = {singleton: true, placement: {nodes: ['m2', 'm3']}};
    const [only] = await runs('only', {...spec, fencing: {lease: '5s', onIsolation: 'stop'}});
    const [held] = await runs('held', {...spec, placement: {nodes: [only!.node]}, fencing: {lease: '5s', onIsolation: 'keep'}});
    const member = cluster.member(only!.node);
    const cutAt = Date.now();
    member.cutOff('everything');
    const second = await waitFor(async () => (await cluster.containers('only')).find(({id, running}) => running && id !== only!.id), {what: 'the replacement', deadlineMs: 30_000});
    // The lease, the grace, and what two clocks may differ by (law 10).
    expect(Date.parse(second.startedAt) - cutAt).toBeGreaterThan(6_000);
    expect((await cluster.records('held')).map(({name, status}) => [name, status.phase])).toEqual([[held!.id, 'lost']]);
    member.heal();
    await cluster.untilReady([member]);
    expect((await untilOne('only', 1)).map(({id}) => id)).toEqual([second.id]);
    expect(made(await untilOne('held', 1))).toEqual(made([held!]));
  }, 60_000);
});
