import {HealthSpec} from '@hivemind/contracts';
import fc from 'fast-check';
import {activeKinds, afterResult, initialState, type Kind, kinds, type ProbeState, type Result} from './probes.ts';
import {gridOffset, nextProbeAt} from './schedule.ts';

const probe = fc.option(fc.record({failures: fc.integer({min: 1, max: 4}), successes: fc.integer({min: 1, max: 4})}).map((limits) => ({tcp: {port: 80}, ...limits})), {nil: undefined});
const health = fc.record({startup: probe, readiness: probe, liveness: probe}).map((spec) => HealthSpec.parse(spec));
const results = fc.array(fc.record({kind: fc.constantFrom<Kind[]>(...kinds), ok: fc.boolean()}), {maxLength: 40});

/** The same rules read off the whole history, slowly. */
function naive(spec: HealthSpec, history: readonly {readonly kind: Kind; readonly ok: boolean}[]): {ready: boolean; restart: boolean} {
  let started = spec.startup === undefined;
  let ready = started && spec.readiness === undefined;
  let restart = false;
  const seen: Record<Kind, boolean[]> = {startup: [], readiness: [], liveness: []};
  const lastAre = (kind: Kind, ok: boolean, count: number): boolean => seen[kind].length >= count && seen[kind].slice(-count).every((one) => one === ok);
  for (const {kind, ok} of history) {
    const rules = spec[kind];
    if (restart || !rules || (kind === 'startup') === started) continue;
    seen[kind].push(ok);
    if (kind === 'startup') {
      if (lastAre('startup', true, rules.successes)) [started, ready] = [true, spec.readiness === undefined];
      else if (lastAre('startup', false, rules.failures)) restart = true;
    } else if (kind === 'readiness') {
      if (lastAre('readiness', true, rules.successes)) ready = true;
      if (lastAre('readiness', false, rules.failures)) ready = false;
    } else if (lastAre('liveness', false, rules.failures)) restart = true;
    if (restart) ready = false;
  }
  return {ready, restart};
}

function run(spec: HealthSpec, history: readonly {readonly kind: Kind; readonly ok: boolean}[]): ProbeState {
  const result = (ok: boolean): Result => ({ok, message: ok ? 'fine' : 'refused'});
  return history.reduce((state, {kind, ok}) => afterResult(state, kind, result(ok), spec), initialState(spec));
}

describe('the probes of a container', () => {
  it('decide as a slow reading of the whole history does', () => {
    fc.assert(
      fc.property(health, results, (spec, history) => {
        const {ready, restart} = run(spec, history);
        expect({ready, restart: restart !== undefined}).toEqual(naive(spec, history));
      }),
      {numRuns: 500},
    );
  });

  it('are never ready and to be restarted at once, and run none then', () => {
    fc.assert(
      fc.property(health, results, (spec, history) => {
        const state = run(spec, history);
        if (!state.restart) return;
        expect(state.ready).toBe(false);
        expect(activeKinds(state, spec)).toEqual([]);
        expect(state.restart.message).toContain('refused');
      }),
    );
  });
});

describe('the schedule', () => {
  it('keeps the interval, and never asks for the past', () => {
    fc.assert(
      fc.property(fc.integer({min: 1, max: 60_000}), fc.string(), fc.array(fc.nat(200_000), {minLength: 1, maxLength: 20}), (interval, name, delays) => {
        const offset = gridOffset(name);
        expect(offset).toBeGreaterThanOrEqual(0.5);
        expect(offset).toBeLessThan(1);
        let last = 1_000;
        let now = 1_000;
        for (const [index, delay] of delays.entries()) {
          now += delay;
          const next = nextProbeAt(1_000, last, interval, offset, now);
          expect(next).toBeGreaterThanOrEqual(now);
          if (delay < interval / 2 && index > 0) expect(next - last).toBeLessThanOrEqual(interval + 1e-6);
          last = next;
          now = next;
        }
      }),
    );
  });
});
