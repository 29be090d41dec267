/** The command as tests run it: in this process, with streams, environment and directory of their own. */
import {PassThrough} from 'node:stream';
import {branches} from '../src/branches.ts';
import {run} from '../src/program.ts';
import type {Terminal} from '../src/terminal.ts';

export interface Outcome {
  readonly status: number;
  readonly out: string;
  readonly err: string;
}

export interface CommandOptions {
  readonly env?: Readonly<Record<string, string>>;
  readonly cwd?: string;
  readonly home?: string;
  /** Standard input. */
  readonly input?: string;
  readonly now?: () => number;
}

export class Command implements Terminal {
  readonly in = new PassThrough();
  readonly out = new PassThrough();
  readonly err = new PassThrough();
  readonly env: Readonly<Record<string, string>>;
  readonly cwd: string;
  readonly home: string;
  readonly now: () => number;
  #out = '';
  #err = '';

  constructor({env = {}, cwd = '/nowhere', home = '/nowhere', input, now = Date.now}: CommandOptions = {}) {
    this.env = env;
    this.cwd = cwd;
    this.home = home;
    this.now = now;
    this.out.on('data', (chunk: Buffer) => (this.#out += chunk.toString('utf8')));
    this.err.on('data', (chunk: Buffer) => (this.#err += chunk.toString('utf8')));
    if (input !== undefined) this.in.end(input);
  }

  /** What was printed so far. */
  get printed(): {readonly out: string; readonly err: string} {
    return {out: this.#out, err: this.#err};
  }

  async run(argv: readonly string[]): Promise<Outcome> {
    const status = await run(argv, this, branches);
    // What was written is read before it is looked at.
    await Promise.all([this.out, this.err].map((stream) => new Promise((resolve) => stream.end(() => setImmediate(resolve)))));
    return {status, ...this.printed};
  }
}

/** `words` are split at spaces. */
export function hivemind(words: string | readonly string[], options: CommandOptions = {}): Promise<Outcome> {
  return new Command(options).run(typeof words === 'string' ? words.split(' ').filter((word) => word !== '') : words);
}
