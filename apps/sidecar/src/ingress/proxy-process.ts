/** HAProxy as a process of its own: neither the sidecar's end nor its signals reach it. Found again by its pid file. */
import {type ChildProcess, execFile, spawn} from 'node:child_process';
import {existsSync, readFileSync} from 'node:fs';
import {copyFile, mkdir, open, readFile, rename, rm, stat, truncate, writeFile} from 'node:fs/promises';
import {createServer} from 'node:net';
import {delimiter, join} from 'node:path';
import {socketsOf} from '@hivemind/discovery/ingress';

export const ACCESS_LOG = 'access.log';
const OWN_LOG = 'haproxy.log';
/** Bytes of a log after which it is begun anew, the old one beside it. */
const LOG_BYTES = 64 * 1024 * 1024;
/** Of a unix socket's path, with what HAProxy adds while it makes one. */
const LONGEST_DIR = 75;

/** Under the sidecar's own folder of a data dir. */
export class ProxyProcess {
  readonly dir: string;
  /** Folder of its sockets. */
  readonly sockets: string;
  readonly #config: string;
  readonly #pidFile: string;
  /** That was found: it stays itself through the moment of a reload, when it is neither by its words. */
  #known: {readonly pid: number; readonly start: string} | undefined;

  constructor(dir: string) {
    this.dir = dir;
    this.sockets = socketsOf(dir, process.getuid?.() === 0);
    this.#config = join(dir, 'haproxy.cfg');
    this.#pidFile = join(dir, 'haproxy.pid');
  }

  /** Path of the socket that takes commands. */
  get adminSocket(): string {
    return join(this.sockets, 'admin.sock');
  }

  /** Path of the socket that answers `/metrics`. */
  get metricsSocket(): string {
    return join(this.sockets, 'metrics.sock');
  }

