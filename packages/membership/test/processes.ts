/** Children that talk in lines of JSON, ended by pid whatever happens. */
import {type ChildProcessWithoutNullStreams, spawn} from 'node:child_process';
import {once} from 'node:events';
import {fileURLToPath} from 'node:url';
import {createInterface} from 'node:readline';
import {waitFor} from '@hivemind/testkit';
import * as z from 'zod';
import type {Address} from '../src/node/index.ts';

export const Line = z.record(z.string(), z.unknown());
export type Line = z.infer<typeof Line>;

const running = new Set<Child>();

export class Child {
  readonly lines: Line[] = [];
  readonly #process: ChildProcessWithoutNullStreams;
  #errors = '';

  constructor(command: string, args: readonly string[]) {
    this.#process = spawn(command, args, {stdio: 'pipe'});
    running.add(this);
    createInterface({input: this.#process.stdout}).on('line', (line) => void this.lines.push(Line.parse(JSON.parse(line))));
    this.#process.stderr.on('data', (chunk: Buffer) => {
      this.#errors += chunk.toString();
    });
    // A command written to one that has just been killed is lost, as it should be.
    this.#process.stdin.on('error', () => undefined);
  }

  /** The first line that fits, from `after` on. */
  async line(what: string, fits: (line: Line) => boolean, deadlineMs = 15_000, after = 0): Promise<Line> {
    return waitFor(() => {
      if (this.#process.exitCode !== null) throw new Error(`it ended: ${this.#errors}`);
      return this.lines.slice(after).find(fits);
    }, {what, deadlineMs});
  }

  say(line: string): void {
    this.#process.stdin.write(`${line}\n`);
  }

  signal(signal: NodeJS.Signals): void {
    this.#process.kill(signal);
  }

  async kill(): Promise<void> {
    running.delete(this);
    if (this.#process.exitCode !== null || this.#process.signalCode !== null) return;
    const ended = once(this.#process, 'exit');
    this.#process.kill('SIGKILL');
    await ended;
  }
}

export async function killAll(): Promise<void> {
  await Promise.all([...running].map((child) => child.kill()));
}


/** Members in a process of their own, listening. */
export async function memberProcess(options: {name: string; bind: Address; join?: readonly Address[]; key?: string; count?: number; suspicionMultiplier?: number}): Promise<{child: Child; address: Address}> {
  const child = new Child(process.execPath, ['--disable-warning=ExperimentalWarning', fileURLToPath(new URL('./member-process.ts', import.meta.url)), JSON.stringify(options)]);
  const {address} = z.object({address: z.object({host: z.string(), port: z.number()})}).parse(await child.line(`${options.name} to listen`, (line) => 'address' in line, 60_000));
  return {child, address};
}
