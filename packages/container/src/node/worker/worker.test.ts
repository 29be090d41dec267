import {existsSync, mkdirSync, readFileSync, rmdirSync} from 'node:fs';
import {join} from 'node:path';
import {createEmbeddedBus} from '@hivemind/bus';
import {type ContainerRecord, engineLabels} from '@hivemind/contracts';
import {FakeClock} from '@hivemind/controller/testing';
import {type NodeHook, runtimeErrors, type Verdict} from '@hivemind/runtime';
import {removeTempDir, tempDir, waitFor} from '@hivemind/testkit';
import {pino} from 'pino';
import {createFakeRuntime, type FakeRuntime} from '../../testing/fake.ts';
import type {Rotation} from './drain.ts';
import {containerRecord} from './testing/builders.ts';
import {ControlPlane, TestSession} from './testing/control-plane.ts';
import {createWorker, type Worker} from './worker.ts';

const logger = pino({level: 'silent'});

class Machine implements AsyncDisposable {
  readonly bus = createEmbeddedBus();
  readonly clock = new FakeClock();
  readonly control = new ControlPlane(this.bus);
  readonly runtime: FakeRuntime = createFakeRuntime({now: () => this.clock.now()});
  session = new TestSession();
  readonly dataDir = tempDir('worker');
  readonly hooks: NodeHook[] = [];
  /** Who is connected to the containers. */
  open = 0;
  rotation: Rotation | undefined;
  worker: Worker | undefined;

  get engine() {
    return this.runtime.engine;
  }

  async start(): Promise<this> {
    await this.control.start();
    await this.startWorker();
    return this;
  }

  async startWorker(): Promise<Worker> {
    this.worker = createWorker({node: 'n1', bus: this.bus, runtime: this.runtime, dataDir: this.dataDir, session: this.session, hooks: this.hooks, ...(this.rotation ? {rotation: this.rotation} : {}), connections: async () => this.open, clock: this.clock, logger});
    await this.worker.start();
    return this.worker;
  }

  /** Time goes on by `stepMs` between two looks, as far as `withinMs`; then it all but stands still while the disk takes its own. */
  async until(what: string, condition: () => boolean, {stepMs = 1, withinMs = 2_000} = {}): Promise<void> {
    for (let passed = 0; !condition(); passed += stepMs) {
      await this.clock.advance(passed < withinMs ? stepMs : 0);
      if (passed < withinMs) continue;
      await waitFor(() => this.clock.advance(1).then(condition), {what: `${what}, within ${withinMs} ms of the test's clock; statuses ${JSON.stringify([...this.control.statuses])}`, deadlineMs: 5_000});
    }
  }

  async running(...ids: readonly string[]): Promise<void> {
    await this.until(`${ids.join(', ')} running`, () => ids.every((id) => this.control.phase(id) === 'running'));
  }

  creates(id: string): number {
    return this.engine.calls.filter((call) => call === `create ${id}`).length;
  }

  status(id: string) {
    const status = this.control.statuses.get(id);
    if (!status) throw new Error(`no status of ${id}`);
    return status;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.worker?.stop();
    await this.control.stop();
    await this.runtime.close();
    await this.bus.close();
    await removeTempDir(this.dataDir);
  }
}

const web = (fields: Parameters<typeof containerRecord>[0] = {}): ContainerRecord => containerRecord(fields);

