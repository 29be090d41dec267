/**
 * A container's probes as a state machine. Startup first, alone; once it has passed, readiness and liveness. Readiness
 * says whether it may get traffic, startup and liveness whether it must be restarted. Results in a row decide.
 */
import type {HealthSpec, Probe} from '@hivemind/contracts';
import type {Verdict} from '@hivemind/runtime';

export const kinds = ['startup', 'readiness', 'liveness'] as const;
export type Kind = (typeof kinds)[number];

export interface Result {
  readonly ok: boolean;
  /** What was seen, for people. */
  readonly message: string;
}

export interface ProbeState {
  /** Results of the same sort in a row, of each probe. */
  readonly streaks: Readonly<Partial<Record<Kind, {readonly ok: boolean; readonly count: number}>>>;
  readonly started: boolean;
  readonly ready: boolean;
  /** It must be restarted: no probe runs any more. */
  readonly restart?: {readonly reason: string; readonly message: string};
  readonly message: string;
}

export function initialState(health: HealthSpec): ProbeState {
  const started = health.startup === undefined;
  return {streaks: {}, started, ready: started && health.readiness === undefined, message: ''};
}

/** Which probes run in this state. */
export function activeKinds(state: ProbeState, health: HealthSpec): readonly Kind[] {
  if (state.restart) return [];
  const wanted: readonly Kind[] = state.started ? ['readiness', 'liveness'] : ['startup'];
  return wanted.filter((kind) => health[kind] !== undefined);
}

/** What a result makes of the state; a late one, of a probe that does not run any more, changes nothing. */
export function afterResult(state: ProbeState, kind: Kind, result: Result, health: HealthSpec): ProbeState {
  const probe = health[kind];
  if (!probe || !activeKinds(state, health).includes(kind)) return state;
  const last = state.streaks[kind];
  const count = last?.ok === result.ok ? last.count + 1 : 1;
  const next: ProbeState = {...state, streaks: {...state.streaks, [kind]: {ok: result.ok, count}}};
  return result.ok ? afterSuccess(next, kind, probe, count, health) : afterFailure(next, kind, probe, count, result.message);
}

export function verdictOf({ready, restart, message}: ProbeState): Verdict {
  return {ready, message, ...(restart ? {restart} : {})};
}

function afterSuccess(state: ProbeState, kind: Kind, probe: Probe, count: number, health: HealthSpec): ProbeState {
  if (count < probe.successes) return state;
  if (kind === 'startup') return {...state, started: true, ready: health.readiness === undefined, message: ''};
  return kind === 'readiness' ? {...state, ready: true, message: ''} : state;
}

function afterFailure(state: ProbeState, kind: Kind, probe: Probe, count: number, seen: string): ProbeState {
  const message = `${kind} probe: ${seen}`;
  if (count < probe.failures) return kind === 'liveness' || state.ready ? state : {...state, message};
  if (kind === 'readiness') return {...state, ready: false, message};
  return {...state, ready: false, message, restart: {reason: 'Unhealthy', message: `${message}, ${count} times in a row`}};
}
