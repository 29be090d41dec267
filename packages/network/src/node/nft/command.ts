/**
 * The command `nft`. Most changes are small, and starting it takes ten times as long as the kernel takes for one: a process is kept
 * for those, and ends when there were none for a while. It ends with the agent too, as its input does.
 */
import {type ChildProcess, spawn} from 'node:child_process';
import {networkErrors} from '../../errors.ts';

/** A table of many thousands of services is listed within it, also on a busy machine (ms). */
const WITHIN_MS = 60_000;
/** Debian keeps it in one that not everybody's PATH has. */
export const programs = {...process.env, LC_ALL: 'C', PATH: `${process.env.PATH ?? ''}:/usr/sbin:/sbin`};

export interface Nft {
  /** @throws `machine-unable` 503, with what nft says; then nothing was changed */
  apply(script: string): Promise<void>;
  /** JSON; undefined where there is no such table. @param map that one of it alone. @throws `machine-unable` 503 */
  list(table: string, map?: string): Promise<string | undefined>;
  /** Process ids of what was started here, for those who hear of changes. */
  readonly isOwn: (pid: number) => boolean;
  /** Nothing is kept any more. */
  close(): void;
}

/** Bytes that the kept process is given at most: it reads by lines, as of a person. */
const SMALL = 32_768;
/** It remembers what it was told. */
const USES = 2_000;
const IDLE_MS = 30_000;
/** Says something short that no transaction does, after all that came before was done. */
const MARK = 'describe ip ttl';
const MARKED = /payload expression, datatype \S+ \(\S+\), 8 bits\n/;

/** @param within words before the command, as in `ip netns exec m1` */
export function createNft(within: readonly string[] = []): Nft {
  /** The last ones: news of what a process did may come after its end. */
  const own: number[] = [];
  const run = (args: readonly string[], input: string): Promise<{readonly status: number | null; readonly stdout: string; readonly stderr: string}> =>
    new Promise((resolve, reject) => {
      const [program = 'nft', ...words] = [...within, 'nft', ...args];
      const child = spawn(program, words, {stdio: ['pipe', 'pipe', 'pipe'], env: programs, timeout: WITHIN_MS, killSignal: 'SIGKILL'});
      if (child.pid !== undefined) own.push(child.pid);
      if (own.length > 256) own.shift();
      const out: Buffer[] = [];
      let stderr = '';
      child.stdout.on('data', (bytes: Buffer) => out.push(bytes));
      child.stderr.setEncoding('utf8').on('data', (text: string) => (stderr += text));
      // What it thinks of its input it says on its own.
      child.stdin.on('error', () => undefined).end(input);
      child.once('error', (error: NodeJS.ErrnoException) => reject(networkErrors['machine-unable'](error.code === 'ENOENT' ? 'The command nft is missing: install nftables.' : `nft: ${error.message}`, {cause: error})));
      child.once('close', (status) => resolve({status, stdout: Buffer.concat(out).toString('utf8'), stderr}));
    });
  const begin = (): Kept => {
    const [program = 'sh', ...words] = [...within, 'sh', '-c', 'exec nft -i 2>&1'];
    const kept = new Kept(spawn(program, words, {stdio: ['pipe', 'pipe', 'ignore'], env: {...programs, HOME: '/nonexistent'}}));
    if (kept.pid !== undefined) own.push(kept.pid);
    return kept;
  };
  let kept: Kept | undefined;
  return {
    close: () => kept?.end(),
    isOwn: (pid) => own.includes(pid),
    async apply(script) {
      if (script.length <= SMALL) {
        if (!kept?.usable) kept = begin();
        return kept.run(script);
      }
      const {status, stderr} = await run(['-f', '-'], script);
      if (status !== 0) throw networkErrors['machine-unable'](`nft: ${stderr.trim().slice(0, 2_000) || 'did not end in time'}`);
    },
    async list(table, map) {
      const {status, stdout, stderr} = await run(['-j', 'list', ...(map === undefined ? ['table', 'ip', table] : ['map', 'ip', table, map])], '');
      if (status === 0) return stdout;
      if (/No such file or directory/.test(stderr)) return undefined;
      throw networkErrors['machine-unable'](`nft: ${stderr.trim() || 'did not end in time'}`);
    },
  };
}

/** One transaction a line, one after another. */
class Kept {
  readonly #child: ChildProcess;
  #uses = 0;
  #said = '';
  #waiting: {readonly resolve: () => void; readonly reject: (error: Error) => void; readonly timer: NodeJS.Timeout} | undefined;
  #idle: NodeJS.Timeout | undefined;
  #ended = false;

  constructor(child: ChildProcess) {
    this.#child = child;
    child.stdout?.setEncoding('utf8').on('data', (text: string) => this.#hear(text));
    child.stdin?.on('error', () => undefined);
    child.once('error', (error: NodeJS.ErrnoException) => this.#close(`nft: ${error.message}`));
    child.once('close', () => this.#close(this.#said.includes('not found') ? 'The command nft is missing: install nftables.' : 'nft ended'));
    child.unref();
  }

  get pid(): number | undefined {
    return this.#child.pid;
  }

  get usable(): boolean {
    return !this.#ended && this.#uses < USES && this.#waiting === undefined;
  }

  run(script: string): Promise<void> {
    clearTimeout(this.#idle);
    this.#uses++;
    this.#said = '';
    return new Promise((resolve, reject) => {
      this.#waiting = {resolve, reject, timer: setTimeout(() => this.#child.kill('SIGKILL'), WITHIN_MS)};
      this.#child.stdin?.write(`${script.trimEnd().replaceAll('\n', '; ')}\n${MARK}\n`);
    });
  }

  end(): void {
    clearTimeout(this.#idle);
    this.#ended = true;
    this.#child.stdin?.end();
  }

  #hear(text: string): void {
    this.#said += text;
    if (!MARKED.test(this.#said) || this.#waiting === undefined) return;
    const {resolve, reject, timer} = this.#waiting;
    clearTimeout(timer);
    this.#waiting = undefined;
    this.#idle = setTimeout(() => this.end(), this.#uses < USES ? IDLE_MS : 0).unref();
    if (/\bError: /.test(this.#said)) reject(networkErrors['machine-unable'](`nft: ${this.#said.replace(MARKED, '').trim().slice(0, 2_000)}`));
    else resolve();
  }

  #close(why: string): void {
    this.#ended = true;
    if (this.#waiting === undefined) return;
    clearTimeout(this.#waiting.timer);
    this.#waiting.reject(networkErrors['machine-unable'](why));
    this.#waiting = undefined;
  }
}
