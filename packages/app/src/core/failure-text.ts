/** What went wrong with a container, in one message: cause, exit code, last output, and what happens next. */
import type {ContainerView} from '../model.ts';

/** Lines of its last output that are shown. */
const SHOWN_LINES = 5;

export function failureText({record, status}: ContainerView): string {
  if (status === undefined) return `${record.id}: nothing is known yet`;
  const parts = [
    status.message === '' ? status.reason : status.message,
    status.exitCode === undefined ? '' : `exit code ${status.exitCode}`,
    status.restarts === 0 ? '' : `restarted ${status.restarts} times`,
    status.nextAttemptAt === undefined ? '' : `next attempt at ${status.nextAttemptAt}`,
  ].filter((part) => part !== '');
  const output = status.lastLogs?.slice(-SHOWN_LINES) ?? [];
  return `${record.id} on ${record.node}: ${parts.join('; ')}${output.length === 0 ? '' : `. Last output:\n${output.join('\n')}`}`;
}
