import {HealthSpec} from '@hivemind/contracts';
import {FakeClock} from '@hivemind/controller/testing';
import type {Verdict} from '@hivemind/runtime';
import type {Result} from '../core/probes.ts';
import {Prober} from './prober.ts';

const ok: Result = {ok: true, message: 'fine'};
const refused: Result = {ok: false, message: 'connection refused'};

function probing(spec: object, ask: (signal: AbortSignal) => Promise<Result | undefined>) {
  const clock = new FakeClock();
  const verdicts: Verdict[] = [];
  const asked: number[] = [];
  const prober = new Prober({
    id: 'web-aaaaa',
    health: HealthSpec.parse(spec),
    clock,
    report: (verdict) => verdicts.push(verdict),
    ask: (_probe, signal) => {
      asked.push(clock.monotonic());
      return ask(signal);
    },
  });
  return {clock, verdicts, asked, prober};
}

describe('the prober', () => {
  it('waits for startup before it asks for readiness', async () => {
    let answer = refused;
    const {clock, verdicts, prober} = probing({startup: {tcp: {port: 80}, interval: '1s', failures: 30}, readiness: {tcp: {port: 80}, interval: '1s'}}, async () => answer);
    await clock.advance(5_000);
    expect(verdicts.at(-1)).toEqual({ready: false, message: 'startup probe: connection refused'});
    answer = ok;
    await clock.advance(1_000);
    expect(verdicts.at(-1)).toEqual({ready: true, message: ''});
    prober.stop();
  });

  it('asks for a restart after failures in a row, and then no more', async () => {
    const {clock, verdicts, asked} = probing({liveness: {tcp: {port: 80}, interval: '1s', failures: 3, delay: '500ms'}}, async () => refused);
    await clock.advance(499);
    expect(asked).toEqual([]);
    await clock.advance(60_000);
    expect(asked).toHaveLength(3);
    expect(verdicts.at(-1)).toEqual({ready: false, message: 'liveness probe: connection refused', restart: {reason: 'Unhealthy', message: 'liveness probe: connection refused, 3 times in a row'}});
  });

  it('reads an answer that is there when it finds its deadline over, since it was held up itself', async () => {
    let [asked, answerAt] = [0, 0];
    const {clock, verdicts, prober} = probing({readiness: {tcp: {port: 80}, interval: '1s', timeout: '1s', failures: 1}}, async () => {
      if (++asked === 1) return ok;
      // There all the while, and read by who is not held up.
      return new Promise((resolve) => clock.setTimer(() => resolve(ok), answerAt));
    });
    await clock.advance(10);
    expect(verdicts.at(-1)).toMatchObject({ready: true});
    answerAt = 1_001;
    await clock.advance(1_000);
    expect(asked).toBe(2);
    await clock.stall(3_000);
    await clock.advance(100);
    expect(verdicts).toHaveLength(2);
    expect(verdicts.at(-1)).toMatchObject({ready: true});
    answerAt = 60_000;
    await clock.advance(3_000);
    expect(verdicts.at(-1)).toEqual({ready: false, message: 'readiness probe: no answer within 1s'});
    prober.stop();
  });

  it('counts no answer in time as a failure, and never has two probes of a kind under way', async () => {
    let underWay = 0;
    let most = 0;
    const {clock, verdicts, prober} = probing({readiness: {tcp: {port: 80}, interval: '100ms', timeout: '350ms', failures: 1}}, async (signal) => {
      most = Math.max(most, ++underWay);
      return new Promise<Result>((resolve) => signal.addEventListener('abort', () => {
        underWay--;
        resolve(refused);
      }));
    });
    await clock.advance(400);
    expect(verdicts.at(-1)?.message).toBe('readiness probe: no answer within 350ms');
    await clock.advance(5_000);
    expect(most).toBe(1);
    prober.stop();
  });

  it('does not hold against the container that its engine is away', async () => {
    const {clock, verdicts, prober} = probing({liveness: {exec: ['true'], interval: '1s', failures: 1}}, async () => undefined);
    await clock.advance(10_000);
    expect(verdicts).toEqual([{ready: true, message: ''}]);
    prober.stop();
  });

  it('is silent once stopped', async () => {
    const {clock, verdicts, asked, prober} = probing({readiness: {tcp: {port: 80}, interval: '1s'}}, async () => ok);
    prober.stop();
    await clock.advance(10_000);
    expect(asked).toEqual([]);
    expect(verdicts).toHaveLength(1);
    expect(clock.pending).toBe(0);
  });
});
