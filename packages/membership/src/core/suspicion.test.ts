import {defaultConfig, pushPullEvery, retransmitLimit, suspicionBounds} from './config.ts';
import {Suspicions, suspicionTimeout} from './suspicion.ts';

test.each([
  // confirmations, wanted, ms
  [0, 3, 2400],
  [1, 3, 1400],
  [2, 3, 815],
  [3, 3, 400],
  [9, 3, 400],
  [0, 0, 400],
])('%i of %i confirmations make a suspicion last %i ms', (confirmations, wanted, ms) => {
  expect(Math.round(suspicionTimeout(confirmations, wanted, 400, 2400))).toBe(ms);
});

test.each([
  [1, 400],
  [100, 400],
  [1000, 600],
  [10_000, 800],
])('in a ring of %i a suspicion lasts %i ms at least', (members, ms) => {
  expect(Math.round(suspicionBounds(defaultConfig, members).min)).toBe(ms);
});

test('without Lifeguard a suspicion lasts as long as it does, whoever confirms it', () => {
  const {min, max} = suspicionBounds({...defaultConfig, lifeguard: false}, 100);
  expect(max).toBe(min);
});

test.each([
  [1, 4],
  [9, 4],
  [10, 8],
  [100, 12],
  [10_000, 20],
])('in a ring of %i a message is sent %i times by each member', (members, times) => {
  expect(retransmitLimit(defaultConfig, members)).toBe(times);
});

test.each([
  [32, 1],
  [33, 2],
  [64, 2],
  [100, 3],
  [10_000, 10],
])('in a ring of %i views are exchanged after %i times the interval', (members, times) => {
  expect(pushPullEvery(defaultConfig, members)).toBe(times * defaultConfig.pushPullInterval);
});

describe('suspicions in hand', () => {
  const bounds = {min: 400, max: 2400};
  const open = (): Suspicions => {
    const suspicions = new Suspicions();
    suspicions.open(7, 'a', 3, bounds, 1000);
    return suspicions;
  };

  test('each accuser counts once, and no more than are wanted', () => {
    const suspicions = open();
    expect(['a', 'b', 'b', 'c', 'd', 'e'].map((accuser) => suspicions.confirm(7, accuser))).toEqual([false, true, false, true, true, false]);
  });

  test('confirmations bring the end nearer', () => {
    const suspicions = open();
    expect(suspicions.due(3399)).toEqual([]);
    for (const accuser of ['b', 'c', 'd']) suspicions.confirm(7, accuser);
    expect(suspicions.due(1399)).toEqual([]);
    expect(suspicions.due(1400)).toEqual([7]);
  });

  test('what nobody has confirmed by the shortest time is doubted once', () => {
    const suspicions = open();
    expect([suspicions.doubted(1399), suspicions.doubted(1400), suspicions.doubted(1500)]).toEqual([[], [7], []]);
  });

  test('a pause of this member postpones, a long one begins anew with the first accuser', () => {
    const suspicions = open();
    suspicions.confirm(7, 'b');
    suspicions.postpone(500);
    expect(suspicions.get(7)).toMatchObject({start: 1500, accusers: ['a', 'b']});
    suspicions.restart(9000);
    expect(suspicions.get(7)).toMatchObject({start: 9000, accusers: ['a'], deadline: 11_400});
  });

  test('a closed suspicion ends nothing', () => {
    const suspicions = open();
    suspicions.close(7);
    expect(suspicions.due(1e9)).toEqual([]);
    expect(suspicions.next).toBe(Infinity);
  });
});
