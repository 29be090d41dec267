/** A program under test as a process: started, killed, frozen and started again with the same words. */
import type {ChildProcess} from 'node:child_process';
import {once} from 'node:events';
import {appendFileSync, existsSync, readFileSync} from 'node:fs';
import {resolve} from 'node:path';
import {waitFor} from '@hivemind/testkit';

export interface ProgramOptions {
  readonly name: string;
  /** Its stdout and stderr are pipes. */
  readonly spawn: () => ChildProcess;
  /** Where what it says is kept, over all its lives. */
  readonly log: string;
  /** On its stdout, once it serves. */
  readonly ready: RegExp;
  /** Where it gives up, it is started again, as by a supervisor. */
  readonly supervised?: boolean;
}

/** From its end to its next start by the supervisor, ms. */
const AGAIN_MS = 500;

/** A busy computer takes its time to start a dozen programs. */
const READY_MS = 180_000;

/**
 * The source is compiled once for all processes; jest's flags are not for a child. A cluster has no network of its own until a test
 * asks for one.
 */
export const programEnv: Readonly<Record<string, string | undefined>> = {
  ...process.env,
  NODE_OPTIONS: '',
  HIVEMIND_NETWORK_BACKEND: 'none',
  NODE_COMPILE_CACHE: resolve(import.meta.dirname, '../../../node_modules/.cache/hivemind-programs'),
};

export class Program {
  readonly name: string;
  readonly #options: ProgramOptions;
  #child: ChildProcess | undefined;
  #isAsked = false;
  #hasServed = false;
  #again: NodeJS.Timeout | undefined;
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

  /** Each time that it ended by itself after it had served, with which code or signal. */
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
    clearTimeout(this.#again);
    const {spawn, log, ready} = this.#options;
    const child = spawn();
    this.#child = child;
    this.#isAsked = false;
    this.#hasServed = false;
    for (const stream of [child.stdout, child.stderr]) stream?.on('data', (chunk: Buffer) => appendFileSync(log, chunk));
    let said = '';
    child.stdout?.on('data', (chunk: Buffer) => {
      said += chunk.toString();
      if (ready.test(said)) this.#hasServed = true;
    });
    child.once('exit', (code, signal) => {
      // What kills its machine kills by SIGKILL, as nothing of its own does.
      if (child !== this.#child || this.#isAsked || signal === 'SIGKILL') return;
      if (this.#hasServed) this.#falls.push(`${code ?? signal}`);
      if (this.#options.supervised === true) this.#again = setTimeout(() => this.launch(), AGAIN_MS).unref();
    });
  }

  /** Resolves when it serves. Nothing where it runs. */
  async start(): Promise<void> {
    if (this.isRunning) return;
    this.launch();
    const {name, supervised = false} = this.#options;
    await waitFor(() => this.#hasServed || !(this.isRunning || supervised), {what: `${name} to serve`, deadlineMs: READY_MS}).catch((error: unknown) => {
      throw new Error(`${String(error)}:\n${this.#tail()}`);
    });
    if (!this.#hasServed) throw new Error(`${name} ended with ${this.#child?.exitCode ?? this.#child?.signalCode}:\n${this.#tail()}`);
  }

  /** Resolves when it has ended, whatever ended it. */
  async ended(): Promise<void> {
    if (this.#child && this.isRunning) await once(this.#child, 'exit');
  }

  async end(signal: NodeJS.Signals): Promise<void> {
    this.#isAsked = true;
    clearTimeout(this.#again);
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
