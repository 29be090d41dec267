/** A Docker Engine for the bench alone: in a network namespace of its own, with its own data, bridge and rules. */
import {spawn, spawnSync, type ChildProcess} from 'node:child_process';
import {mkdtempSync, openSync, rmSync} from 'node:fs';
import {tmpdir} from 'node:os';
import {join} from 'node:path';
import Docker from 'dockerode';

export interface BenchEngine {
  readonly docker: Docker;
  readonly url: string;
  stop(): Promise<void>;
}

export async function startBenchEngine(): Promise<BenchEngine> {
  const dir = mkdtempSync(join(tmpdir(), 'hivemind-bench-engine-'));
  const namespace = `hmb${process.pid}`;
  ip('netns', 'add', namespace);
  ip('-n', namespace, 'link', 'set', 'lo', 'up');
  const socketPath = join(dir, 'docker.sock');
  const log = openSync(join(dir, 'dockerd.log'), 'a');
  // `ip netns exec` would hide the cgroup mounts from the engine.
  const daemon = spawn('nsenter', [
    `--net=/run/netns/${namespace}`, 'dockerd',
    '--host', `unix://${socketPath}`, '--pidfile', join(dir, 'dockerd.pid'), '--data-root', join(dir, 'data'), '--exec-root', join(dir, 'exec'), '--shutdown-timeout', '2',
  ], {stdio: ['ignore', log, log], env: {...process.env, PATH: `${process.env.PATH ?? ''}:/usr/sbin:/sbin`}});
  const docker = new Docker({socketPath});
  const stop = async (): Promise<void> => {
    await removeAll(docker).catch(() => undefined);
    await end(daemon);
    spawnSync('ip', ['netns', 'delete', namespace]);
    spawnSync('sh', ['-c', `awk '$2 ~ "^${dir}" {print $2}' /proc/self/mounts | sort -r | xargs -r umount -l`]);
    rmSync(dir, {recursive: true, force: true});
  };
  try {
    await untilAnswers(docker, daemon);
  } catch (error) {
    await stop();
    throw new Error(`dockerd did not come up; see ${join(dir, 'dockerd.log')}`, {cause: error});
  }
  return {docker, url: `unix://${socketPath}`, stop};
}

async function untilAnswers(docker: Docker, daemon: ChildProcess): Promise<void> {
  for (const deadline = Date.now() + 60_000; ; ) {
    try {
      await docker.ping();
      return;
    } catch (error) {
      if (Date.now() > deadline || daemon.exitCode !== null) throw error;
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
  }
}

export async function removeAll(docker: Docker, label?: string): Promise<void> {
  const containers = await docker.listContainers({all: true, ...(label === undefined ? {} : {filters: {label: [label]}})});
  await Promise.all(containers.map(({Id}) => docker.getContainer(Id).remove({force: true, v: true})));
}

function ip(...args: string[]): void {
  const result = spawnSync('ip', args, {encoding: 'utf8'});
  if (result.status !== 0) throw new Error(`ip ${args.join(' ')}: ${result.stderr}`);
}

async function end(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const gone = new Promise<void>((resolve) => child.once('exit', () => resolve()));
  child.kill('SIGTERM');
  const force = setTimeout(() => child.kill('SIGKILL'), 20_000);
  await gone;
  clearTimeout(force);
}
