/** The sidecar as a process of its own, in a group of its own: neither the agent's end nor its signals reach it. */
import {type ChildProcess, spawn} from 'node:child_process';
import {existsSync} from 'node:fs';
import {open, rename, stat} from 'node:fs/promises';
import {dirname, join} from 'node:path';
import {fileURLToPath} from 'node:url';
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
  const child = spawn(process.execPath, [...programOf(), ...wordsOf(settings)], {detached: true, stdio: ['ignore', log.fd, log.fd], cwd: '/'});
  child.unref();
  return {pid: child.pid ?? 0, ended: endOf(child)};
}

/** The lean program where a release has it, or the command that is run now; from source its entry. */
function programOf(): readonly string[] {
  const source = fileURLToPath(new URL('../../../sidecar/src/main.ts', import.meta.url));
  if (import.meta.url.endsWith('/sidecar/program.ts') && existsSync(source)) return [source];
  const command = process.argv[1] ?? '';
  const own = dirname(command);
  const lean = [own, dirname(own)].map((dir) => join(dir, 'sidecar.js')).find(existsSync);
  return [lean ?? command];
}

function endOf(child: ChildProcess): Promise<string> {
  return new Promise((resolve) => {
    child.once('error', (error) => resolve(error.message));
    child.once('exit', (code, signal) => resolve(`it ended with ${code ?? signal}`));
  });
}
