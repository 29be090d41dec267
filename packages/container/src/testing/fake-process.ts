/**
 * A process of the fake engine: as much of a shell as tests need to say what a container does, so that one test runs on
 * the fake and on a real engine. Understood: `echo TEXT [>&2]`, `sleep N`, `cat` (stdin to stdout), `exit N`, `true`,
 * `false`, `trap 'exit N' SIGNAL`, `COMMAND &` (left out), `wait`, joined by `;`, `&&` or newlines; `$NAME` is expanded.
 */
import {once} from 'node:events';
import {PassThrough} from 'node:stream';

export interface FakeProcessOptions {
  /** Absent: the image's own program, which runs until it is told to stop. */
  readonly argv?: readonly string[];
  readonly env: Readonly<Record<string, string>>;
  /** PID 1 without `init`: signals that it has no handler for do nothing, SIGKILL aside. */
  readonly ignoresSignals: boolean;
  output(stream: 'stdout' | 'stderr', text: string): void;
}

const builtins = new Set(['sh', 'echo', 'sleep', 'cat', 'exit', 'true', 'false', 'trap', 'wait', 'httpd']);
const signalNumbers: Readonly<Record<string, number>> = {SIGHUP: 1, SIGINT: 2, SIGQUIT: 3, SIGKILL: 9, SIGUSR1: 10, SIGUSR2: 12, SIGTERM: 15};

export class FakeProcess {
  readonly stdin = new PassThrough();
  readonly exited: Promise<number>;
  readonly #options: FakeProcessOptions;
  readonly #traps = new Map<string, number>();
  readonly #ended = new AbortController();
  #end: (code: number) => void = () => undefined;

  constructor(options: FakeProcessOptions) {
    this.#options = options;
    this.exited = new Promise((resolve) => {
      this.#end = (code) => {
        this.#ended.abort();
        resolve(code);
      };
    });
    // Not in the caller's stack: as with a real engine, it is started before it says anything.
    queueMicrotask(() => void this.#run().then((code) => this.#end(code), () => undefined));
  }

  /** The program that `argv` names does not exist. */
  static missing(argv: readonly string[] | undefined): string | undefined {
    const program = argv?.[0];
    return program === undefined || builtins.has(program) ? undefined : program;
  }

  signal(name: string): void {
    const trapped = this.#traps.get(name);
    if (trapped !== undefined) this.#end(trapped);
    else if (name === 'SIGKILL' || !this.#options.ignoresSignals) this.#end(128 + (signalNumbers[name] ?? 15));
    else if (this.#options.argv === undefined) this.#end(0);
  }

  exit(code: number): void {
    this.#end(code);
  }

  async #run(): Promise<number> {
    const {argv} = this.#options;
    if (argv === undefined || argv[0] === 'httpd') return this.#forever();
    if (argv[0] !== 'sh') return (await this.#statement(argv.join(' '))).code;
    let last = 0;
    // Separators stand at the odd places; quotes keep theirs.
    const parts = (argv[2] ?? '').split(/((?:&&|;|\n|&(?![&0-9]))(?=(?:[^']*'[^']*')*[^']*$))/);
    for (let i = 0; i < parts.length; i += 2) {
      const text = parts[i]?.trim() ?? '';
      if (text === '' || parts[i + 1] === '&') continue;
      const {code, exits} = await this.#statement(text);
      last = code;
      if (exits || this.#ended.signal.aborted) return last;
    }
    return last;
  }

  async #statement(text: string): Promise<{readonly code: number; readonly exits?: true}> {
    const toStderr = />\s*&2$/.test(text);
    const [program = '', ...words] = text.replace(/>\s*&2$/, '').trim().split(/\s+/);
    const rest = this.#expand(words.join(' '));
    switch (program) {
      case 'echo':
        this.#options.output(toStderr ? 'stderr' : 'stdout', `${rest}\n`);
        return {code: 0};
      case 'sleep':
        await (rest === 'infinity' ? this.#forever() : this.#pause(Number(rest) * 1000));
        return {code: 0};
      case 'cat':
        for await (const chunk of this.stdin) this.#options.output('stdout', String(chunk));
        return {code: 0};
      case 'wait':
        return {code: await this.#forever()};
      case 'trap': {
        const [, code, name] = /^'?exit (\d+)'? (\w+)$/.exec(words.join(' ')) ?? [];
        this.#traps.set(`SIG${name ?? ''}`, Number(code));
        return {code: 0};
      }
      case 'exit':
        return {code: Number(rest || 0), exits: true};
      case 'true':
        return {code: 0};
      case 'false':
        return {code: 1};
      default:
        this.#options.output('stderr', `sh: ${program}: not found\n`);
        return {code: 127};
    }
  }

  #expand(text: string): string {
    return text.replace(/\$\{?(\w+)\}?/g, (_, name: string) => this.#options.env[name] ?? '').replace(/^(["'])(.*)\1$/, '$2');
  }

  async #forever(): Promise<number> {
    if (!this.#ended.signal.aborted) await once(this.#ended.signal, 'abort');
    return 0;
  }

  async #pause(ms: number): Promise<void> {
    const timer = new Promise((resolve) => setTimeout(resolve, ms).unref());
    await Promise.race([timer, this.#forever()]);
  }
}
