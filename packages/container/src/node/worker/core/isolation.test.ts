import {containerRecord, runtimeContainer} from '../testing/builders.ts';
import {blankMemory} from './memory.ts';
import {planContainer} from './plan.ts';

const singleton = containerRecord({template: {singleton: true, fencing: {lease: '10s'}, stop: {grace: '3s'}}});
const kept = containerRecord({template: {singleton: true, fencing: {lease: '10s', onIsolation: 'keep'}}});
const plain = containerRecord();
const plan = (record: typeof plain, state: 'running' | 'exited' | undefined, silentMs: number, current = true) =>
  planContainer({record, wanted: true, held: false, observed: state && runtimeContainer({state}), memory: {...blankMemory, watched: true, ran: state !== undefined, judged: true}, contact: {silentMs, current}}, 1_000_000);
const actions = (planned: ReturnType<typeof plan>) => planned.steps.map(({action}) => action);

describe('on a machine that does not hear the control plane', () => {
  it('what must never run twice stops when its lease has lapsed, and not before', () => {
    expect(plan(singleton, 'running', 9_000)).toEqual({steps: [], wakeAt: 1_001_000});
    expect(plan(singleton, 'running', 10_000).steps).toEqual([{action: 'stop', signal: 'SIGTERM', graceMs: 3_000}]);
    expect(plan(singleton, 'running', Number.POSITIVE_INFINITY).steps).toHaveLength(1);
  });

  it('it is not started again either, nor on the word of an earlier session', () => {
    expect(plan(singleton, 'exited', 10_000)).toEqual({steps: [], wakeAt: 1_000_500});
    expect(plan(singleton, undefined, 0, false)).toEqual({steps: [], wakeAt: 1_000_500});
    expect(actions(plan(singleton, 'exited', 0))).toEqual(['start', 'watch']);
  });

  it('with keep it runs on, and is not started', () => {
    expect(actions(plan(kept, 'running', 1e9))).toEqual([]);
    expect(actions(plan(kept, 'exited', 1e9))).toEqual([]);
    expect(actions(plan(kept, 'exited', 0))).toEqual(['start', 'watch']);
  });

  it('everything else runs on, and is started again', () => {
    expect(actions(plan(plain, 'running', 1e9))).toEqual([]);
    expect(actions(plan(plain, 'exited', 1e9, false))).toEqual(['start', 'watch']);
  });
});
