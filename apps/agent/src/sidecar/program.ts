/** The sidecar as a process of its own, in a group of its own: neither the agent's end nor its signals reach it. */
import {type ChildProcess, spawn} from 'node:child_process';
import {open, rename, stat} from 'node:fs/promises';
import {join} from 'node:path';
import {leanEnvironment, sidecarNodeFlags, sidecarProgram} from '@hivemind/sidecar/program';
import {type SidecarSettings, wordsOf} from './settings.ts';

/** Bytes of its log after which it is begun anew, the old one beside it. */
const LOG_BYTES = 1_000_000;

export interface StartedProgram {
  readonly pid: number;
  /** Resolves when it has ended, with why; it never has to. */
  readonly ended: Promise<string>;
}

/** Its log is `sidecar/sidecar.log` of the data dir. */
export async function launchSidecar(settings: SidecarSettings): Promise<StartedProgram> {
  const path = join(settings.dataDir, 'sidecar', 'sidecar.log');
  const {size} = await stat(path).catch(() => ({size: 0}));
  if (size > LOG_BYTES) await rename(path, `${path}.1`);
  await using log = await open(path, 'a', 0o600);
  const program = sidecarProgram(process.argv[1] ?? '');
  const child = spawn(process.execPath, [...sidecarNodeFlags, program, ...wordsOf(settings)], {detached: true, stdio: ['ignore', log.fd, log.fd], cwd: '/', env: leanEnvironment(process.env, settings.dataDir, program)});
  child.unref();
  return {pid: child.pid ?? 0, ended: endOf(child)};
}

function endOf(child: ChildProcess): Promise<string> {
  return new Promise((resolve) => {
    child.once('error', (error) => resolve(error.message));
    child.once('exit', (code, signal) => resolve(`it ended with ${code ?? signal}`));
  });
}
