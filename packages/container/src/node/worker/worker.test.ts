import {engineLabels} from '@hivemind/contracts';
import {runtimeErrors, type Verdict} from '@hivemind/runtime';
import {containerRecord} from './testing/builders.ts';
import {Machine, web} from './testing/machine.ts';

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
