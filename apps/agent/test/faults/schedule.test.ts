import fc from 'fast-check';
import {faultText, scheduleFaults, type Setting, targetOf} from './schedule.ts';

const setting: Setting = {nodes: ['m1', 'm2', 'm3'], services: ['app', 'node', 'gateway'], sidecars: true, smallDisks: true};
const MINUTE = 60_000;

describe('a schedule of faults', () => {
  it('is the same for the same seed, and another for another', () => {
    expect(scheduleFaults(7, MINUTE, setting)).toEqual(scheduleFaults(7, MINUTE, setting));
    expect(scheduleFaults(7, MINUTE, setting)).not.toEqual(scheduleFaults(8, MINUTE, setting));
  });

  it('is the beginning of a longer one, but for what that has at the end', () => {
    const [short, long] = [scheduleFaults(7, MINUTE, setting), scheduleFaults(7, 2 * MINUTE, setting)];
    expect(long.slice(0, short.length).map(({atMs, fault}) => ({atMs, fault}))).toEqual(short.map(({atMs, fault}) => ({atMs, fault})));
  });

  it('never has two faults on one target at a time, and ends all in time', () => {
    fc.assert(fc.property(fc.integer({min: 0}), (seed) => {
      const faults = scheduleFaults(seed, 3 * MINUTE, setting);
      for (const [index, {atMs, forMs, fault}] of faults.entries()) {
        expect(atMs + forMs).toBeLessThanOrEqual(3 * MINUTE);
        const next = faults.slice(index + 1).find((other) => targetOf(other.fault) === targetOf(fault));
        if (next) expect(next.atMs).toBeGreaterThanOrEqual(atMs + forMs);
      }
    }), {numRuns: 50});
  });

  it('has every kind of fault in a long run, and none that the cluster has no place for', () => {
    const kinds = (of: Setting) => new Set(scheduleFaults(1, 60 * MINUTE, of).map(({fault}) => fault.kind));
    expect(kinds(setting).size).toBe(12);
    const bare = kinds({...setting, sidecars: false, smallDisks: false});
    expect([bare.size, bare.has('kill-sidecar'), bare.has('fill-disk')]).toEqual([9, false, false]);
  });

  it('reads well', () => {
    expect(faultText({atMs: 1_500, forMs: 12_000, fault: {kind: 'cut-off', node: 'm2', from: 'bus', direction: 'in'}})).toBe('   1.5 s  cut-off machine m2 (bus, in) for 12.0 s');
    expect(faultText({atMs: 61_000, forMs: 500, fault: {kind: 'restart-bus'}})).toBe('  61.0 s  restart-bus for 0.5 s');
  });
});
