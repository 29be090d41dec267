import {lossy} from '@hivemind/bus/testing';
import {Machines} from '../machines.ts';

const both = <T>(values: readonly T[], count: number): readonly T[] => Array.from({length: count}, () => values).flat();

describe('a drain', () => {
  it('starts elsewhere before it stops here, and never has fewer ready than the floor', async () => {
    await using cluster = await Machines.start(['n1', 'n2', 'n3']);
    await cluster.deploy('web', {replicas: 6});
    await cluster.ready('web', 6);
    expect(await cluster.placesOf('web')).toEqual(['n1', 'n1', 'n2', 'n2', 'n3', 'n3']);
    const fewest = {count: 6};
    const watching = setInterval(() => void cluster.placesOf('web').then((places) => (fewest.count = Math.min(fewest.count, places.length)), () => undefined), 5);
    // Held back, the replacements are not ready: nothing may stop.
    const release = ['n2', 'n3'].map((name) => cluster.machine(name).runtime.engine.hold('start'));
    await cluster.ask('POST', '/nodes/n1/drain');
    await cluster.until('replacements to be placed', async () => (await cluster.containers('web')).length === 8);
    expect((await cluster.node('n1')).status).toMatchObject({phase: 'draining', drain: {done: false, total: 2}});
    expect((await cluster.ask('GET', '/nodes/n1/drain')).body).toMatchObject({blocked: [{reason: 'WaitsForReplacement', app: 'web'}, {reason: 'WaitsForReplacement', app: 'web'}]});
    expect(cluster.machine('n1').running()).toHaveLength(2);
    for (const go of release) go();
    await cluster.until('n1 to be empty', async () => (await cluster.node('n1')).status.drain?.total === 0);
    clearInterval(watching);
    expect(fewest.count).toBe(6);
    expect(cluster.machine('n1').running()).toEqual([]);
    expect(await cluster.placesOf('web')).toEqual(both(['n2', 'n3'], 3).toSorted());
    await cluster.ask('POST', '/nodes/n1/uncordon');
    await cluster.deploy('more', {replicas: 3});
    await cluster.ready('more', 3);
    expect(await cluster.placesOf('more')).toContain('n1');
  });

  it('waits where there is no other place, says why, gives up in time, and is called off', async () => {
    await using cluster = await Machines.start(['n1', 'n2']);
    await cluster.deploy('tied', {placement: {nodes: ['n1']}});
    await cluster.ready('tied', 1);
    await cluster.ask('POST', '/nodes/n1/drain');
    await cluster.until('the drain to say why', async () => JSON.stringify((await cluster.ask('GET', '/nodes/n1/drain')).body).includes('n2 is not one of the nodes asked for: n1'));
    await cluster.ask('POST', '/nodes/n1/uncordon');
    await cluster.until('the app to be at rest', async () => (await cluster.app('tied')).status.phase === 'running');
    expect(cluster.machine('n1').running()).toHaveLength(1);
    await cluster.ask('POST', '/nodes/n1/drain', {deadline: '30s'});
    await cluster.clock.skip(31_000);
    await cluster.until('it to be stopped all the same', () => cluster.machine('n1').running().length === 0);
    await cluster.until('the app to wait', async () => (await cluster.app('tied')).status.phase === 'pending');
  });

  it('leaves users of local volumes and global apps; --stop-local and maintenance do not', async () => {
    await using cluster = await Machines.start(['n1', 'n2']);
    await cluster.deploy('db', {placement: {nodes: ['n1']}, volumes: [{name: 'data', mount: '/data'}]});
    await cluster.deploy('everywhere', {mode: 'global'});
    await cluster.ready('db', 1);
    await cluster.ready('everywhere', 2);
    await cluster.ask('POST', '/nodes/n1/drain');
    await cluster.until('the drain to be done', async () => (await cluster.node('n1')).status.drain?.done === true);
    expect((await cluster.node('n1')).status).toMatchObject({drain: {blocked: [{app: 'db', reason: 'LocalVolume'}]}});
    expect(cluster.machine('n1').running()).toHaveLength(2);
    await cluster.ask('POST', '/nodes/n1/drain', {stopLocal: true});
    await cluster.until('its user to be stopped', () => cluster.machine('n1').running().length === 1);
    await cluster.ask('POST', '/nodes/n1/maintenance');
    await cluster.until('everything to be stopped', () => cluster.machine('n1').running().length === 0);
    await cluster.ask('POST', '/nodes/n1/maintenance', {enabled: false});
    await cluster.ready('db', 1);
    await cluster.ready('everywhere', 2);
  });
});

