/** Programs of the machine that change its network: `ip`, `nft`, `iptables` and `nsenter`, each run to its end. */
import {spawn} from 'node:child_process';
import {runtimeErrors} from '@hivemind/runtime';

/** What hangs is ended after so long (ms). */
const WITHIN_MS = 20_000;
/** Debian keeps them there, and not in everybody's PATH. */
export const programs = {...process.env, LC_ALL: 'C', PATH: `${process.env.PATH ?? ''}:/usr/sbin:/sbin`};
const packages: Readonly<Record<string, string>> = {ip: 'iproute2', nft: 'nftables', iptables: 'iptables', nsenter: 'util-linux'};

/** @returns what it printed. @throws `start-failed` where there is no such program; an Error with what it said where it fails */
export function run(program: string, args: readonly string[], input = ''): Promise<string> {
  return new Promise((resolve, reject) => {
    const child = spawn(program, args, {stdio: ['pipe', 'pipe', 'pipe'], env: programs, timeout: WITHIN_MS, killSignal: 'SIGKILL'});
    let [stdout, stderr] = ['', ''];
    child.stdout.setEncoding('utf8').on('data', (text: string) => (stdout += text));
    child.stderr.setEncoding('utf8').on('data', (text: string) => (stderr += text));
    child.stdin.on('error', () => undefined).end(input);
    child.once('error', (error: NodeJS.ErrnoException) => {
      reject(error.code === 'ENOENT' ? missingProgram(program, error) : error);
    });
    child.once('close', (status) => (status === 0 ? resolve(stdout) : reject(new Error(`${program}: ${stderr.trim().replaceAll(/\s*\n\s*/g, '; ') || 'it did not end in time'}`))));
  });
}

/** A command of `ip -batch`, for a shell. @param within a process whose network namespace is meant; this machine's own when absent */
export function ipLines(lines: readonly string[], within?: number): string {
  return piped(`${within === undefined ? '' : `nsenter --net=/proc/${within}/ns/net -- `}ip -batch -`, lines.join('\n'));
}

/** Lines for `ip -batch`, of this machine. */
export async function ip(lines: readonly string[]): Promise<void> {
  await run('ip', ['-batch', '-'], `${lines.join('\n')}\n`);
}

const END = 'HIVEMIND_END';
/** `program words <<input`, to be run by a shell. The words are ours; the input is taken as it is. */
export function piped(command: string, input: string): string {
  return `${command} <<'${END}'\n${input.trimEnd()}\n${END}\n`;
}

export function missingProgram(program: string, cause?: unknown): Error {
  return runtimeErrors['start-failed'](`The command ${program} is missing on this machine: install ${packages[program] ?? program}.`, {cause});
}
