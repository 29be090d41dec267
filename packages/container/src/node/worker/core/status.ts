/** What is reported of a container: from what the engine has, what is remembered and what is being done. */
import type {ContainerPhase, ContainerStatus} from '@hivemind/contracts';
import type {Action} from './steps.ts';
import type {Situation} from './plan.ts';

const phaseOfAction: Partial<Record<Action, ContainerPhase>> = {pull: 'pulling', create: 'creating', start: 'starting', drain: 'stopping', stop: 'stopping', remove: 'stopping'};

/** @param doing the step that runs; `progress` is the pull's */
export function statusOf(situation: Situation, doing: Action | undefined, progress: string | undefined): ContainerStatus {
  const {record, observed, memory} = situation;
  const phase = (doing && phaseOfAction[doing]) ?? restingPhase(situation);
  const running = phase === 'running';
  // It is still reached, and reaches others, while its last connections go on.
  const isReached = running || doing === 'drain';
  const hasProbes = record?.template.health.startup !== undefined || record?.template.health.readiness !== undefined;
  const ready = running && (memory.ready || !hasProbes);
  const waiting = memory.outcome === undefined && !running && doing === undefined && memory.notBefore > 0;
  const cause = memory.outcome ?? (running ? undefined : memory.trouble);
  return {
    phase,
    ready,
    readySince: ready ? (memory.readySince ?? observed?.startedAt) : undefined,
    ip: isReached ? observed?.ip : undefined,
    ports: isReached ? [...(observed?.ports ?? [])] : [],
    restarts: memory.restarts,
    exitCode: memory.exitCode,
    reason: cause?.reason ?? (running && memory.trouble && memory.restarts > 0 ? 'Restarted' : ''),
    message: cause?.message ?? (doing === 'drain' ? 'draining: it stops when its connections are over' : messageOfRunning(situation, running)),
    runtimeId: observed?.runtimeId,
    startedAt: observed?.startedAt,
    finishedAt: running ? undefined : (memory.finishedAt ?? observed?.finishedAt),
    nextAttemptAt: waiting ? new Date(memory.notBefore).toISOString() : undefined,
    lastLogs: memory.lastLogs === undefined ? undefined : [...memory.lastLogs],
    progress: doing === 'pull' ? progress : undefined,
  };
}

function restingPhase({observed, memory}: Situation): ContainerPhase {
  if (observed?.state === 'running' || observed?.state === 'paused') return memory.drained ? 'stopping' : 'running';
  if (memory.outcome) return memory.outcome.phase;
  return memory.ran ? 'exited' : 'pending';
}

function messageOfRunning({observed, memory}: Situation, running: boolean): string {
  if (!running) return '';
  if (observed?.state === 'paused') return 'paused in the engine';
  if (memory.verdict !== undefined) return memory.verdict;
  return memory.trouble && memory.restarts > 0 ? `restarted after: ${memory.trouble.message}` : '';
}