describe('bringing up', () => {
  it('makes and starts what is assigned, and reports it running and ready with its address', async () => {
    await using machine = await new Machine().start();
    await machine.control.assign(web());
    await machine.until('ready with an address', () => machine.control.statuses.get('web-aaaaa')?.ip !== undefined);
    expect(machine.status('web-aaaaa')).toMatchObject({phase: 'running', ready: true, restarts: 0, reason: '', ip: '10.0.0.2'});
    const {spec} = machine.engine.container('web-aaaaa');
    expect(spec.networks).toEqual([{name: 'hivemind-test-default', aliases: ['web']}]);
    expect(spec.labels).toMatchObject({[engineLabels.app]: 'web', [engineLabels.node]: 'n1', [engineLabels.cluster]: 'test'});
    expect(JSON.parse(spec.labels[engineLabels.origin] ?? '')).toMatchObject({epoch: 'e1', container: {id: 'web-aaaaa'}});
  });

  it('brings up many beside each other, bodies beyond the first coming in pages', async () => {
    await using machine = await new Machine().start();
    const ids = Array.from({length: 60}, (_, index) => `web-${String(index).padStart(5, '0')}`);
    await machine.control.assign(...ids.map((id) => web({id})));
    await machine.running(...ids);
    expect(ids.every((id) => machine.creates(id) === 1)).toBe(true);
  });

  it('pulls an image that is missing once for all who wait for it', async () => {
    await using machine = await new Machine().start();
    machine.engine.registry.set('shop:1', {layers: 3});
    const release = machine.engine.hold('pull');
    await machine.control.assign(web({template: {image: 'shop:1'}}), web({id: 'web-bbbbb', template: {image: 'shop:1'}}));
    await machine.until('pulling', () => machine.control.phase('web-bbbbb') === 'pulling');
    release();
    await machine.running('web-aaaaa', 'web-bbbbb');
    expect(machine.engine.calls.filter((call) => call === 'pull shop:1')).toHaveLength(1);
  });

  it('shows an image that does not exist, tries again with back-off, and does not hold up others', async () => {
    await using machine = await new Machine().start();
    await machine.control.assign(web({template: {image: 'nowhere:1'}}), web({id: 'db-aaaaa', app: 'db'}));
    await machine.running('db-aaaaa');
    await machine.until('the reason', () => machine.control.statuses.get('web-aaaaa')?.reason === 'ImageNotFound');
    expect(machine.status('web-aaaaa')).toMatchObject({phase: 'pending', ready: false, nextAttemptAt: expect.any(String)});
    machine.engine.registry.set('nowhere:1', {layers: 1});
    await machine.until('the second try', () => machine.control.phase('web-aaaaa') === 'running', {stepMs: 50, withinMs: 5_000});
  });
});

describe('crashes', () => {
  it('starts the same container again at once the first time', async () => {
    await using machine = await new Machine().start();
    await machine.control.assign(web());
    await machine.running('web-aaaaa');
    const {runtimeId} = machine.engine.container('web-aaaaa');
    machine.engine.exit('web-aaaaa', 137);
    await machine.until('restarted', () => machine.control.statuses.get('web-aaaaa')?.restarts === 1 && machine.control.phase('web-aaaaa') === 'running', {withinMs: 20});
    expect(machine.engine.container('web-aaaaa')).toMatchObject({runtimeId, state: 'running'});
    expect(machine.status('web-aaaaa')).toMatchObject({exitCode: 137, ready: true});
  });

  it('backs off when it crashes again and again, showing the exit code, the last lines and the next attempt', async () => {
    await using machine = await new Machine().start();
    await machine.control.assign(web());
    await machine.running('web-aaaaa');
    machine.engine.exit('web-aaaaa', 1);
    await machine.until('one restart', () => machine.control.statuses.get('web-aaaaa')?.restarts === 1 && machine.control.phase('web-aaaaa') === 'running');
    machine.engine.write('web-aaaaa', 'cannot open the database');
    machine.engine.exit('web-aaaaa', 3);
    await machine.until('back-off', () => machine.control.statuses.get('web-aaaaa')?.lastLogs !== undefined);
    const status = machine.status('web-aaaaa');
    expect(status).toMatchObject({phase: 'exited', reason: 'CrashLoop', exitCode: 3, ready: false, lastLogs: expect.arrayContaining(['cannot open the database'])});
    const wait = Date.parse(status.nextAttemptAt ?? '') - machine.clock.now();
    expect(wait).toBeGreaterThan(900);
    expect(wait).toBeLessThanOrEqual(1_000);
    await machine.clock.advance(wait - 1);
    expect(machine.engine.container('web-aaaaa').state).toBe('exited');
    await machine.until('the second restart', () => machine.control.phase('web-aaaaa') === 'running', {withinMs: 20});
  });

  it('acts on a change at once while it waits', async () => {
    await using machine = await new Machine().start();
    await machine.control.assign(web());
    await machine.running('web-aaaaa');
    for (const restarts of [1, 2]) {
      machine.engine.exit('web-aaaaa', 1);
      await machine.until('its restart', () => machine.control.statuses.get('web-aaaaa')?.restarts === restarts && machine.control.phase('web-aaaaa') === 'running', {stepMs: 10});
    }
    machine.engine.exit('web-aaaaa', 1);
    await machine.until('back-off', () => machine.control.statuses.get('web-aaaaa')?.reason === 'CrashLoop');
    await machine.control.unassign('web-aaaaa');
    await machine.until('removed', () => machine.control.phase('web-aaaaa') === 'removed', {withinMs: 50});
    expect(machine.engine.containers.size).toBe(0);
  });
});

