import {execFileSync, spawnSync} from 'node:child_process';
import {mkdirSync, readFileSync, writeFileSync} from 'node:fs';
import {basename, join} from 'node:path';
import {containerdState} from './containerd-remains.ts';
import {extend} from './extend.ts';
import {startServer, type TestServer} from './server.ts';
import {release} from './temp.ts';

export interface Containerd extends TestServer {
  /** Path of its socket. */
  readonly socketPath: string;
  /** Parent of the control groups of its containers: what runs there ends with it, also after a crash. */
  readonly cgroupParent: string;
  /** Runs `ctr` against it. @throws with what it said when it fails */
  ctr(...args: readonly string[]): string;
}

/** Starts a containerd of its own: root, state and socket in its directory. Shims and containers outlive a `kill`. */
export async function startContainerd({disk}: {/** Bytes of a disk of its own that its root is on: it can be filled. */ readonly disk?: number} = {}): Promise<Containerd> {
  const socketOf = (dir: string): string => join(dir, 'containerd.sock');
  const server = await startServer({
    name: 'containerd',
    debianPackage: 'containerd',
    command: 'containerd',
    args: ({dir}) => {
      const lines = [
        'version = 2',
        `root = "${join(dir, 'root')}"`,
        `state = "${join(dir, containerdState)}"`,
        // Neither Kubernetes' nor Docker's doings are wanted, nor a network plugin.
        'disabled_plugins = ["io.containerd.grpc.v1.cri", "io.containerd.internal.v1.opt"]',
        `[grpc]\n  address = "${socketOf(dir)}"`,
        `[ttrpc]\n  address = "${socketOf(dir)}.ttrpc"`,
      ];
      mkdirSync(join(dir, containerdState), {recursive: true});
      mkdirSync(join(dir, 'root'), {recursive: true});
      if (disk !== undefined && !mountsOf(dir).includes(join(dir, 'root'))) execFileSync('mount', ['-t', 'tmpfs', '-o', `size=${disk}`, 'tmpfs', join(dir, 'root')]);
      writeFileSync(join(dir, 'config.toml'), `${lines.join('\n')}\n`);
      return ['--config', join(dir, 'config.toml')];
    },
    ready: ({dir}) => Promise.resolve(ctr(socketOf(dir), ['version']).status === 0),
    // Its containers are not its children: they are found by their control group and the shims by their command line.
    cleanUp: (dir) => release(dir),
  });
  const socketPath = socketOf(server.dir);
  return extend(server, {
    socketPath,
    cgroupParent: `/${basename(server.dir)}`,
    ctr: (...args: readonly string[]) => {
      const {status, stdout, stderr} = ctr(socketPath, args);
      if (status !== 0) throw new Error(`ctr ${args.join(' ')}: ${stderr}`);
      return stdout;
    },
  });
}

/** Places below a directory where something is mounted. */
function mountsOf(dir: string): readonly string[] {
  return readFileSync('/proc/self/mounts', 'utf8').split('\n').map((line) => line.split(' ')[1] ?? '').filter((place) => place.startsWith(`${dir}/`));
}

function ctr(socketPath: string, args: readonly string[]): {status: number | null; stdout: string; stderr: string} {
  return spawnSync('ctr', ['--address', socketPath, '--namespace', 'hivemind', ...args], {encoding: 'utf8'});
}
