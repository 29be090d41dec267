/**
 * A nats-server of this cluster's own, as a child process: it trusts the cluster's operator and nobody else, and serves TLS by
 * the cluster's authority. It is started again when it ends, and ends with this process.
 */
import {spawn, type ChildProcess} from 'node:child_process';
import {once} from 'node:events';
import {accessSync, constants} from 'node:fs';
import {mkdir} from 'node:fs/promises';
import {connect} from 'node:net';
import {delimiter, join} from 'node:path';
import {setTimeout as pause} from 'node:timers/promises';
import {hostPort, type ListenAddress, type TlsOptions} from '@hivemind/service';
import {openBusTrust, writeBusServer} from '@hivemind/trust';
import type {Logger} from 'pino';
import {hostErrors} from './errors.ts';
import {openCredentials, type Credentials, type CredentialsOptions} from './transport.ts';

export interface NatsServerOptions {
  readonly context: CredentialsOptions['context'];
  /** Its configuration and its accounts are kept here; mode 0700. */
  readonly dir: string;
  /** One address, not a wildcard: it is what machines connect to. */
  readonly listen: ListenAddress;
  readonly logger: Logger;
}

export interface NatsServer {
  /** `tls://HOST:PORT`. */
  readonly url: string;
  stop(): Promise<void>;
}

const READY_MS = 10_000;
/** How long one of an earlier life may take to end. */
const LEFT_OVER_MS = 2_000;
const RESTART_MS = 1_000;
const STOP_MS = 5_000;
/** Not in everybody's PATH, and where Debian puts it. */
const MORE_PLACES = ['/usr/sbin', '/usr/local/sbin', '/usr/local/bin'];

/** Resolves when it takes connections. @throws `nats-server-missing`, `nats-server-failed` 503 */
export async function startNatsServer(options: NatsServerOptions): Promise<NatsServer> {
  const {dir, listen, logger} = options;
  const program = find('nats-server');
  if (program === undefined) throw hostErrors['nats-server-missing']('Further machines need a nats-server (2.9 or later), and there is none in PATH: apt-get install nats-server. Or name one that runs, with --bus.');
  await mkdir(dir, {recursive: true, mode: 0o700});
  await untilFree(listen);
  const {credentials, write} = await writeConfiguration(options);
  const server = new Supervised(program, join(dir, 'nats.conf'), logger);
  credentials.onRenewal((tls) => void write(tls).then(() => server.reload(), (err: unknown) => logger.warn({err}, 'the new certificate of the bus could not be written')));
  const stop = async (): Promise<void> => {
    credentials.stop();
    await server.stop();
  };
  try {
    await server.ready(listen);
  } catch (error) {
    await stop();
    throw error;
  }
  return {url: `tls://${hostPort(listen)}`, stop};
}

/** Writes what the server reads; answers how its certificate, when it is a new one, gets there too. */
async function writeConfiguration({context, dir, listen, logger}: NatsServerOptions): Promise<{readonly credentials: Credentials; readonly write: (tls: TlsOptions) => Promise<void>}> {
  const {store, cluster, now} = context;
  const clusterKey = await context.clusterKey?.();
  if (!clusterKey) throw new TypeError('a bus of its own needs the cluster key');
  const trust = await openBusTrust({store, clusterKey, cluster, now: now()});
  const credentials = await openCredentials({context, name: 'nats', hosts: [listen.host, '127.0.0.1', 'localhost'], logger});
  const {ca} = credentials.tls;
  const write = ({certificate, key}: TlsOptions): Promise<void> => writeBusServer({trust, dir, listen: hostPort(listen), tls: {certificate, key, ca}});
  await write(credentials.tls);
  return {credentials, write};
}

class Supervised {
  readonly #program: string;
  readonly #config: string;
  readonly #logger: Logger;
  #child: ChildProcess | undefined;
  #stopping = false;
  #lastWords = '';
  #ended = false;

  constructor(program: string, config: string, logger: Logger) {
    this.#program = program;
    this.#config = config;
    this.#logger = logger;
    this.#start();
  }

  /** Its certificate is read anew. */
  reload(): void {
    this.#child?.kill('SIGHUP');
  }

  /** Resolves when it greets. @throws `nats-server-failed` */
  async ready(listen: ListenAddress): Promise<void> {
    for (const deadline = Date.now() + READY_MS; !(await greets(listen)); await pause(50)) {
      if (!this.#ended && Date.now() < deadline) continue;
      throw hostErrors['nats-server-failed'](`nats-server does not serve on ${hostPort(listen)}: ${this.#lastWords.trim().split('\n').at(-1) ?? 'it does not say why'}`);
    }
  }

  async stop(): Promise<void> {
    this.#stopping = true;
    const child = this.#child;
    if (!child || child.exitCode !== null || child.signalCode !== null) return;
    const exited = once(child, 'exit');
    child.kill('SIGTERM');
    const force = setTimeout(() => child.kill('SIGKILL'), STOP_MS);
    await exited;
    clearTimeout(force);
  }

  #start(): void {
    const watcher = find('setpriv');
    const words = [this.#program, '-c', this.#config];
    // The kernel ends it when this process dies, however that happens.
    const [command = '', ...args] = watcher === undefined ? words : [watcher, '--pdeathsig', 'TERM', '--', ...words];
    const child = spawn(command, args, {stdio: ['ignore', 'ignore', 'pipe']});
    this.#child = child;
    this.#ended = false;
    child.stderr?.on('data', (chunk: Buffer) => (this.#lastWords = (this.#lastWords + chunk.toString()).slice(-4096)));
    child.once('error', (err) => this.#logger.error({err}, 'nats-server could not be started'));
    child.once('exit', (code, signal) => {
      this.#ended = true;
      if (this.#stopping) return;
      this.#logger.error({code, signal, said: this.#lastWords.slice(-500)}, 'nats-server ended; it is started again');
      setTimeout(() => {
        if (!this.#stopping) this.#start();
      }, RESTART_MS).unref();
    });
  }
}

function find(program: string): string | undefined {
  const places = [...(process.env.PATH ?? '').split(delimiter), ...MORE_PLACES];
  return places.map((place) => join(place, program)).find((path) => {
    try {
      accessSync(path, constants.X_OK);
      return true;
    } catch {
      return false;
    }
  });
}

/** That of a process that was killed goes in a moment; somebody else's stays. @throws `nats-server-failed` */
async function untilFree(listen: ListenAddress): Promise<void> {
  for (const deadline = Date.now() + LEFT_OVER_MS; await greets(listen); await pause(50)) {
    if (Date.now() >= deadline) throw hostErrors['nats-server-failed'](`Something else listens on ${hostPort(listen)}, where the bus is to be. Stop it, choose another port with --bus-port, or, if it is a NATS to be used, name it with --bus.`);
  }
}

/** Whether a NATS server, or anything else that speaks first, is there. */
function greets({host, port}: ListenAddress): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect({host, port});
    const done = (answer: boolean) => (): void => {
      socket.destroy();
      resolve(answer);
    };
    socket.setTimeout(1_000, done(false)).once('data', done(true)).once('error', done(false)).once('close', done(false));
  });
}
