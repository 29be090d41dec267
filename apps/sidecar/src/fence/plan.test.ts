import {AppSpec, durationMs, fencingOf} from '@hivemind/contracts';
import fc from 'fast-check';
import {guardedOf} from './guarded.ts';
import {type Guarded, planFence} from './plan.ts';

const one: Guarded = {id: 'c1', name: 'db-1', leaseMs: 10_000, graceMs: 3_000, signal: 'SIGINT'};
const plan = (silentMs: number, {agentLives = false, told = [] as readonly string[]} = {}) => planFence({silentMs, agentLives, guarded: [one], told: new Set(told)});
const signals = (planned: ReturnType<typeof plan>) => planned.steps.map(({signal}) => signal);

describe('the fence', () => {
  it('leaves a container alone until its lease has lapsed, and looks again at that moment', () => {
    expect(plan(9_900)).toEqual({steps: [], againInMs: 100});
    expect(plan(5_000)).toEqual({steps: [], againInMs: 1_000});
  });

  it('says the polite word once, where no agent lives to say it', () => {
    expect(plan(10_000)).toEqual({steps: [{container: one, signal: 'SIGINT'}], againInMs: 1_000});
    expect(signals(plan(10_000, {agentLives: true}))).toEqual([]);
    expect(signals(plan(10_500, {told: ['c1']}))).toEqual([]);
  });

  it('kills when its grace is over, again and again, whoever lives and whatever was said', () => {
    for (const silentMs of [13_000, 14_000, 1e9]) expect(signals(plan(silentMs, {agentLives: true, told: ['c1']}))).toEqual(['SIGKILL']);
    expect(plan(12_800, {told: ['c1']}).againInMs).toBe(200);
  });

  it('guards by the labels what the contracts say of the same record', () => {
    const duration = fc.tuple(fc.integer({min: 1, max: 90}), fc.constantFrom('ms', 's', 'm', 'h')).map(([amount, unit]) => `${amount}${unit}`);
    const template = fc.record({
      singleton: fc.boolean(),
      fencing: fc.record({lease: duration, onIsolation: fc.constantFrom('stop', 'keep')}, {requiredKeys: []}),
      stop: fc.record({grace: duration, signal: fc.constantFrom('SIGTERM', 'SIGQUIT')}, {requiredKeys: []}),
    }, {requiredKeys: []});
    fc.assert(fc.property(template, (given) => {
      const spec = AppSpec.parse({image: 'x', ...given});
      const fencing = fencingOf(spec);
      const labels = {'hivemind.origin': JSON.stringify({epoch: 'e', n: 1, container: {id: 'db-1', template: spec}}), 'hivemind.container': 'db-1'};
      const expected = fencing?.onIsolation === 'stop' ? {id: 'c1', name: 'db-1', leaseMs: fencing.leaseMs, graceMs: durationMs(spec.stop.grace), signal: spec.stop.signal} : undefined;
      expect(guardedOf({id: 'c1', labels})).toEqual(expected);
    }));
  });

  it('passes over labels that cannot be read', () => {
    for (const label of ['', '{', 'null', '[]', '"x"', '{"container":{"template":7}}']) expect(guardedOf({id: 'c', labels: {'hivemind.origin': label}})).toBeUndefined();
    expect(guardedOf({id: 'c', labels: {}})).toBeUndefined();
  });
});