describe('jobs', () => {
  it('is over when it exits with 0, even when its container is removed afterwards', async () => {
    await using machine = await new Machine().start();
    await machine.control.assign(web({mode: 'job'}));
    await machine.running('web-aaaaa');
    machine.engine.exit('web-aaaaa', 0);
    await machine.until('completed', () => machine.control.statuses.get('web-aaaaa')?.reason === 'Completed');
    expect(machine.status('web-aaaaa')).toMatchObject({phase: 'exited', exitCode: 0});
    expect(machine.status('web-aaaaa').nextAttemptAt).toBeUndefined();
    machine.engine.vanish('web-aaaaa');
    await machine.clock.advance(120_000);
    expect(machine.creates('web-aaaaa')).toBe(1);
  });

  it('fails for good with policy never', async () => {
    await using machine = await new Machine().start();
    await machine.control.assign(web({mode: 'job', template: {restart: {policy: 'never'}}}));
    await machine.running('web-aaaaa');
    machine.engine.exit('web-aaaaa', 2);
    await machine.until('failed', () => machine.control.phase('web-aaaaa') === 'failed');
    await machine.clock.advance(120_000);
    expect(machine.status('web-aaaaa')).toMatchObject({phase: 'failed', exitCode: 2, restarts: 0});
  });

  it('gives up after the attempts that on-failure allows', async () => {
    await using machine = await new Machine().start();
    await machine.control.assign(web({mode: 'job', template: {restart: {policy: 'on-failure', attempts: 1}}}));
    await machine.running('web-aaaaa');
    machine.engine.exit('web-aaaaa', 1);
    await machine.until('its one restart', () => machine.control.statuses.get('web-aaaaa')?.restarts === 1 && machine.control.phase('web-aaaaa') === 'running');
    machine.engine.exit('web-aaaaa', 1);
    await machine.until('failed', () => machine.control.phase('web-aaaaa') === 'failed');
    expect(machine.status('web-aaaaa').message).toContain('gave up after 1 restarts');
  });
});

describe('taking down', () => {
  it('stops, removes and reports what is no longer assigned, telling the hooks', async () => {
    await using machine = new Machine();
    const told: string[] = [];
    machine.hooks.push({name: 'spy', stopped: () => void told.push('stopped'), removed: async () => void told.push('removed')});
    await machine.start();
    await machine.control.assign(web());
    await machine.running('web-aaaaa');
    await machine.control.unassign('web-aaaaa');
    await machine.until('removed', () => machine.control.phase('web-aaaaa') === 'removed');
    expect(machine.engine.calls.filter((call) => /^(stop|remove) /.test(call))).toEqual(['stop web-aaaaa', 'remove web-aaaaa']);
    expect(told).toEqual(['stopped', 'removed']);
  });

  it('gives up a pull for what is no longer assigned', async () => {
    await using machine = await new Machine().start();
    const release = machine.engine.hold('pull');
    await machine.control.assign(web({template: {image: 'slow:1'}}));
    await machine.until('pulling', () => machine.control.phase('web-aaaaa') === 'pulling');
    await machine.control.unassign('web-aaaaa');
    await machine.until('removed', () => machine.control.phase('web-aaaaa') === 'removed');
    release();
  });
});

