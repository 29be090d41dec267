import {type Deed, type Diary, lostVolumes, overlaps, readLives, unexplainedEnds} from './history.ts';

const diary = (app: string, node: string, container: string, text: string): Diary => ({app, node, container, lives: readLives(text.replaceAll('; ', '\n'))});

describe('a diary', () => {
  it('is read life by life, whatever line a crash cut short', () => {
    expect(readLives('start 1.00 empty\nbeat 1.50\nbeat 2.00\nstart 5.00 full\nbeat 5.5\nstop 6.00\nbea')).toEqual([
      {from: 1, to: 2, stopped: false, volume: 'empty'},
      {from: 5, to: 6, stopped: true, volume: 'full'},
    ]);
    expect(readLives('')).toEqual([]);
  });
});

describe('what must never run twice', () => {
  it('may run one after the other', () => {
    expect(overlaps([diary('a', 'm1', 'x', 'start 1.00 none; beat 4.00; stop 5.00'), diary('a', 'm2', 'y', 'start 5.00 none; beat 9.00')])).toEqual([]);
  });

  it('is named where it did not', () => {
    const found = overlaps([diary('a', 'm1', 'x', 'start 1.00 none; beat 6.00'), diary('a', 'm2', 'y', 'start 5.00 none; beat 9.00'), diary('b', 'm2', 'z', 'start 5.00 none; beat 9.00')]);
    expect(found).toEqual(['a ran twice: x on m1 from 1 to 6, y on m2 from 5']);
  });
});

describe('a volume', () => {
  it('is empty once, at its first start', () => {
    expect(lostVolumes([diary('db', 'm1', 'x', 'start 1.00 empty; stop 2.00; start 3.00 full'), diary('db', 'm1', 'y', 'start 9.00 full')])).toEqual([]);
    expect(lostVolumes([diary('db', 'm1', 'x', 'start 1.00 empty; stop 2.00'), diary('db', 'm2', 'y', 'start 9.00 empty')])).toEqual(['db started on an empty copy of its volume, on m2 at 9']);
  });
});

describe('an end', () => {
  const NOW = 100;
  const crashed = diary('a', 'm1', 'x', 'start 10.00 none; beat 20.00; start 22.00 none; beat 99.80');
  const stopped = diary('a', 'm1', 'x', 'start 10.00 none; beat 20.00; stop 20.50');
  const deed = (fault: 'power-off' | 'cut-off' | 'kill-agent', node: string, from: number, to: number): Deed => ({from, to, fault: fault === 'cut-off' ? {kind: fault, node, from: 'bus', direction: 'both'} : {kind: fault, node}});

  it('needs no reason where there is none', () => {
    expect(unexplainedEnds([diary('a', 'm1', 'x', 'start 10.00 none; beat 99.50')], [], NOW)).toEqual([]);
  });

  it.each([
    ['of power, on that machine', crashed, deed('power-off', 'm1', 20, 21), 0],
    ['of power, on another machine', crashed, deed('power-off', 'm2', 20, 21), 1],
    ['of power, long before', crashed, deed('power-off', 'm1', 11, 12), 1],
    ['of an agent, which ends no process', crashed, deed('kill-agent', 'm1', 20, 21), 1],
    ['of an agent, whose machine was given up', stopped, deed('kill-agent', 'm1', 12, 18), 0],
    ['of a cable, after the end', stopped, deed('cut-off', 'm1', 30, 31), 1],
    ['of the app', stopped, {from: 19, to: 19.5, app: 'a'}, 0],
    ['of another app', stopped, {from: 19, to: 19.5, app: 'b'}, 1],
    ['of the app, after the end', stopped, {from: 30, to: 31, app: 'a'}, 1],
  ] as const)('a change or fault %s', (_what, diaryOf, cause, count) => {
    expect(unexplainedEnds([diaryOf], [cause], NOW)).toHaveLength(count);
  });

  it('of what stops itself may be due to those who should hear its machine', () => {
    const away: Deed = {from: 12, to: 19, fault: {kind: 'restart-store'}};
    expect(unexplainedEnds([stopped], [away], NOW, new Set(['a']))).toEqual([]);
    expect(unexplainedEnds([stopped], [away], NOW)).toHaveLength(1);
  });

  it('is told with its container', () => {
    expect(unexplainedEnds([stopped], [], NOW)).toEqual(['a: x on m1 was stopped at 20.5 s for no reason']);
    expect(unexplainedEnds([crashed], [], NOW)).toEqual(['a: x on m1 was started again at 20 s for no reason']);
  });
});