describe('one container a machine', () => {
  it('follows machines as they come and go, and rolls over without two on one', async () => {
    await using cluster = await Machines.start(['n1', 'n2']);
    await cluster.deploy('agent', {mode: 'global', placement: {constraints: [{label: 'role', notIn: ['db']}]}});
    await cluster.ready('agent', 2);
    await cluster.add('n3');
    await cluster.add('n4', {labels: {role: 'db'}});
    await cluster.ready('agent', 3);
    expect(await cluster.placesOf('agent')).toEqual(['n1', 'n2', 'n3']);
    await cluster.ask('POST', '/nodes/n2/taints', {key: 'quiet', effect: 'NoExecute'});
    await cluster.ready('agent', 2);
    await cluster.ask('DELETE', '/nodes/n2/taints?key=quiet');
    await cluster.ready('agent', 3);
    await cluster.ask('PATCH', '/apps/agent', {spec: {env: {ROUND: '2'}}});
    await cluster.until('the second revision to be everywhere', async () => {
      for (const {runtime} of cluster.machines.values()) expect([...runtime.engine.containers.values()].filter(({process}) => process !== undefined).length).toBeLessThanOrEqual(1);
      const {status} = await cluster.app('agent');
      return status.phase === 'running' && status.revision === 2 && status.replicas.updated === 3;
    });
    expect(await cluster.placesOf('agent')).toEqual(['n1', 'n2', 'n3']);
  });
});

