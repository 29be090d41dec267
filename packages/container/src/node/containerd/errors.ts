/** What containerd and runc say, as errors of the runtime port. */
import {HivemindError} from '@hivemind/contracts';
import {runtimeErrors} from '@hivemind/runtime';
import {missingCommand} from '../missing-command.ts';
import {isStatus, wordsOf} from './api/client.ts';

/** @param what Begins the sentence: "Starting web-x1". */
export function containerdError(error: unknown, what: string, socketPath: string): HivemindError {
  if (error instanceof HivemindError) return error;
  const said = wordsOf(error);
  const details = {cause: error};
  if (isStatus(error, 'UNAVAILABLE', 'DEADLINE_EXCEEDED', 'CANCELLED')) {
    const hint = /EACCES/.test(said) ? 'This user may not open it: run as root.' : 'Is containerd running?';
    return runtimeErrors['runtime-unavailable'](`containerd at ${socketPath} does not answer (${/\bE[A-Z]{3,}\b/.exec(said)?.[0] ?? said}). ${hint}`, details);
  }
  const command = missingCommand(said);
  if (command !== undefined) return runtimeErrors['start-failed'](`${what} failed: ${command}`, details);
  if (/OCI runtime|runc |failed to (create shim|mount|start)|mount|no such (user|group)|invalid argument/i.test(said) || isStatus(error, 'INVALID_ARGUMENT')) {
    return runtimeErrors['start-failed'](`${what} failed: ${said}.`, details);
  }
  if (isStatus(error, 'NOT_FOUND')) return runtimeErrors['container-not-found'](`${what} failed: containerd has no such container.`, details);
  if (isStatus(error, 'ALREADY_EXISTS', 'FAILED_PRECONDITION')) return runtimeErrors['runtime-conflict'](`${what} failed: ${said}.`, details);
  return runtimeErrors['runtime-failed'](`${what} failed: ${said}.`, details);
}

/** Asks containerd, and says what went wrong as an error of the runtime port. */
export async function asking<T>(socketPath: string, what: string, ask: () => Promise<T>): Promise<T> {
  try {
    return await ask();
  } catch (error) {
    throw containerdError(error, what, socketPath);
  }
}
