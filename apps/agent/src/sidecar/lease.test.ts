import {FakeClock} from '@hivemind/controller/testing';
import type {Lease} from '@hivemind/sidecar/client';
import {tellLease} from './lease.ts';

describe('the lease as the sidecar is told it', () => {
  it('is when the answered heartbeat was sent, each second and at once when the machine is registered', async () => {
    const clock = new FakeClock();
    const told: Lease[] = [];
    let silentMs = Number.POSITIVE_INFINITY;
    let registered = (): void => undefined;
    const stop = tellLease({
      cluster: 'c', engine: '/e', agent: '7-8', clock,
      boottime: () => ({bootId: 'b', ms: 50_000 + clock.monotonic()}),
      session: {silentMs: () => silentMs, onRegistered: (listener) => ((registered = listener), () => undefined)},
      // One that is away changes nothing.
      renew: async (lease) => {
        told.push(lease);
        throw new Error('away');
      },
    });
    expect(told).toEqual([{cluster: 'c', engine: '/e', bootId: 'b', heardAtMs: 0, agent: '7-8'}]);
    silentMs = 120.5;
    registered();
    expect(told.at(-1)?.heardAtMs).toBe(49_879);
    await clock.advance(1_000);
    expect(told.map(({heardAtMs}) => heardAtMs)).toEqual([0, 49_879, 50_879]);
    stop();
    await clock.advance(5_000);
    expect({told: told.length, pending: clock.pending}).toEqual({told: 3, pending: 0});
  });
});