describe('a container that others reach', () => {
  /** On the cluster's network; `open` others are connected to it. */
  async function serving(rotation: Rotation, fields: Parameters<typeof containerRecord>[0] = {}): Promise<Machine> {
    const machine = new Machine();
    machine.rotation = rotation;
    const network = {bridge: 'hm0', subnet: '10.244.1.0/24', gateway: '10.244.1.1', others: '10.244.1.248/29', mtu: 1450, address: '10.244.1.2', dns: {servers: [], search: [], options: []}};
    machine.hooks.push({name: 'network', prepare: async () => ({network})});
    await machine.start();
    await machine.control.assign(web(fields));
    await machine.running('web-aaaaa');
    return machine;
  }
  const isStopped = (machine: Machine): boolean => machine.engine.calls.some((call) => call.startsWith('stop'));

  it('stops when nobody is led to it and its connections are over, and until then has its address', async () => {
    const left = Promise.withResolvers<undefined>();
    await using machine = await serving({left: () => left.promise});
    machine.open = 1;
    await machine.control.unassign('web-aaaaa');
    await machine.until('it to be draining', () => machine.control.phase('web-aaaaa') === 'stopping');
    expect(machine.status('web-aaaaa')).toMatchObject({ready: false, ip: '10.0.0.2', message: expect.stringContaining('draining')});
    left.resolve(undefined);
    await machine.clock.advance(3_000);
    expect(isStopped(machine)).toBe(false);
    machine.open = 0;
    await machine.until('removed', () => machine.engine.containers.size === 0);
    expect(machine.control.events).toEqual([]);
  });

  it('stops after its drain at the latest, and an event says for whom', async () => {
    const vain = Promise.withResolvers<string>();
    let asked: number | undefined;
    await using machine = await serving({left: (_id, ms) => {
      asked = ms;
      return vain.promise;
    }}, {template: {stop: {drain: '4s'}}});
    machine.open = 1;
    await machine.control.unassign('web-aaaaa');
    await machine.until('it to be draining', () => asked !== undefined);
    expect(asked).toBe(4_000);
    vain.resolve('m3');
    await machine.until('removed', () => machine.engine.containers.size === 0);
    await machine.until('the event', () => machine.control.events.length > 0);
    expect(machine.control.events).toEqual([expect.objectContaining({reason: 'DrainTimeout', type: 'warning', container: 'web-aaaaa', message: 'stopped after a drain of 4000 ms: waited in vain for m3'})]);
  });

  it.each([['drain: 0s', {template: {stop: {drain: '0s'}}}], ['a job', {mode: 'job' as const}]])('is not waited for with %s', async (_what, fields) => {
    await using machine = await serving({left: () => new Promise(() => undefined)}, fields);
    machine.open = 1;
    await machine.control.unassign('web-aaaaa');
    await machine.until('removed', () => machine.engine.containers.size === 0);
  });

  it('that ends by itself meanwhile is removed at once, and a restart waits for nothing', async () => {
    const ended: Rotation = {left: (_id, _ms, signal) => new Promise((_resolve, reject) => signal.addEventListener('abort', () => reject(signal.reason)))};
    await using machine = await serving(ended);
    await machine.worker?.restart('web-aaaaa');
    await machine.until('its restart', () => machine.control.statuses.get('web-aaaaa')?.restarts === 1);
    await machine.control.unassign('web-aaaaa');
    await machine.until('it to be draining', () => machine.control.phase('web-aaaaa') === 'stopping');
    machine.engine.exit('web-aaaaa', 0);
    await machine.until('removed', () => machine.engine.containers.size === 0);
  });

  it('goes on draining under an agent that starts again, and not once it is wanted after all', async () => {
    let asked = 0;
    const rotation: Rotation = {left: (_id, _ms, signal) => new Promise((_resolve, reject) => {
      asked += 1;
      signal.addEventListener('abort', () => reject(signal.reason));
    })};
    await using machine = await serving(rotation);
    await machine.control.unassign('web-aaaaa');
    await machine.until('it to be draining', () => asked === 1);
    await machine.worker?.stop();
    expect(isStopped(machine)).toBe(false);
    machine.session = new TestSession();
    await machine.startWorker();
    await machine.until('it to be draining again', () => asked === 2);
    await machine.control.assign(web());
    await machine.running('web-aaaaa');
    await machine.clock.advance(20_000);
    expect(isStopped(machine)).toBe(false);
    expect(machine.status('web-aaaaa')).toMatchObject({phase: 'running', ready: true});
  });
});

