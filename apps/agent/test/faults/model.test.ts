import {AppSpec} from '@hivemind/contracts';
import fc from 'fast-check';
import {acknowledged, emptyWorld, endingOf, kindOf, nameOf, nextOperation, specOf, type WantedApp, type World} from './model.ts';
import {seeded} from './random.ts';
import {discrepancies, type Found} from './verdict.ts';

describe('the stream of changes', () => {
  it('makes one app of each kind first, and then only what has an effect, on bounded many apps', () => {
    fc.assert(fc.property(fc.integer({min: 0}), (seed) => {
      const random = seeded(seed);
      let world: World = emptyWorld;
      const names = new Set<string>();
      for (let step = 0; step < 60; step++) {
        const operation = nextOperation(world, random);
        const before = world.apps.get(nameOf(operation));
        expect(before !== undefined).toBe(operation.kind !== 'create');
        if (operation.kind === 'create') expect(names.has(operation.app.name)).toBe(false);
        names.add(nameOf(operation));
        const after = acknowledged(world, operation);
        expect(after.apps.get(nameOf(operation))).not.toEqual(before);
        expect(after.apps.size).toBeLessThanOrEqual(6);
        for (const {kind, replicas} of after.apps.values()) expect([kind, replicas >= 1 && replicas <= (kind === 'plain' ? 4 : 1)]).toEqual([kind, true]);
        world = after;
      }
      expect(new Set([...world.apps.values()].map(({kind}) => kind))).toEqual(new Set(['plain', 'single', 'stateful']));
    }), {numRuns: 50});
  });

  it('says what may end with each', () => {
    const web: WantedApp = {name: 'plain-1', kind: 'plain', replicas: 3, version: 2};
    expect(endingOf({kind: 'create', app: web}, undefined)).toBeUndefined();
    expect(endingOf({kind: 'scale', app: {...web, replicas: 4}}, web)).toBeUndefined();
    expect(endingOf({kind: 'scale', app: {...web, replicas: 1}}, web)).toEqual({some: 2});
    expect(endingOf({kind: 'update', app: {...web, version: 3}}, web)).toEqual({olderThan: 3});
    expect(endingOf({kind: 'delete', name: 'plain-1'}, web)).toBe('all');
    expect((['plain-1', 'single-2', 'stateful-3'] as const).map(kindOf)).toEqual(['plain', 'single', 'stateful']);
  });

  it('asks for specs that are valid', () => {
    for (const kind of ['plain', 'single', 'stateful'] as const) expect(AppSpec.safeParse(specOf({name: 'x', kind, replicas: 1, version: 1}, 'busybox')).error).toBeUndefined();
  });
});

describe('the look at the end', () => {
  const wanted = new Map([['web', {name: 'web', kind: 'plain' as const, replicas: 2, version: 3}]]);
  const engine = (id: string, app = 'web', running = true, version = 3) => ({id, app, node: 'm1', runtimeId: `r-${id}`, state: running ? 'running' : 'exited', running, pid: 1, startedAt: '', env: ['APP=web', `VERSION=${version}`]});
  const listed = (id: string) => ({id, app: 'web', node: 'm1', runtimeId: `r-${id}`});
  const found = (change: Partial<Found> = {}): Found => ({
    apps: [{name: 'web', replicas: 2, version: 3, phase: 'running', ready: 2}],
    containers: [listed('a'), listed('b')], engines: [engine('a'), engine('b')], unready: new Map(), ...change,
  });

  it('finds nothing where all is as asked', () => {
    expect(discrepancies(wanted, found())).toEqual([]);
  });

  it.each<[string, Partial<Found>, readonly string[]]>([
    ['a lost change', {apps: [{name: 'web', replicas: 2, version: 2, phase: 'running', ready: 2}]}, ['app web has version 2, acknowledged was 3']],
    ['a lost app', {apps: [], containers: [], engines: []}, ['app web is gone']],
    ['a deleted app that is back', {apps: [...found().apps, {name: 'old', replicas: 1, version: 1, phase: 'running', ready: 1}]}, ['app old was deleted, and is there']],
    ['too few', {containers: [listed('a')], engines: [engine('a')]}, ['app web: 1 run of 1 on the engines, asked are 2 (a on m1 running)']],
    ['one that does not run', {engines: [engine('a'), engine('b', 'web', false)]}, ['app web: 1 run of 2 on the engines, asked are 2 (a on m1 running, b on m1 exited)']],
    ['one too many', {containers: [listed('a'), listed('b'), listed('c')], engines: [engine('a'), engine('b'), engine('c')]}, ['app web: 3 run of 3 on the engines, asked are 2 (a on m1 running, b on m1 running, c on m1 running)']],
    ['one that was not updated', {engines: [engine('a'), engine('b', 'web', true, 2)]}, ['app web: b on m1 is not of version 3']],
    ['one that is not told as ready', {apps: [{name: 'web', replicas: 2, version: 3, phase: 'degraded', ready: 1}]}, ['app web is degraded with 1 ready of 2']],
    ['an orphan', {engines: [engine('a'), engine('b'), engine('c', 'old')]}, ['orphan: c on m1, running, of an app that is not there', 'orphan: c on m1 is not known to the control plane']],
    ['a ghost', {containers: [listed('a'), listed('b'), listed('c')]}, ['c on m1 is listed, and no engine has it']],
    ['a machine that stays away', {unready: new Map([['m2', 'dead']])}, ['machine m2 is not ready: dead']],
  ])('finds %s', (_what, change, told) => {
    expect(discrepancies(wanted, found(change))).toEqual(told);
  });
});
