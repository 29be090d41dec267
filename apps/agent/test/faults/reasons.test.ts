import {type Diary, readLives} from './history.ts';
import type {AppKind, Ending} from './model.ts';
import {type Deed, unexplainedEnds} from './reasons.ts';
import type {Fault} from './schedule.ts';

const diary = (kind: AppKind, text: string, node = 'm1'): Diary => ({app: `${kind}-1`, node, container: 'x', lives: readLives(text.replaceAll('; ', '\n'))});
const RUNS = new Set(['x']);
const GONE = new Set<string>();

/** By the kernel, and started again in place. */
const again = 'start 10.00 none 2; beat 50.00; start 52.00 none 2; beat 99.80';
/** Told to stop, for good. */
const stopped = 'start 10.00 none 2; beat 50.00; stop 50.20';
/** Without a word, for good. */
const silent = 'start 10.00 none 2; beat 50.00';
/** Told to stop, and started again in place. */
const pausing = 'start 10.00 none 2; beat 50.00; stop 50.20; start 60.00 none 2; beat 99.80';

type OnMachine = Exclude<Extract<Fault, {node: string}>['kind'], 'cut-off'>;
const on = (kind: OnMachine, from: number, to: number, node = 'm1'): Deed => ({from, to, fault: {kind, node}});
const cut = (what: 'bus' | 'control' | 'everything', from: number, to: number, node = 'm1'): Deed => ({from, to, fault: {kind: 'cut-off', node, from: what, direction: 'in'}});
const of = (kind: 'restart-bus' | 'restart-store', from: number, to: number): Deed => ({from, to, fault: {kind}});
const service = (kind: 'kill-service' | 'freeze-service', name: string, from: number, to: number): Deed => ({from, to, fault: {kind, service: name}});
const change = (ends: Ending, from: number, to: number, app = 'plain-1'): Deed => ({from, to, app, ends});

const found = (kind: AppKind, text: string, deeds: readonly Deed[]) => unexplainedEnds([diary(kind, text)], deeds, text === again || text === pausing ? RUNS : GONE);

