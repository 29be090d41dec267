/**
 * What must never run twice, on a machine that does not hear the control plane (law 10): nobody can tell it that another copy
 * has begun elsewhere, so after the length of the fencing lease it takes that for granted. A copy with `onIsolation: stop`
 * stops then; with `keep` it runs on, but is not started again. Pure.
 */
import {type ContainerRecord, fencingOf} from '@hivemind/contracts';

export interface Contact {
  /** ms since the last heartbeat that was answered was sent. */
  readonly silentMs: number;
  /** The assignment was given under the present session: what it lists may still be started. */
  readonly current: boolean;
}

export interface Isolation {
  readonly mayStart: boolean;
  readonly mustStop: boolean;
  /** ms until that may have changed. */
  readonly againInMs: number;
}

/** Until it is looked again whether the control plane is heard, ms. */
const LOOK_AGAIN_MS = 500;

/** Undefined: two copies are no harm. */
export function isolationOf(record: ContainerRecord, {silentMs, current}: Contact): Isolation | undefined {
  const fencing = fencingOf(record.template);
  if (fencing === undefined) return undefined;
  const lapsed = silentMs >= fencing.leaseMs;
  return {
    mayStart: !lapsed && current,
    mustStop: lapsed && fencing.onIsolation === 'stop',
    againInMs: lapsed || !current ? LOOK_AGAIN_MS : Math.ceil(fencing.leaseMs - silentMs),
  };
}
