/** Real sidecars, each a process of its own: `hivemind membership` from source. */
import {type ChildProcess, spawn} from 'node:child_process';
import {once} from 'node:events';
import {join, resolve} from 'node:path';
import {freePort, waitFor} from '@hivemind/testkit';
import {connectSidecar, type SidecarClient} from '../src/grpc/client.ts';

const main = resolve(import.meta.dirname, '../../cli/src/main.ts');

export interface SidecarProcess {
  readonly name: string;
  /** `host:port` of the ring. */
  readonly address: string;
  readonly socket: string;
  readonly client: SidecarClient;
  readonly pid: number;
  /** What it printed, and its log. */
  output(): string;
  /** Answers the exit status, or the signal. */
  end(signal: NodeJS.Signals): Promise<number | NodeJS.Signals | null>;
  /** Resolves when it ends by itself. */
  ended(): Promise<number | NodeJS.Signals | null>;
  /** The states it sees, by name. */
  ring(): Promise<Readonly<Record<string, string>>>;
}

/** Sidecars of one test, in one directory; all end with it. */
export class Sidecars implements AsyncDisposable {
  readonly #dir: string;
  readonly #all: SidecarProcess[] = [];

  constructor(dir: string) {
    this.#dir = dir;
  }

  /** Waits until it says that it is up. It joins those that were started before; a name that was there is at its address again. */
  async start(name: string, args: readonly string[] = []): Promise<SidecarProcess> {
    const seeds = this.#all.filter((other) => other.name !== name).map(({address}) => address);
    const address = this.#all.find((other) => other.name === name)?.address ?? `127.0.0.1:${await freePort()}`;
    const sidecar = launch({name, address, socket: join(this.#dir, `${name}.sock`), dataDir: join(this.#dir, name), args: [...(seeds.length > 0 ? ['--join', seeds.join(',')] : []), ...args]});
    this.#all.push(sidecar);
    await waitFor(() => sidecar.output().includes(`Member ${name} listens at ${address}`), {what: `${name} to be up, which says: ${sidecar.output()}`, deadlineMs: 20_000});
    return sidecar;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all(this.#all.map(async (sidecar) => {
      sidecar.client[Symbol.dispose]();
      await sidecar.end('SIGKILL');
    }));
  }
}

function launch({name, address, socket, dataDir, args}: {name: string; address: string; socket: string; dataDir: string; args: readonly string[]}): SidecarProcess {
  // Jest's flags are not for a child. The kernel ends it with this process, however that happens.
  const child = spawn('setpriv', ['--pdeathsig', 'KILL', '--', process.execPath, main, 'membership', '--name', name, '--bind', address, '--socket', socket, '--data-dir', dataDir, ...args], {env: {...process.env, NODE_OPTIONS: ''}, stdio: ['ignore', 'pipe', 'pipe']});
  let output = '';
  for (const stream of [child.stdout, child.stderr]) stream.on('data', (chunk: Buffer) => (output += chunk.toString()));
  const client = connectSidecar(socket);
  return {
    name, address, socket, client,
    pid: child.pid ?? 0,
    output: () => output,
    end: (signal) => end(child, signal),
    ended: () => ended(child),
    ring: async () => Object.fromEntries((await client.members()).members.map((member) => [member.name, member.state])),
  };
}

async function end(child: ChildProcess, signal: NodeJS.Signals): Promise<number | NodeJS.Signals | null> {
  child.kill(signal);
  return ended(child);
}

async function ended(child: ChildProcess): Promise<number | NodeJS.Signals | null> {
  if (child.exitCode === null && child.signalCode === null) await once(child, 'exit');
  return child.exitCode ?? child.signalCode;
}
