/** Probes one container from its start to its end: runs the state machine against the clock. */
import {durationMs, type HealthSpec, type Probe} from '@hivemind/contracts';
import type {Clock} from '@hivemind/controller';
import type {Verdict} from '@hivemind/runtime';
import {activeKinds, afterResult, initialState, type Kind, type ProbeState, type Result, verdictOf} from '../core/probes.ts';
import {gridOffset, nextProbeAt} from '../core/schedule.ts';

/** For so long (ms) past its deadline an answer is still read: where this process was held up, it came in time, and timers come first. */
const READ_MS = 50;

export interface ProberOptions {
  /** Container id. */
  readonly id: string;
  readonly health: HealthSpec;
  /** Asks the container; undefined: it could not be asked for no fault of its own. */
  readonly ask: (probe: Probe, signal: AbortSignal) => Promise<Result | undefined>;
  /** Called at once, and when something changed. */
  readonly report: (verdict: Verdict) => void;
  readonly clock: Clock;
}

interface Running {
  readonly first: number;
  cancel: () => void;
}

export class Prober {
  readonly #options: ProberOptions;
  readonly #running = new Map<Kind, Running>();
  readonly #ending = new AbortController();
  #state: ProbeState;
  #reported = '';

  constructor(options: ProberOptions) {
    this.#options = options;
    this.#state = initialState(options.health);
    this.#settle();
  }

  stop(): void {
    this.#ending.abort();
    for (const {cancel} of this.#running.values()) cancel();
    this.#running.clear();
  }

  /** Reports what is new, and runs those probes that the state calls for. */
  #settle(): void {
    const {health, clock, report} = this.#options;
    const active = activeKinds(this.#state, health);
    for (const [kind, {cancel}] of this.#running) {
      if (active.includes(kind)) continue;
      cancel();
      this.#running.delete(kind);
    }
    for (const kind of active) {
      const probe = health[kind];
      if (!probe || this.#running.has(kind)) continue;
      const delay = durationMs(probe.delay);
      const running: Running = {first: clock.monotonic() + delay, cancel: () => undefined};
      this.#running.set(kind, running);
      running.cancel = clock.setTimer(() => void this.#probe(kind, probe, running), delay);
    }
    const verdict = verdictOf(this.#state);
    const text = JSON.stringify(verdict);
    if (text === this.#reported) return;
    this.#reported = text;
    report(verdict);
  }

  async #probe(kind: Kind, probe: Probe, running: Running): Promise<void> {
    const {id, health, clock, ask} = this.#options;
    const started = clock.monotonic();
    const timeout = new AbortController();
    const timedOut = Promise.withResolvers<Result>();
    let cancelTimeout = clock.setTimer(() => {
      cancelTimeout = clock.setTimer(() => {
        timedOut.resolve({ok: false, message: `no answer within ${probe.timeout}`});
        timeout.abort();
      }, READ_MS);
    }, durationMs(probe.timeout));
    const asking = ask(probe, AbortSignal.any([timeout.signal, this.#ending.signal]));
    asking.catch(() => undefined);
    const result = await Promise.race([asking, timedOut.promise]);
    cancelTimeout();
    if (this.#ending.signal.aborted || this.#running.get(kind) !== running) return;
    const at = nextProbeAt(running.first, started, durationMs(probe.interval), gridOffset(`${id}/${kind}`), clock.monotonic());
    running.cancel = clock.setTimer(() => void this.#probe(kind, probe, running), Math.max(0, at - clock.monotonic()));
    if (result === undefined) return;
    this.#state = afterResult(this.#state, kind, result, health);
    this.#settle();
  }
}