describe('probes', () => {
  it('shows readiness as the hooks tell it, and restarts what is unhealthy', async () => {
    await using machine = new Machine();
    const reports: ((verdict: Verdict) => void)[] = [];
    machine.hooks.push({name: 'probe', started: (_record, _container, report) => void reports.push(report)});
    await machine.start();
    await machine.control.assign(web({template: {health: {readiness: {tcp: {port: 80}}}}}));
    await machine.running('web-aaaaa');
    await machine.until('watched', () => reports.length === 1);
    expect(machine.status('web-aaaaa').ready).toBe(false);
    reports[0]?.({ready: true, message: ''});
    await machine.until('ready', () => machine.status('web-aaaaa').ready);
    expect(machine.status('web-aaaaa').readySince).toBeDefined();
    reports[0]?.({ready: false, restart: {reason: 'Unhealthy', message: 'tcp 80 refused'}, message: 'tcp 80 refused'});
    await machine.until('watched again', () => reports.length === 2);
    await machine.running('web-aaaaa');
    expect(machine.engine.calls.filter((call) => call === 'stop web-aaaaa')).toHaveLength(1);
    expect(machine.status('web-aaaaa')).toMatchObject({restarts: 1, ready: false});
    expect(machine.control.events.map(({reason}) => reason)).toContain('Unhealthy');
    reports[0]?.({ready: true, message: 'late news of the first run'});
  });
});

describe('the engine', () => {
  it('makes a container again that was removed behind our back', async () => {
    await using machine = await new Machine().start();
    await machine.control.assign(web());
    await machine.running('web-aaaaa');
    machine.engine.vanish('web-aaaaa');
    await machine.until('made again', () => machine.creates('web-aaaaa') === 2);
    await machine.running('web-aaaaa');
    expect(machine.engine.containers.size).toBe(1);
  });

  it('changes no status while it is away, and looks again when it is back', async () => {
    await using machine = await new Machine().start();
    await machine.control.assign(web(), web({id: 'web-bbbbb'}));
    await machine.running('web-aaaaa', 'web-bbbbb');
    machine.engine.disconnect();
    machine.engine.exit('web-bbbbb', 1);
    await machine.clock.advance(10_000);
    expect(machine.status('web-aaaaa')).toMatchObject({phase: 'running', restarts: 0});
    machine.engine.connect();
    await machine.until('the dead one is back', () => machine.control.statuses.get('web-bbbbb')?.restarts === 1 && machine.control.phase('web-bbbbb') === 'running', {stepMs: 10});
    expect(machine.status('web-aaaaa').restarts).toBe(0);
  });

  it('finishes a container that was only half made', async () => {
    await using machine = await new Machine().start();
    machine.engine.failNext('start', runtimeErrors['runtime-unavailable']('gone in the middle'));
    await machine.control.assign(web());
    await machine.until('running after all', () => machine.control.phase('web-aaaaa') === 'running', {stepMs: 50, withinMs: 5_000});
    expect(machine.engine.containers.size).toBe(1);
  });
});

