/** `hivemind service NAME` from source as a process, to be killed. It ends with this process, however that ends. */
import {spawn, type ChildProcess} from 'node:child_process';
import {once} from 'node:events';
import {resolve} from 'node:path';

const main = resolve(import.meta.dirname, '../../cli/src/main.ts');

export interface ServiceProcess {
  readonly name: string;
  readonly pid: number;
  /** Where it listens. */
  readonly url: string;
  /** Its log so far, JSON lines. */
  log(): string;
  /** Sends the signal; answers the exit code, or null, once it has ended. */
  end(signal: NodeJS.Signals): Promise<number | null>;
}

/** Resolves when it serves. */
export async function startServiceProcess(name: string, args: readonly string[], env: Readonly<Record<string, string>> = {}): Promise<ServiceProcess> {
  const child = spawn('setpriv', ['--pdeathsig', 'KILL', '--', process.execPath, main, 'service', name, ...args], {env: {...process.env, NODE_OPTIONS: '', ...env}, stdio: ['ignore', 'pipe', 'pipe']});
  let log = '';
  child.stderr.on('data', (chunk: Buffer) => (log += chunk.toString()));
  const url = await new Promise<string>((ready, failed) => {
    let out = '';
    child.stdout.on('data', (chunk: Buffer) => {
      out += chunk.toString();
      const found = /listens at (\S+)/.exec(out)?.[1];
      if (found) ready(found);
    });
    child.once('exit', (code) => failed(new Error(`hivemind service ${name} ended with ${code}:\n${log}`)));
    child.once('error', failed);
  });
  return {name, pid: child.pid ?? 0, url, log: () => log, end: (signal) => end(child, signal)};
}

async function end(child: ChildProcess, signal: NodeJS.Signals): Promise<number | null> {
  if (child.exitCode !== null || child.signalCode !== null) return child.exitCode;
  const exited = once(child, 'exit');
  child.kill(signal);
  await exited;
  return child.exitCode;
}
