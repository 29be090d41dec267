/** What a container's report means to its app. */
import type {ContainerTemplate} from '@hivemind/contracts';
import type {ContainerView} from '../model.ts';

/** Told to go by nobody. */
export function isLive({record}: ContainerView): boolean {
  return record.removedAt === undefined;
}

export function isRunning({status}: ContainerView): boolean {
  return status?.phase === 'running';
}

export function isReady({status}: ContainerView): boolean {
  return status?.phase === 'running' && status.ready;
}

/** It ran to its end as it should: of a job, or where the policy is not to start it again. */
export function isFinished({record, status}: ContainerView): boolean {
  return status?.phase === 'exited' && status.exitCode === 0 && mayFinish(record);
}

function mayFinish({mode, template}: {readonly mode: 'replicated' | 'job'; readonly template: Pick<ContainerTemplate, 'restart'>}): boolean {
  return mode === 'job' || template.restart.policy !== 'always';
}

/** Reasons that a container on its way may show. */
const harmless = new Set(['', 'Completed', 'Pulling', 'Creating', 'Starting', 'NotReady', 'Waiting']);

/** It fails, for a while or for good. */
export function isFailing(view: ContainerView): boolean {
  const {status} = view;
  if (status === undefined || isReady(view) || isFinished(view)) return false;
  if (status.phase === 'failed') return true;
  if (status.phase === 'exited') return true;
  return status.phase !== 'stopping' && status.phase !== 'removed' && !harmless.has(status.reason);
}

/** It fails and nobody will start it again. */
export function isGivenUp(view: ContainerView): boolean {
  const phase = view.status?.phase;
  return isFailing(view) && view.status?.nextAttemptAt === undefined && (phase === 'failed' || phase === 'exited') && view.record.template.restart.policy !== 'always';
}