describe('an agent that starts again', () => {
  it('adopts what runs untouched, and starts what died meanwhile', async () => {
    await using machine = await new Machine().start();
    await machine.control.assign(web(), web({id: 'web-bbbbb'}));
    await machine.running('web-aaaaa', 'web-bbbbb');
    await machine.worker?.stop();
    const before = machine.engine.container('web-aaaaa');
    const {pid} = before;
    machine.engine.exit('web-bbbbb', 137);
    machine.engine.calls.length = 0;
    await machine.startWorker();
    await machine.until('the dead one is back', () => machine.control.phase('web-bbbbb') === 'running');
    await machine.running('web-aaaaa');
    expect(machine.engine.container('web-aaaaa')).toMatchObject({runtimeId: before.runtimeId, pid});
    expect(machine.engine.calls.filter((call) => /^(create|stop|remove|start web-aaaaa)/.test(call))).toEqual([]);
  });

  it('goes on alone with the control plane gone, and touches nothing that is right when it is back', async () => {
    await using machine = await new Machine().start();
    await machine.control.assign(web(), web({id: 'web-bbbbb'}));
    await machine.running('web-aaaaa', 'web-bbbbb');
    await machine.worker?.stop();
    await machine.control.stop();
    machine.session = new TestSession();
    machine.session.number = undefined;
    machine.engine.exit('web-bbbbb', 1);
    await machine.startWorker();
    await machine.until('restarted from the cache', () => machine.engine.container('web-bbbbb').state === 'running', {stepMs: 20, withinMs: 10_000});
    const pids = [...machine.engine.containers.values()].map(({pid}) => pid);
    await machine.control.start();
    machine.session.register(1);
    await machine.running('web-aaaaa', 'web-bbbbb');
    expect([...machine.engine.containers.values()].map(({pid}) => pid)).toEqual(pids);
  });

  it('with a disk that is full, brings nothing back that was removed', async () => {
    await using machine = await new Machine().start();
    await machine.control.assign(web(), web({id: 'web-bbbbb'}));
    await machine.running('web-aaaaa', 'web-bbbbb');
    await machine.worker?.stop();
    const file = join(machine.dataDir, 'agent/assignment.json');
    // Nothing can be written beside it, nor can that be changed.
    mkdirSync(`${file}.new`);
    await machine.startWorker();
    await machine.control.unassign('web-aaaaa');
    await machine.until('removed', () => machine.engine.containers.size === 1);
    await machine.worker?.stop();
    expect(existsSync(file)).toBe(false);
    await machine.control.stop();
    machine.session = new TestSession();
    machine.session.number = undefined;
    await machine.startWorker();
    await machine.clock.advance(60_000);
    expect([machine.engine.containers.size, machine.engine.container('web-bbbbb').state]).toEqual([1, 'running']);
  });

  it('stops what is not listed any more once no restart can bring it back', async () => {
    await using machine = await new Machine().start();
    await machine.control.assign(web(), web({id: 'web-bbbbb'}));
    await machine.running('web-aaaaa', 'web-bbbbb');
    const file = join(machine.dataDir, 'agent/assignment.json');
    const kept = () => readFileSync(file, 'utf8');
    await waitFor(() => kept().includes('web-aaaaa'), {what: 'the assignment to be kept'});
    const seen: boolean[] = [];
    const push = machine.engine.calls.push.bind(machine.engine.calls);
    machine.engine.calls.push = (...calls) => {
      if (calls.some((call) => call.startsWith('stop web-aaaaa'))) seen.push(kept().includes('web-aaaaa'));
      return push(...calls);
    };
    await machine.control.unassign('web-aaaaa');
    await machine.until('removed', () => machine.engine.containers.size === 1);
    expect(seen).toEqual([false]);
  });

  it('keeps the assignment on disk once there is room again', async () => {
    await using machine = await new Machine().start();
    const file = join(machine.dataDir, 'agent/assignment.json');
    mkdirSync(`${file}.new`, {recursive: true});
    await machine.control.assign(web());
    await machine.running('web-aaaaa');
    expect(existsSync(file)).toBe(false);
    rmdirSync(`${file}.new`);
    await waitFor(async () => {
      await machine.clock.advance(1_000);
      return existsSync(file) && readFileSync(file, 'utf8').includes('web-aaaaa');
    }, {what: 'the assignment to be kept'});
  });

  it('removes nothing on the word of the cache', async () => {
    await using machine = await new Machine().start();
    await machine.control.assign(web());
    await machine.running('web-aaaaa');
    await waitFor(() => machine.worker?.stop().then(() => true), {what: 'the worker to stop'});
    await machine.control.unassign('web-aaaaa');
    await machine.control.stop();
    machine.session = new TestSession();
    machine.session.number = undefined;
    await machine.startWorker();
    await machine.clock.advance(60_000);
    expect(machine.engine.container('web-aaaaa').state).toBe('running');
    await machine.control.start();
    machine.session.register(1);
    await machine.until('removed', () => machine.engine.containers.size === 0);
  });
});

