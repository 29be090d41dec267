import {Gate, TokenBucket} from './rate.ts';

const rates = {member: 100, stranger: 10, strangers: 50};
const passed = (gate: Gate, count: number, now: number, source: (n: number) => string): number =>
  Array.from({length: count}, (_, n) => gate.pass(source(n), now)).filter(Boolean).length;

describe('the rate of packets', () => {
  it('lets a burst through and then so many a second', () => {
    const bucket = new TokenBucket(10, 5, 0);
    const take = (now: number): number => Array.from({length: 100}, () => bucket.take(now)).filter(Boolean).length;
    expect([take(0), take(0), take(300), take(10_000)]).toEqual([5, 0, 3, 5]);
  });

  it('survives a clock that goes back', () => {
    const bucket = new TokenBucket(10, 1, 1000);
    expect([bucket.take(1000), bucket.take(0), bucket.take(100)]).toEqual([true, false, true]);
  });

  it('bounds one stranger, and all strangers however many addresses they write', () => {
    const gate = new Gate(rates, 0);
    expect(passed(gate, 1000, 0, () => '10.0.0.1:1')).toBe(20);
    expect(passed(gate, 1000, 0, (n) => `10.0.0.2:${n}`)).toBe(80);
  });

  it('hears members through any flood of strangers, each up to its own bound', () => {
    const gate = new Gate(rates, 0);
    gate.know('10.0.0.9:7946', 0);
    passed(gate, 5000, 0, (n) => `10.0.0.2:${n}`);
    expect(passed(gate, 1000, 0, () => '10.0.0.9:7946')).toBe(200);
    expect(passed(gate, 1000, 1000, () => '10.0.0.9:7946')).toBe(100);
  });

  it('treats who is no member any more as a stranger', () => {
    const gate = new Gate(rates, 0);
    gate.know('10.0.0.9:7946', 0);
    gate.forget('10.0.0.9:7946');
    expect(passed(gate, 1000, 0, () => '10.0.0.9:7946')).toBe(20);
  });
});
