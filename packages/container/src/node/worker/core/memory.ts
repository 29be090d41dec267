/**
 * What the worker remembers of one container between two looks, and how each thing that happens to it moves that.
 * A crash is answered at once the first time; from then on each further one waits twice as long as the last, until the
 * container has run for ten times its delay.
 */
import {type ContainerRecord, durationMs} from '@hivemind/contracts';

export interface Cause {
  /** One CamelCase word, as in the status. */
  readonly reason: string;
  readonly message: string;
}

export interface Memory {
  /** Times that it was started again. */
  readonly restarts: number;
  /** Exits and failed attempts in a row. */
  readonly streak: number;
  /** Not created or started before; ms since the epoch. */
  readonly notBefore: number;
  /** It ran before: the next start is a restart. */
  readonly ran: boolean;
  /** The last exit was acted on. */
  readonly judged: boolean;
  /** The hooks know that it runs. */
  readonly watched: boolean;
  /** The engine said that it lacks the image: pull before the next create. */
  readonly imageMissing: boolean;
  /** The image was pulled for the create to come (`pull.policy: always`). */
  readonly pulled: boolean;
  /** Nobody is led to it any more, or too long somebody was: it may be stopped. */
  readonly drained: boolean;
  /** It is to be stopped and started again, and why. */
  readonly restart?: Cause;
  /** It is over: never started again. */
  readonly outcome?: Cause & {readonly phase: 'exited' | 'failed'};
  /** What went wrong last; gone when it runs again for long enough to be shown as running. */
  readonly trouble?: Cause;
  readonly exitCode?: number;
  readonly finishedAt?: string;
  readonly lastLogs?: readonly string[];
  readonly ready: boolean;
  readonly readySince?: string;
  /** The probes' own words. */
  readonly verdict?: string;
}

export const blankMemory: Memory = {
  restarts: 0, streak: 0, notBefore: 0, ran: false, judged: false, watched: false, imageMissing: false, pulled: false, drained: false, ready: false,
};

/** A run shorter than this (ms) never ends a streak. */
const STEADY_MS = 10_000;

/** Delay before the attempt that follows the `failures`th failure in a row: none, initial, twice that … max. */
export function backoffMs(failures: number, record: ContainerRecord): number {
  if (failures <= 0) return 0;
  const {initial, max} = record.template.restart.backoff;
  return Math.min(durationMs(initial) * 2 ** Math.min(failures - 1, 30), durationMs(max));
}

export interface Exit {
  readonly exitCode: number;
  readonly oomKilled: boolean;
  /** RFC 3339; unknown when it never ran. */
  readonly startedAt?: string;
  readonly finishedAt?: string;
}

/** Its main process ended by itself. */
export function afterExit(memory: Memory, exit: Exit, record: ContainerRecord, now: number): Memory {
  const ranMs = Math.max(0, Date.parse(exit.finishedAt ?? '') - Date.parse(exit.startedAt ?? '')) || 0;
  const steady = ranMs >= Math.max(STEADY_MS, 10 * backoffMs(memory.streak - 1, record));
  const streak = steady ? 1 : memory.streak + 1;
  const cause = causeOfExit(exit);
  return {
    ...silenced(memory),
    ran: true,
    judged: true,
    streak,
    notBefore: now + backoffMs(streak - 1, record),
    exitCode: exit.exitCode,
    finishedAt: exit.finishedAt,
    trouble: streak > 1 && cause.reason !== 'OutOfMemory' ? {reason: 'CrashLoop', message: cause.message} : cause,
    outcome: outcomeOf(memory, exit.exitCode === 0, cause, record),
  };
}

/** An attempt to pull, create or start it failed. */
export function afterFailure(memory: Memory, cause: Cause, record: ContainerRecord, now: number): Memory {
  const streak = memory.streak + 1;
  const finished = cause.reason === 'StartFailed' ? outcomeOf(memory, false, cause, record) : undefined;
  return {...silenced(memory), streak, notBefore: now + backoffMs(streak, record), trouble: cause, outcome: finished, pulled: false};
}

/** A probe says that it must be restarted. */
export function afterUnhealthy(memory: Memory, cause: Cause, record: ContainerRecord, now: number): Memory {
  const streak = memory.streak + 1;
  return {
    ...memory,
    ready: false, readySince: undefined,
    streak,
    notBefore: now + backoffMs(streak - 1, record),
    restart: cause,
    trouble: cause,
    outcome: outcomeOf(memory, false, cause, record),
  };
}

/** A person asked for a restart: at once, whatever its back-off. @param cause undefined when it does not run now */
export function afterRestartRequest(memory: Memory, cause: Cause | undefined): Memory {
  return {...memory, streak: 0, notBefore: 0, restart: cause, outcome: undefined, trouble: undefined};
}

/** What an earlier process knew of it. */
export function recalled(memory: Memory, past: Pick<Memory, 'restarts' | 'outcome' | 'exitCode' | 'finishedAt'> | undefined): Memory {
  return past ? {...memory, restarts: past.restarts, outcome: past.outcome, exitCode: past.exitCode, finishedAt: past.finishedAt, ran: true} : memory;
}

/** The worker stopped it. */
export function afterStop(memory: Memory, finishedAt: string): Memory {
  return {...silenced(memory), ran: true, judged: true, restart: undefined, finishedAt};
}

/** The engine started it. */
export function afterStart(memory: Memory): Memory {
  return {...memory, restarts: memory.ran ? memory.restarts + 1 : memory.restarts, ran: true, judged: false, restart: undefined, outcome: undefined, pulled: false};
}

/** It is seen running, started by whomever. */
export function seenRunning(memory: Memory): Memory {
  if (memory.restart) return memory;
  return memory.ran && !memory.judged && memory.outcome === undefined ? memory : {...memory, ran: true, judged: false, outcome: undefined};
}

/** The probes' verdict on whether it may get traffic. */
export function afterVerdict(memory: Memory, ready: boolean, message: string, now: number): Memory {
  const readySince = ready ? (memory.ready ? memory.readySince : new Date(now).toISOString()) : undefined;
  return {...memory, ready, readySince, verdict: message === '' ? undefined : message};
}

function silenced(memory: Memory): Memory {
  return {...memory, ready: false, readySince: undefined, verdict: undefined, watched: false};
}

function causeOfExit({exitCode, oomKilled}: Exit): Cause {
  if (oomKilled) return {reason: 'OutOfMemory', message: `killed for using more memory than its limit, exit code ${exitCode}`};
  return exitCode === 0 ? {reason: 'Completed', message: 'its main process ended'} : {reason: 'Exited', message: `exited with code ${exitCode}`};
}

/** What an end means for good, by mode and restart policy; undefined: it is started again. */
function outcomeOf(memory: Memory, succeeded: boolean, cause: Cause, record: ContainerRecord): Memory['outcome'] {
  const {policy, attempts} = record.template.restart;
  if (succeeded) {
    const over = record.mode === 'job' || policy !== 'always';
    return over ? {phase: 'exited', reason: 'Completed', message: cause.message} : undefined;
  }
  if (policy === 'never') return {phase: 'failed', ...cause};
  if (policy === 'on-failure' && attempts !== undefined && memory.restarts >= attempts) {
    return {phase: 'failed', reason: cause.reason, message: `${cause.message}; gave up after ${attempts} restarts`};
  }
  return undefined;
}