  /** Of the master; undefined: it does not run. */
  pid(): number | undefined {
    if (this.#known !== undefined && startOf(this.#known.pid) === this.#known.start) return this.#known.pid;
    this.#known = undefined;
    try {
      const pid = Number(readFileSync(this.#pidFile, 'utf8').trim());
      // A number that came to belong to another program is none of ours.
      const words = readFileSync(`/proc/${pid}/cmdline`, 'utf8').split('\0');
      const start = startOf(pid);
      if (pid > 0 && start !== undefined && words.includes(this.#config)) this.#known = {pid, start};
    } catch {
      // None was started, or it is over.
    }
    return this.#known?.pid;
  }

  /** @throws with what HAProxy says of it, where it would not start with this configuration */
  async check(config: string): Promise<void> {
    if (this.sockets.length > LONGEST_DIR) throw new Error(`${this.sockets} is too long for the paths of HAProxy's sockets: choose a data dir nearer to the root`);
    await mkdir(this.dir, {recursive: true, mode: 0o700});
    // Nobody but who owns a socket may connect to it; HAProxy, which is another user then, has to find it.
    await mkdir(this.sockets, {recursive: true, mode: 0o711});
    const candidate = `${this.#config}.new`;
    await writeFile(candidate, config, {mode: 0o600});
    await new Promise<void>((resolve, reject) => {
      execFile(programPath(), ['-c', '-q', '-f', candidate], {timeout: 20_000}, (error, stdout, stderr) => (error ? reject(new Error(`HAProxy refuses the configuration: ${problemOf(`${stdout}${stderr}`) || error.message}`)) : resolve()));
    });
  }

  /** What was checked last is what it starts with from now on. */
  async adopt(): Promise<void> {
    if (existsSync(this.#config)) await copyFile(this.#config, `${this.#config}.before`);
    await rename(`${this.#config}.new`, this.#config);
  }

  /** Of the configuration before the last one that was adopted. */
  async goBack(): Promise<void> {
    await rename(`${this.#config}.before`, this.#config);
  }

  /** For its next start; what runs has it already. */
  async write(config: string): Promise<void> {
    await writeFile(`${this.#config}.next`, config, {mode: 0o600});
    await rename(`${this.#config}.next`, this.#config);
  }

  /** @returns why it ended, should it end. Rejects where there is no such program. */
  async start(): Promise<{readonly ended: Promise<string>}> {
    await using access = await open(join(this.dir, ACCESS_LOG), 'a', 0o600);
    await using own = await open(join(this.dir, OWN_LOG), 'a', 0o600);
    const {size} = await own.stat();
    const child = spawn(programPath(), ['-W', '-f', this.#config, '-p', this.#pidFile], {detached: true, stdio: ['ignore', access.fd, own.fd], cwd: '/'});
    child.unref();
    return {ended: endOf(child).then(async (reason) => problemOf((await readFile(join(this.dir, OWN_LOG), 'utf8').catch(() => '')).slice(size)) || reason)};
  }

  /** What is under way ends by itself. */
  reload(): void {
    const pid = this.pid();
    if (pid !== undefined) process.kill(pid, 'SIGUSR2');
  }

  signal(signal: NodeJS.Signals): void {
    const pid = this.pid();
    if (pid !== undefined) process.kill(pid, signal);
  }

  /** It has ended, and is not to be started again. */
  async clear(): Promise<void> {
    if (this.sockets !== this.dir) await rm(this.sockets, {recursive: true, force: true});
  }

  /** Logs that have grown too long are begun anew; what is written meanwhile may be lost. */
  async rotate(): Promise<void> {
    for (const name of [ACCESS_LOG, OWN_LOG]) {
      const path = join(this.dir, name);
      const {size} = await stat(path).catch(() => ({size: 0}));
      if (size <= LOG_BYTES) continue;
      await copyFile(path, `${path}.1`);
      await truncate(path);
    }
  }
}

/** When a process was started, which no other of its number shares; undefined: there is none, or it has ended and waits to be buried. */
function startOf(pid: number): string | undefined {
  try {
    const [state, ...rest] = readFileSync(`/proc/${pid}/stat`, 'utf8').replace(/^.*\) /s, '').split(' ');
    return state === 'Z' || state === 'X' ? undefined : rest[18];
  } catch {
    return undefined;
  }
}

/** @throws where HAProxy is not installed */
function programPath(): string {
  const found = [...(process.env.PATH ?? '').split(delimiter), '/usr/sbin', '/usr/local/sbin'].map((folder) => join(folder, 'haproxy')).find(existsSync);
  if (found === undefined) throw new Error('HAProxy is not installed on this machine: apt-get install --no-install-recommends haproxy');
  return found;
}

/** Of those ports, one that somebody has, with why it cannot be had; undefined: all can. */
export async function takenPort(ports: readonly number[]): Promise<string | undefined> {
  for (const port of ports) {
    const problem = await new Promise<NodeJS.ErrnoException | undefined>((resolve) => {
      const server = createServer();
      server.once('error', resolve);
      server.listen({port, host: '0.0.0.0', exclusive: true}, () => server.close(() => resolve(undefined)));
    });
    if (problem) return problem.code === 'EADDRINUSE' ? `port ${port} of this machine is taken by another program` : `port ${port} of this machine cannot be listened at: ${problem.message}`;
  }
  return undefined;
}

function endOf(child: ChildProcess): Promise<string> {
  return new Promise((resolve) => {
    child.once('error', (error) => resolve(error.message));
    child.once('exit', (code, signal) => resolve(`it ended with ${code ?? signal}`));
  });
}

/** The alerts among what it prints. */
function problemOf(printed: string): string {
  const alerts = printed.split('\n').filter((line) => line.startsWith('[ALERT]')).map((line) => line.replace(/^\[ALERT\]\s*\(\d+\)\s*:\s*/, ''));
  return alerts.slice(0, 3).join('; ').slice(0, 500);
}
