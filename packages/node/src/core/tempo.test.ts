import {NodeSettings} from '@hivemind/contracts';
import fc from 'fast-check';
import {tempoOf} from './tempo.ts';

const settings = NodeSettings.parse({});

describe('the tempo', () => {
  it('is quick for few machines, and slows down with their number', () => {
    expect(tempoOf(settings, 3)).toEqual({leaseMs: 2_000, heartbeatMs: 500});
    expect(tempoOf(settings, 125)).toEqual({leaseMs: 2_000, heartbeatMs: 500});
    expect(tempoOf(settings, 1_000)).toEqual({leaseMs: 16_000, heartbeatMs: 4_000});
  });

  it('bounds the heartbeats a second, whatever is asked', () => {
    fc.assert(
      fc.property(fc.nat({max: 20_000}), fc.integer({min: 1, max: 2_000}), fc.integer({min: 500, max: 60_000}), (machines, heartbeatsPerSecond, lease) => {
        const {leaseMs, heartbeatMs} = tempoOf({lease: `${lease}ms`, heartbeatsPerSecond}, machines);
        expect((machines * 1000) / heartbeatMs).toBeLessThanOrEqual(heartbeatsPerSecond * 1.02 + 1);
        expect(leaseMs).toBeGreaterThanOrEqual(Math.max(lease, heartbeatMs * 4));
      }),
    );
  });
});
