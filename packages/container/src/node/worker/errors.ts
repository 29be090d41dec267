import {defineErrors, HivemindError} from '@hivemind/contracts';
import type {Cause} from './core/memory.ts';

export const workerErrors = defineErrors({
  'not-registered': {status: 503, title: 'The node is not registered with the control plane', retryable: true},
  'unassigned': {status: 404, title: 'The node has no such container'},
});

/** Why a step failed, as the status shows it. */
export function causeOf(error: unknown): Cause {
  if (!(error instanceof HivemindError)) return {reason: 'InternalError', message: 'something broke in the agent; its log has the cause'};
  return {reason: error.code.replace(/(?:^|-)([a-z])/g, (_, letter: string) => letter.toUpperCase()), message: error.message};
}