describe('a machine that dies', () => {
  it('has what it ran put elsewhere, and stops it when it is back', async () => {
    await using cluster = await Machines.start(['n1', 'n2', 'n3']);
    await cluster.deploy('web', {replicas: 6});
    await cluster.ready('web', 6);
    const before = cluster.machine('n1').running();
    await cluster.machine('n1').cut();
    await cluster.phase('n1', 'unreachable', 1_100);
    expect(await cluster.placesOf('web')).toEqual(['n2', 'n2', 'n3', 'n3']);
    expect((await cluster.containers('web')).filter(({status}) => status.phase === 'lost')).toHaveLength(2);
    await cluster.phase('n1', 'dead', 3_000);
    await cluster.ready('web', 6);
    expect(await cluster.placesOf('web')).toEqual(both(['n2', 'n3'], 3).toSorted());
    expect(cluster.machine('n1').running()).toEqual(before);
    cluster.machine('n1').plug();
    await cluster.phase('n1', 'ready');
    await cluster.until('n1 to stop what is not its own any more', () => cluster.machine('n1').running().length === 0);
    await cluster.until('nothing of them to be left', async () => (await cluster.containers('web')).length === 6);
    await cluster.until('events to tell of it', async () => {
      const told = await cluster.reasons('n1');
      return ['Unreachable', 'Dead', 'Ready'].every((reason) => told.includes(reason));
    });
  });

  it('that is only unreachable keeps what it runs, and is back in rotation with the same containers', async () => {
    await using cluster = await Machines.start(['n1', 'n2', 'n3']);
    await cluster.deploy('web', {replicas: 3});
    await cluster.ready('web', 3);
    const ids = (await cluster.containers('web')).map(({name}) => name).toSorted();
    await cluster.machine('n2').cut();
    await cluster.phase('n2', 'unreachable', 1_100);
    cluster.machine('n2').plug();
    await cluster.phase('n2', 'ready');
    await cluster.ready('web', 3);
    expect((await cluster.containers('web')).map(({name}) => name).toSorted()).toEqual(ids);
    expect((await cluster.containers('web')).every(({status}) => status.restarts === 0)).toBe(true);
  });

  it('among too many at once: replacement pauses, says why, and goes on by command', async () => {
    await using cluster = await Machines.start(['n1', 'n2', 'n3']);
    await cluster.deploy('web', {replicas: 3});
    await cluster.ready('web', 3);
    await Promise.all([cluster.machine('n1').cut(), cluster.machine('n2').cut()]);
    await cluster.phase('n1', 'dead', 5_000);
    await cluster.phase('n2', 'dead');
    expect((await cluster.ask('GET', '/nodes/brake')).body).toMatchObject({engaged: true, nodes: ['n1', 'n2'], message: expect.stringContaining('2 of 3')});
    expect((await cluster.app('web')).status.conditions).toContainEqual(expect.objectContaining({reason: 'ReplacementPaused'}));
    await cluster.clock.skip(60_000, 1_000);
    expect(await cluster.placesOf('web')).toEqual(['n3']);
    expect((await cluster.ask('DELETE', '/nodes/brake')).body).toMatchObject({engaged: false});
    await cluster.ready('web', 3);
    expect(await cluster.placesOf('web')).toEqual(['n3', 'n3', 'n3']);
  });

  it('with data: its users wait for it, or begin anew when the data is given up', async () => {
    await using cluster = await Machines.start(['n1', 'n2', 'n3']);
    await cluster.deploy('db', {volumes: [{name: 'data', mount: '/data'}]});
    await cluster.ready('db', 1);
    const [home = ''] = await cluster.placesOf('db');
    await cluster.machine(home).cut();
    await cluster.phase(home, 'dead', 5_000);
    await cluster.until('its user to wait', async () => (await cluster.app('db')).status.phase === 'pending');
    expect((await cluster.containers('db'))[0]?.status).toMatchObject({phase: 'pending', reason: 'VolumeOnDeadNode', message: expect.stringContaining('volume abandon data')});
    expect((await cluster.app('db')).status.conditions).toContainEqual(expect.objectContaining({reason: 'VolumeOnDeadNode'}));
    expect((await cluster.ask('POST', '/volumes/data/abandon')).status).toBe(200);
    await cluster.ready('db', 1);
    expect(await cluster.placesOf('db')).not.toContain(home);
    cluster.machine(home).plug();
    await cluster.until('the old copy to stop', () => cluster.machine(home).running().length === 0);
  });

  it('with what must never run twice: replaced only after the copy there has stopped itself for certain', async () => {
    await using cluster = await Machines.start(['n1', 'n2', 'n3']);
    await cluster.deploy('one', {singleton: true, fencing: {lease: '20s'}});
    await cluster.ready('one', 1);
    const [home = ''] = await cluster.placesOf('one');
    await cluster.machine(home).cut();
    await cluster.phase(home, 'dead', 5_000);
    await cluster.until('the app to say why it waits', async () => JSON.stringify((await cluster.app('one')).status.conditions).includes('"Fenced"'));
    expect(await cluster.placesOf('one')).toEqual([]);
    await cluster.clock.skip(16_000, 1_000);
    await cluster.until('the copy there to have stopped itself', () => cluster.machine(home).running().length === 0);
    await cluster.clock.skip(10_000);
    await cluster.ready('one', 1);
    expect(await cluster.placesOf('one')).not.toContain(home);
    expect(cluster.machine(home).running()).toEqual([]);
  });

  it('with what runs on where it is cut off: replaced when a person vouches for the end of its machine', async () => {
    await using cluster = await Machines.start(['n1', 'n2', 'n3']);
    await cluster.deploy('kept', {singleton: true, fencing: {onIsolation: 'keep'}});
    await cluster.ready('kept', 1);
    const [home = ''] = await cluster.placesOf('kept');
    expect((await cluster.ask('POST', `/nodes/${home}/fence`, {confirmDead: true})).body).toMatchObject({code: 'node-heard'});
    await cluster.machine(home).cut();
    await cluster.phase(home, 'dead', 5_000);
    await cluster.clock.skip(120_000, 1_000);
    expect(await cluster.placesOf('kept')).toEqual([]);
    expect(cluster.machine(home).running()).toHaveLength(1);
    expect((await cluster.app('kept')).status.conditions).toContainEqual(expect.objectContaining({reason: 'Fenced', message: expect.stringContaining(`node fence ${home} --confirm-dead`)}));
    await cluster.ask('POST', `/nodes/${home}/fence`, {confirmDead: true});
    await cluster.ready('kept', 1);
    expect(await cluster.placesOf('kept')).not.toContain(home);
  });

  it('removed from the cluster is forgotten with all that it ran', async () => {
    await using cluster = await Machines.start(['n1', 'n2', 'n3']);
    await cluster.deploy('web', {replicas: 3});
    await cluster.ready('web', 3);
    expect((await cluster.ask('DELETE', '/nodes/n1')).body).toMatchObject({code: 'node-in-use'});
    await cluster.machine('n1').cut();
    expect((await cluster.ask('DELETE', '/nodes/n1')).body).toMatchObject({status: 'gone'});
    await cluster.until('others to be in their place', async () => (await cluster.placesOf('web')).every((node) => node !== 'n1'));
    await cluster.ready('web', 3);
  });
});

describe('under a bus that drops, doubles and delays', () => {
  it('a drain and a death both end as they should', async () => {
    const seed = 20_261;
    await using cluster = await Machines.start(['n1', 'n2', 'n3', 'n4'], {wrap: (bus) => lossy(bus, {seed, requestTimeout: 0.05})});
    await cluster.deploy('web', {replicas: 8});
    const settled = (...nodes: readonly string[]) => cluster.settles(`8 to be ready on ${nodes.join(', ')}`, async () => {
      const places = await cluster.placesOf('web');
      return places.length === 8 && places.every((node) => nodes.includes(node));
    });
    await settled('n1', 'n2', 'n3', 'n4');
    await cluster.ask('POST', '/nodes/n1/drain');
    await settled('n2', 'n3', 'n4');
    await cluster.machine('n2').cut();
    await cluster.phase('n2', 'dead', 5_000);
    await settled('n3', 'n4');
    cluster.machine('n2').plug();
    await cluster.settles('n1 and n2 to be empty', () => cluster.machine('n1').running().length + cluster.machine('n2').running().length === 0);
    expect(cluster.machine('n3').running().length + cluster.machine('n4').running().length).toBe(8);
  });
});