describe('a rewound store', () => {
  it('stops and removes nothing until what runs was adopted', async () => {
    await using machine = await new Machine().start();
    await machine.control.assign(web());
    await machine.running('web-aaaaa');
    machine.control.revision = {epoch: 'e2', n: 0};
    machine.control.hold = true;
    await machine.control.unassign('web-aaaaa');
    await machine.clock.advance(60_000);
    expect(machine.control.strangers).toEqual(new Set(['web-aaaaa']));
    expect(machine.engine.container('web-aaaaa').state).toBe('running');
    machine.control.hold = false;
    await machine.control.wake();
    await machine.until('discarded', () => machine.engine.containers.size === 0);
  });

  it('reports what was adopted anew: before, its status was refused', async () => {
    await using machine = await new Machine().start();
    await machine.control.assign(web());
    await machine.running('web-aaaaa');
    const {pid} = machine.engine.container('web-aaaaa');
    machine.control.revision = {epoch: 'e2', n: 0};
    machine.control.hold = true;
    await machine.control.unassign('web-aaaaa');
    await machine.until('the report of strangers', () => machine.control.strangers.has('web-aaaaa'));
    machine.control.statuses.clear();
    machine.control.hold = false;
    await machine.control.assign(web());
    await machine.running('web-aaaaa');
    expect(machine.engine.container('web-aaaaa').pid).toBe(pid);
  });

  it('holds on its own account while the control plane does not take note of the strangers', async () => {
    await using machine = await new Machine().start();
    await machine.control.assign(web());
    await machine.running('web-aaaaa');
    machine.control.revision = {epoch: 'e1', n: -5};
    machine.control.acceptStrangers = false;
    await machine.control.unassign('web-aaaaa');
    await machine.clock.advance(60_000);
    expect(machine.engine.container('web-aaaaa').state).toBe('running');
    machine.control.acceptStrangers = true;
    await machine.control.wake();
    await machine.until('removed', () => machine.engine.containers.size === 0);
  });
});

describe('reports', () => {
  it('tells everything again under a new session', async () => {
    await using machine = await new Machine().start();
    await machine.control.assign(web());
    await machine.running('web-aaaaa');
    const {fullReports} = machine.control;
    machine.control.session = 2;
    machine.engine.exit('web-aaaaa', 1);
    await machine.until('the refusal', () => machine.session.refused.includes(1));
    machine.control.statuses.clear();
    machine.session.register(2);
    await machine.until('the full report', () => machine.control.fullReports > fullReports);
    await machine.until('its restart', () => machine.control.statuses.get('web-aaaaa')?.restarts === 1);
  });

  it('restarts on request whatever the back-off', async () => {
    await using machine = await new Machine().start();
    await machine.control.assign(web());
    await machine.running('web-aaaaa');
    machine.engine.exit('web-aaaaa', 1);
    await machine.until('one restart', () => machine.control.statuses.get('web-aaaaa')?.restarts === 1 && machine.control.phase('web-aaaaa') === 'running');
    machine.engine.exit('web-aaaaa', 1);
    await machine.until('back-off', () => machine.control.statuses.get('web-aaaaa')?.reason === 'CrashLoop');
    await machine.worker?.restart('web-aaaaa');
    await machine.until('running', () => machine.control.phase('web-aaaaa') === 'running', {withinMs: 50});
    await machine.worker?.restart('web-aaaaa');
    await machine.until('started once more', () => machine.control.statuses.get('web-aaaaa')?.restarts === 3);
    await expect(machine.worker?.restart('nothing')).rejects.toMatchObject({code: 'unassigned'});
  });

  it('stops what must never run twice when nobody is heard, and goes on under a session that lists it', async () => {
    await using machine = await new Machine().start();
    const record = containerRecord({template: {singleton: true, fencing: {lease: '10s'}, stop: {signal: 'SIGKILL', grace: '1s'}}});
    await machine.control.assign(record);
    await machine.running(record.id);
    const runs = (): boolean => [...machine.engine.containers.values()].some(({process}) => process !== undefined);
    machine.session.silent = 9_500;
    await machine.clock.advance(10_500);
    machine.session.silent = 20_000;
    await machine.until('it to be stopped', () => !runs(), {stepMs: 100, withinMs: 12_000});
    await machine.clock.advance(5_000);
    expect(runs()).toBe(false);
    machine.session.silent = 0;
    machine.control.session = 2;
    machine.session.register(2);
    await machine.until('it to run again', runs, {stepMs: 100});
  });
});