describe('an end', () => {
  it('is none while the engine runs it, however long it said nothing', () => {
    expect(unexplainedEnds([diary('plain', silent)], [], RUNS)).toEqual([]);
  });

  it.each([
    [again, 'plain-1: x on m1 was started again at 50 s for no reason'],
    [stopped, 'plain-1: x on m1 was stopped at 50.2 s for no reason'],
    [silent, 'plain-1: x on m1 ended at 50 s for no reason'],
  ])('without a reason is told: %s', (text, told) => {
    expect(found('plain', text, [])).toEqual([told]);
  });

  it.each<[string, Deed, boolean]>([
    ['its deletion', change('all', 49, 49.5), true],
    ['its deletion, long on its way', change('all', 20, 21), true],
    ['its deletion, after the end', change('all', 51, 52), false],
    ['the deletion of another', change('all', 49, 49.5, 'plain-2'), false],
    ['an update of what is older', change({olderThan: 3}, 49, 49.5), true],
    ['the update that made it', change({olderThan: 2}, 9, 9.5), false],
    ['an update after the end', change({olderThan: 3}, 51, 52), false],
    ['fewer of it', change({some: 1}, 49, 49.5), true],
    ['fewer of it, after the end', change({some: 1}, 51, 52), false],
    ['fewer of it, acknowledged while it was on its way', change({some: 1}, 40, 55), true],
  ])('for good, by a change: %s', (_what, deed, explained) => {
    expect(found('plain', stopped, [deed])).toHaveLength(explained ? 0 : 1);
  });

  it('by fewer of it is believed for a while only', () => {
    expect(found('plain', 'start 10.00 none 2; beat 500.00; stop 500.20', [change({some: 1}, 49, 49.5)])).toHaveLength(1);
  });

  it('by fewer of it is believed of so many', () => {
    const two = [diary('plain', stopped), {...diary('plain', 'start 10.00 none 2; beat 51.00; stop 51.20'), container: 'y'}];
    expect(unexplainedEnds(two, [change({some: 1}, 49, 49.5)], GONE)).toEqual(['plain-1: y on m1 was stopped at 51.2 s for no reason']);
    expect(unexplainedEnds(two, [change({some: 2}, 49, 49.5)], GONE)).toEqual([]);
    expect(unexplainedEnds(two, [change({some: 1}, 49, 49.5), change({some: 1}, 50, 50.5)], GONE)).toEqual([]);
  });

  it('in place is of no change', () => {
    expect(found('plain', again, [change('all', 49, 49.5), change({olderThan: 3}, 49, 49.5), change({some: 1}, 49, 49.5)])).toHaveLength(1);
  });

  it.each<[string, Deed, boolean]>([
    ['power', on('power-off', 51, 51.5), true],
    ['power, elsewhere', on('power-off', 51, 51.5, 'm2'), false],
    ['power, before', on('power-off', 20, 30), false],
    ['power, after it was started again', on('power-off', 53, 60), false],
    ['its engine', on('restart-engine', 48, 51), true],
    ['its engine, before', on('restart-engine', 20, 30), false],
    ['its agent', on('kill-agent', 48, 51), false],
    ['its agent, frozen', on('freeze-agent', 48, 51), false],
    ['its sidecar', on('kill-sidecar', 48, 51), false],
    ['its sidecar, frozen', on('freeze-sidecar', 48, 51), false],
    ['its disk', on('fill-disk', 48, 51), false],
    ['its cable', cut('everything', 30, 51), false],
    ['the bus', of('restart-bus', 30, 51), false],
    ['a service', service('kill-service', 'node', 30, 51), false],
  ])('in place, by a fault: %s', (_what, deed, explained) => {
    expect([found('plain', again, [deed]).length, found('stateful', again, [deed]).length]).toEqual(explained ? [0, 0] : [1, 1]);
  });

  it.each<[string, Deed, boolean, boolean]>([
    ['power, then', on('power-off', 50.4, 60), true, true],
    ['power, and it was put elsewhere', on('power-off', 30, 45), true, false],
    ['power, long before', on('power-off', -90, -80), false, false],
    ['power, elsewhere', on('power-off', 30, 45, 'm2'), false, false],
    ['both signals, and it was put elsewhere', cut('everything', 30, 45), true, false],
    ['the control side only', cut('control', 30, 51), false, false],
    ['the bus only', cut('bus', 30, 51), false, false],
    ['its agent only', on('kill-agent', 30, 51), false, false],
    ['its engine, before', on('restart-engine', 30, 45), false, false],
  ])('for good, by a fault: %s', (_what, deed, ofPlain, ofStateful) => {
    expect([found('plain', silent, [deed]).length, found('stateful', silent, [deed]).length]).toEqual([ofPlain ? 0 : 1, ofStateful ? 0 : 1]);
  });

  it('for good, of what came to a machine after it was back, is not of its fault', () => {
    expect(found('plain', stopped, [cut('everything', 3, 9)])).toHaveLength(1);
    expect(found('plain', stopped, [cut('everything', 3, 12)])).toEqual([]);
    expect(found('plain', stopped, [on('power-off', 3, 9)])).toEqual([]);
  });

  it('may be as late as a busy computer stalls, without a word only', () => {
    const off = on('power-off', 57, 58);
    expect([found('plain', silent, [off]).length, found('plain', stopped, [off]).length]).toEqual([0, 1]);
  });
});

describe('the end of what must never run twice', () => {
  it.each<[string, readonly Deed[], boolean]>([
    ['no silence', [], false],
    ['its machine cut off from the bus for its lease', [cut('bus', 45, 52)], true],
    ['another machine cut off', [cut('bus', 45, 52, 'm2')], false],
    ['less silence than its lease', [cut('bus', 47.5, 52)], false],
    ['its lease, from a heartbeat that was late', [cut('bus', 47, 52)], true],
    ['silence that began after it', [of('restart-store', 51, 60)], false],
    ['silence that was over long ago', [cut('everything', 20, 30)], false],
    ['the bus away', [of('restart-bus', 45, 49)], true],
    ['its agent frozen', [on('freeze-agent', 44, 53)], true],
    ['two silences in a row', [of('restart-bus', 43, 45), of('restart-store', 46, 51)], true],
    ['two silences with a gap', [of('restart-bus', 30, 31), of('restart-store', 48, 51)], false],
    ['who hears it is away', [service('freeze-service', 'node', 44, 51)], true],
    ['somebody is away who does not hear it', [service('freeze-service', 'health', 44, 51)], false],
    ['its sidecar away', [on('kill-sidecar', 44, 51)], false],
    ['its disk full', [on('fill-disk', 44, 51)], false],
    ['an agent that began anew', [on('kill-agent', 47, 49)], true],
    ['a change of it', [change({olderThan: 3}, 49, 49.5, 'single-1')], false],
  ])('in place: %s', (_what, deeds, explained) => {
    expect(found('single', pausing, deeds)).toHaveLength(explained ? 0 : 1);
  });

  it('is not excused by silence where the app is another', () => {
    expect(found('plain', pausing, [of('restart-bus', 40, 49)])).toHaveLength(1);
    expect(found('stateful', pausing, [of('restart-bus', 40, 49)])).toHaveLength(1);
  });
});
