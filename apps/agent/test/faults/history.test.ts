import {type Diary, lostVolumes, overlaps, readLives} from './history.ts';

const diary = (app: string, node: string, container: string, text: string): Diary => ({app, node, container, lives: readLives(text.replaceAll('; ', '\n'))});

describe('a diary', () => {
  it('is read life by life, whatever line a crash cut short', () => {
    expect(readLives('start 1.00 empty 3\nbeat 1.50 \nbeat 2.00 \nstart 5.00 full 3\nbeat 5.5 \nstop 6.00 \nbea')).toEqual([
      {from: 1, to: 2, stopped: false, volume: 'empty', version: 3},
      {from: 5, to: 6, stopped: true, volume: 'full', version: 3},
    ]);
    expect(readLives('')).toEqual([]);
  });

  it('counts from the beginning of the run', () => {
    expect(readLives('start 101.10 none 1', 100)).toMatchObject([{from: 1.1, to: 1.1}]);
  });
});

describe('what must never run twice', () => {
  it('may run one after the other', () => {
    expect(overlaps([diary('single-1', 'm1', 'x', 'start 1.00 none 1; beat 4.00; stop 5.00'), diary('single-1', 'm2', 'y', 'start 5.00 none 1; beat 9.00')])).toEqual([]);
  });

  it.each(['single-1', 'stateful-1'])('is named where it did not: %s', (app) => {
    const found = overlaps([diary(app, 'm1', 'x', 'start 1.00 none 1; beat 6.00'), diary(app, 'm2', 'y', 'start 5.00 none 1; beat 9.00'), diary('single-2', 'm2', 'z', 'start 5.00 none 1; beat 9.00')]);
    expect(found).toEqual([`${app} ran twice: x on m1 from 1 to 6, y on m2 from 5`]);
  });

  it('is found twice also where one was started in place, long after the other', () => {
    const found = overlaps([diary('single-1', 'm1', 'x', 'start 1.00 none 1; stop 2.00; start 20.00 none 1; beat 30.00'), diary('single-1', 'm2', 'y', 'start 3.00 none 1; beat 21.00')]);
    expect(found).toEqual(['single-1 ran twice: y on m2 from 3 to 21, x on m1 from 20']);
  });

  it('is not what runs as often as was asked', () => {
    expect(overlaps([diary('plain-1', 'm1', 'x', 'start 1.00 none 1; beat 6.00'), diary('plain-1', 'm2', 'y', 'start 5.00 none 1; beat 9.00')])).toEqual([]);
  });
});

describe('a volume', () => {
  it('is empty once, at its first start', () => {
    expect(lostVolumes([diary('stateful-1', 'm1', 'x', 'start 1.00 empty 1; stop 2.00; start 3.00 full 1'), diary('stateful-1', 'm1', 'y', 'start 9.00 full 1')])).toEqual([]);
    expect(lostVolumes([diary('stateful-1', 'm1', 'x', 'start 1.00 empty 1; stop 2.00'), diary('stateful-1', 'm2', 'y', 'start 9.00 empty 1')])).toEqual(['stateful-1 started on an empty copy of its volume, on m2 at 9']);
  });

  it('is there at every start', () => {
    expect(lostVolumes([diary('stateful-1', 'm1', 'x', 'start 1.00 empty 1; stop 2.00; start 3.00 none 1')])).toEqual(['stateful-1 started without its volume, on m1 at 3']);
    expect(lostVolumes([diary('plain-1', 'm1', 'x', 'start 1.00 none 1; stop 2.00; start 3.00 none 1')])).toEqual([]);
  });
});
