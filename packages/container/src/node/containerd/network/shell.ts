/**
 * A shell that is kept, for what each start of a container runs: to start a program from a process as large as an agent takes
 * tens of milliseconds, in which it does nothing else, and from a shell less than one. It ends with the agent, as its input does.
 */
import {type ChildProcessWithoutNullStreams, spawn} from 'node:child_process';
import {missingProgram, programs} from './command.ts';

/** What hangs is ended after so long (ms), with the shell. */
const WITHIN_MS = 20_000;
const MARK = '--hivemind-done--';

interface Waiting {
  readonly script: string;
  resolve(): void;
  reject(error: Error): void;
}

export class Shell {
  #child: ChildProcessWithoutNullStreams | undefined;
  #said = '';
  #timer: NodeJS.Timeout | undefined;
  readonly #queue: Waiting[] = [];

  /** Runs each after the one before, until one fails. @throws what they said */
  run(...commands: readonly string[]): Promise<void> {
    return new Promise((resolve, reject) => {
      this.#queue.push({script: commands.join('[ $? = 0 ] && '), resolve, reject});
      if (this.#queue.length === 1) this.#next();
    });
  }

  close(): void {
    this.#child?.stdin.end();
  }

  #next(): void {
    const [first] = this.#queue;
    if (first === undefined) return;
    this.#said = '';
    const child = (this.#child ??= this.#start());
    child.ref();
    this.#timer = setTimeout(() => child.kill('SIGKILL'), WITHIN_MS);
    child.stdin.write(`{ ${first.script}} 2>&1\nprintf '%s %s\\n' ${MARK} $?\n`);
  }

  #start(): ChildProcessWithoutNullStreams {
    const child = spawn('sh', [], {stdio: ['pipe', 'pipe', 'pipe'], env: programs});
    child.stdout.setEncoding('utf8').on('data', (text: string) => this.#hear(text));
    child.stderr.resume();
    child.stdin.on('error', () => undefined);
    child.once('error', (error) => this.#ended(child, error.message));
    child.once('close', () => this.#ended(child, `${this.#said.trim()} (it did not end in time)`));
    // Idle, it holds nobody up.
    child.unref();
    for (const stream of [child.stdin, child.stdout, child.stderr]) if ('unref' in stream && typeof stream.unref === 'function') stream.unref();
    return child;
  }

  #hear(text: string): void {
    this.#said += text;
    const at = this.#said.indexOf(`${MARK} `);
    if (at < 0 || !this.#said.endsWith('\n')) return;
    const status = Number(this.#said.slice(at + MARK.length + 1));
    const words = this.#said.slice(0, at).trim().replaceAll(/\s*\n\s*/g, '; ');
    const missing = /^sh: \d+: (\S+): not found$/.exec(words)?.[1];
    this.#settle(status === 0 ? undefined : missing === undefined ? new Error(words || `exit status ${status}`) : missingProgram(missing));
  }

  #ended(child: ChildProcessWithoutNullStreams, why: string): void {
    if (this.#child !== child) return;
    this.#child = undefined;
    if (this.#queue.length > 0) this.#settle(new Error(why));
  }

  #settle(error: Error | undefined): void {
    clearTimeout(this.#timer);
    this.#child?.unref();
    const done = this.#queue.shift();
    if (error) done?.reject(error);
    else done?.resolve();
    this.#next();
  }
}
