/** Programs of the machine: `ip`, `bridge`, `nft` and `iptables`, each run to its end. */
import {spawn, type SpawnOptions} from 'node:child_process';

export interface Outcome {
  /** null: it could not be started, or a signal ended it. */
  readonly status: number | null;
  readonly stdout: string;
  readonly stderr: string;
  /** There is no such program, or none that may be run. */
  readonly missing: boolean;
}

/** What hangs is ended after so long (ms). */
const WITHIN_MS = 10_000;
/** Debian keeps them in the last two, which are not in everybody's PATH. */
export const searchPath = (): string => `${process.env.PATH ?? ''}:/usr/sbin:/sbin`;
const env = {...process.env, LC_ALL: 'C', PATH: searchPath()};

/** @param how where it is otherwise than for the others */
export function run(program: string, args: readonly string[], input = '', how: Pick<SpawnOptions, 'detached' | 'cwd' | 'env'> = {}): Promise<Outcome> {
  return new Promise((resolve) => {
    const child = spawn(program, args, {stdio: ['pipe', 'pipe', 'pipe'], env, timeout: WITHIN_MS, killSignal: 'SIGKILL', ...how});
    let [stdout, stderr] = ['', ''];
    child.stdout.setEncoding('utf8').on('data', (text: string) => (stdout += text));
    child.stderr.setEncoding('utf8').on('data', (text: string) => (stderr += text));
    child.stdin.on('error', () => undefined).end(input);
    child.once('error', (error: NodeJS.ErrnoException) => resolve({status: null, stdout, stderr: error.message, missing: error.code === 'ENOENT' || error.code === 'EACCES'}));
    child.once('close', (status) => resolve({status, stdout, stderr, missing: false}));
  });
}
