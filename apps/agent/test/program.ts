/** A program under test as a process: started, killed, frozen and started again with the same words. */
import type {ChildProcess} from 'node:child_process';
import {once} from 'node:events';
import {appendFileSync, existsSync, readFileSync} from 'node:fs';
import {resolve} from 'node:path';

export interface ProgramOptions {
  readonly name: string;
  /** Its stdout and stderr are pipes. */
  readonly spawn: () => ChildProcess;
  /** Where what it says is kept, over all its lives. */
  readonly log: string;
  /** On its stdout, once it serves. */
  readonly ready: RegExp;
}

const READY_MS = 60_000;

/** The source is compiled once for all processes; jest's flags are not for a child. */
export const programEnv: Readonly<Record<string, string | undefined>> = {
  ...process.env,
  NODE_OPTIONS: '',
  NODE_COMPILE_CACHE: resolve(import.meta.dirname, '../../../node_modules/.cache/hivemind-programs'),
};

export class Program {
  readonly name: string;
  readonly #options: ProgramOptions;
  #child: ChildProcess | undefined;
  #isAsked = false;
  readonly #falls: string[] = [];

  constructor(options: ProgramOptions) {
    this.name = options.name;
    this.#options = options;
  }

  /** 0 where it does not run. */
  get pid(): number {
    return this.isRunning ? (this.#child?.pid ?? 0) : 0;
  }

  get isRunning(): boolean {
    return this.#child !== undefined && this.#child.exitCode === null && this.#child.signalCode === null;
  }

  /** Each time that it ended by itself, with which code or signal. What kills its machine kills by SIGKILL, as nothing of its own does. */
  get falls(): readonly string[] {
    return this.#falls;
  }

  /** All that it said so far. */
  log(): string {
    return existsSync(this.#options.log) ? readFileSync(this.#options.log, 'utf8') : '';
  }

  /** Starts it without waiting until it serves. Nothing where it runs. */
  launch(): void {
    if (this.isRunning) return;
    const child = this.#options.spawn();
    this.#child = child;
    this.#isAsked = false;
    child.once('exit', (code, signal) => {
      if (!this.#isAsked && signal !== 'SIGKILL') this.#falls.push(`${code ?? signal}`);
    });
    for (const stream of [child.stdout, child.stderr]) stream?.on('data', (chunk: Buffer) => appendFileSync(this.#options.log, chunk));
  }

  /** Resolves when it serves. */
  async start(): Promise<void> {
    if (this.isRunning) return;
    this.launch();
    const child = this.#child!;
    const {name, ready} = this.#options;
    let said = '';
    const deadline = AbortSignal.timeout(READY_MS);
    await new Promise<void>((resolve, reject) => {
      child.stdout?.on('data', (chunk: Buffer) => {
        said += chunk.toString();
        if (ready.test(said)) resolve();
      });
      child.once('error', reject);
      child.once('exit', (code, signal) => reject(new Error(`${name} ended with ${code ?? signal}:\n${this.#tail()}`)));
      deadline.addEventListener('abort', () => reject(new Error(`${name} does not serve after ${READY_MS / 1000} s:\n${this.#tail()}`)));
    });
  }

  /** Resolves when it has ended, whatever ended it. */
  async ended(): Promise<void> {
    if (this.#child && this.isRunning) await once(this.#child, 'exit');
  }

  async end(signal: NodeJS.Signals): Promise<void> {
    if (this.isRunning) this.#isAsked = true;
    this.#child?.kill(signal);
    // A frozen one takes no other signal than this.
    this.#child?.kill('SIGCONT');
    await this.ended();
  }

  kill(): Promise<void> {
    return this.end('SIGKILL');
  }

  stop(): Promise<void> {
    return this.end('SIGTERM');
  }

  /** Nothing of it runs until `resume`; its sockets stay open. */
  freeze(): void {
    this.#child?.kill('SIGSTOP');
  }

  resume(): void {
    this.#child?.kill('SIGCONT');
  }

  #tail(): string {
    return this.log().split('\n').slice(-20).join('\n');
  }
}
