import {spawnSync} from 'node:child_process';
import {existsSync, writeFileSync} from 'node:fs';
import {basename, join} from 'node:path';
import Docker from 'dockerode';
import {extend} from './extend.ts';
import {startServer, type TestServer} from './server.ts';
import {bridgeFile, release} from './temp.ts';

/** The machine's engine: DOCKER_HOST, else the default socket. Fails with what to do where none answers. */
export async function dockerEngine(): Promise<Docker> {
  const engine = new Docker();
  try {
    await engine.ping();
    return engine;
  } catch (error) {
    const where = process.env.DOCKER_HOST ?? '/var/run/docker.sock';
    throw new Error(`no Docker engine answers at ${where}: \`npm test\` starts one, or run \`node scripts/engine.mjs\``, {cause: error});
  }
}

export interface DockerEngineOptions {
  /** Containers run on while the engine is away, as with `--live-restore`; default false. */
  liveRestore?: boolean;
  /** Further words for dockerd's command line. */
  args?: string[];
}

export interface DockerEngine extends TestServer {
  /** A client of this engine. */
  readonly docker: Docker;
  /** Path of its socket. */
  readonly socketPath: string;
  /** `unix://...`, as DOCKER_HOST and `--docker-host` take it. */
  readonly url: string;
}

/**
 * Starts an engine of its own, for tests that restart or kill it. It never touches iptables, whose
 * chains belong to the machine's engine: networks and published ports (through docker-proxy) work on
 * the machine, nothing is forwarded off it.
 */
export async function startDockerEngine(options: DockerEngineOptions = {}): Promise<DockerEngine> {
  const socketOf = (dir: string) => join(dir, 'docker.sock');
  const server = await startServer({
    name: 'dockerd',
    debianPackage: 'docker.io',
    command: 'dockerd',
    args: ({port, dir}) => [
      ...['--host', `unix://${socketOf(dir)}`, '--pidfile', join(dir, 'dockerd.pid')],
      ...['--data-root', join(dir, 'data'), '--exec-root', join(dir, 'exec')],
      // Where the machine's containerd is shared, its other users must not see these containers.
      ...['--containerd-namespace', basename(dir), '--containerd-plugins-namespace', `${basename(dir)}-plugins`],
      // Not `--bridge=none`: that removes docker0 under the machine's engine.
      ...['--bridge', bridgeOf(dir, port), '--iptables=false', '--ip6tables=false', '--ip-masq=false', '--shutdown-timeout=2'],
      ...(options.liveRestore ? ['--live-restore'] : []),
      ...(options.args ?? []),
    ],
    ready: ({dir}) => new Docker({socketPath: socketOf(dir)}).ping(),
    deathSignal: 'TERM',
    deadlineMs: 60_000,
    beforeStop: (dir) => removeContainers(new Docker({socketPath: socketOf(dir)})),
    // An engine that was killed cannot be asked to remove its containers.
    cleanUp: release,
  });
  const socketPath = socketOf(server.dir);
  return extend(server, {docker: new Docker({socketPath}), socketPath, url: `unix://${socketPath}`});
}

/** Makes the engine's default bridge unless a start before did. Its name is kept where `release` looks. */
function bridgeOf(dir: string, port: number): string {
  const name = `hmtest${port}`;
  if (existsSync(join(dir, bridgeFile))) return name;
  for (const words of [`link add ${name} type bridge`, `link set ${name} up`]) {
    const {status, stderr, error} = spawnSync('ip', words.split(' '), {encoding: 'utf8'});
    if (status !== 0) throw new Error(`ip ${words}: ${error?.message ?? stderr}`);
  }
  writeFileSync(join(dir, bridgeFile), name);
  return name;
}

async function removeContainers(docker: Docker): Promise<void> {
  const containers = await docker.listContainers({all: true});
  await Promise.allSettled(containers.map(({Id}) => docker.getContainer(Id).remove({force: true, v: true})));
}

/** The applets of the machine's static busybox, as `busybox --list` names them. */
export function busyboxApplets(): string[] {
  const list = spawnSync('/bin/busybox', ['--list'], {encoding: 'utf8'});
  if (list.status !== 0) throw new Error('cannot run /bin/busybox: install the Debian package busybox-static');
  return list.stdout.split('\n').filter((name) => name && name !== 'busybox');
}
