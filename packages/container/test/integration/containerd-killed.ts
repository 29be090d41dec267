/** What is left of an agent that was killed on the way to a running container, once the next one has looked around. */
import {spawn} from 'node:child_process';
import {createHash} from 'node:crypto';
import {once} from 'node:events';
import {existsSync, readdirSync, readFileSync} from 'node:fs';
import {join} from 'node:path';
import {fileURLToPath} from 'node:url';
import {isError} from '@hivemind/contracts';
import type {Runtime} from '@hivemind/runtime';
import {waitFor} from '@hivemind/testkit';
import {containerSpec} from '../../src/testing/index.ts';
import {callByCall, type Moment} from './call-by-call.ts';
import type {ContainerdBench} from './containerd-harness.ts';

export interface Kill {
  /** The call by its number, or its name as in `Tasks/Create`. */
  readonly at: number | string;
  readonly moment: Moment;
}

/** Starts a container by a process of its own and kills that. @returns the calls that it made; undefined: it was done before */
export async function killed({containerd, root, cluster, image}: ContainerdBench, id: string, kill: Kill | undefined): Promise<{readonly calls: readonly string[]; readonly done: boolean}> {
  let end: () => void = () => undefined;
  await using proxy = await callByCall(containerd.socketPath, (at, call, moment) => {
    if (kill === undefined || (at !== kill.at && call !== kill.at) || moment !== kill.moment) return false;
    end();
    return true;
  });
  const child = spawn(process.execPath, [fileURLToPath(new URL('./starting-agent.ts', import.meta.url)), proxy.socketPath, root, containerd.cgroupParent, cluster, image, id], {env: {...process.env, NODE_OPTIONS: ''}, stdio: ['ignore', 'pipe', 'inherit']});
  end = () => child.kill('SIGKILL');
  const exited = once(child, 'exit');
  const done = await Promise.race([once(child.stdout, 'data').then(() => true), exited.then(() => false)]);
  child.kill('SIGKILL');
  await exited;
  return {calls: proxy.calls, done};
}

/** Pulls an image by a process of its own, and kills that once `until` resolves. */
export async function killedPulling({containerd, root, cluster}: ContainerdBench, image: string, host: string, until: Promise<unknown>): Promise<void> {
  const child = spawn(process.execPath, [fileURLToPath(new URL('./pulling-agent.ts', import.meta.url)), containerd.socketPath, root, cluster, image, host], {env: {...process.env, NODE_OPTIONS: ''}, stdio: ['ignore', 'ignore', 'inherit']});
  const exited = once(child, 'exit');
  try {
    const early = exited.then(() => {
      throw new Error('the pull ended before it was to be killed');
    });
    early.catch(() => undefined);
    await Promise.race([until, early]);
  } finally {
    child.kill('SIGKILL');
    await exited;
  }
}

/** As the next agent begins: it hears events, and has seen to what it found. */
export async function nextAgent(bench: ContainerdBench, over: AbortSignal): Promise<Runtime> {
  const runtime = await bench.open();
  let connected = false;
  void (async () => {
    for await (const {type} of runtime.events(over)) connected ||= type === 'connected';
  })();
  await waitFor(() => connected, {what: 'the next agent to begin'});
  return runtime;
}

/** Everything of a container that the machine may still have. Nothing of it: all empty. */
export function remains({containerd, root}: ContainerdBench, ids: readonly string[]): Readonly<Record<string, unknown>> {
  const {ctr, dir, socketPath} = containerd;
  // What nobody refers to is taken by garbage collection, which this asks for.
  ctr('leases', 'create', '--id', 'collect');
  ctr('leases', 'delete', '--sync', 'collect');
  const names = (path: string): readonly string[] => (existsSync(path) ? readdirSync(path) : []);
  const processes = readdirSync('/proc').filter((name) => /^\d+$/.test(name)).map((pid) => {
    try {
      return readFileSync(`/proc/${pid}/cmdline`, 'latin1').split('\0');
    } catch {
      return [];
    }
  });
  const links = ids.map((id) => `hmv${createHash('sha256').update(`${id}/0`).digest('hex').slice(0, 11)}`);
  return {
    tasks: ctr('tasks', 'ls', '-q').trim(),
    containers: ctr('containers', 'ls', '-q').trim(),
    leases: ctr('leases', 'ls', '-q').trim(),
    snapshots: ctr('snapshots', 'ls').split('\n').filter((line) => /\b(Active|View)\s*$/.test(line)),
    shims: processes.filter(([program = '', ...words]) => program.includes('containerd-shim') && words.some((word) => word.includes(socketPath))).length,
    pairs: links.filter((name) => existsSync(`/sys/class/net/${name}`)),
    runc: names('/run/containerd/runc/hivemind').filter((name) => ids.includes(name)),
    files: ['containers', 'logs', 'pipes'].flatMap((kind) => names(join(root, kind)).filter((name) => !/^\.(spare|reader)-/.test(name)).map((name) => `${kind}/${name}`)),
    spare: names(join(root, 'pipes')).filter((name) => name.startsWith('.spare') && !name.startsWith(`.spare-${process.pid}-`)),
    mounts: readFileSync('/proc/self/mounts', 'utf8').split('\n').filter((line) => line.includes(dir)),
  };
}

export const nothing = {tasks: '', containers: '', leases: '', snapshots: [], shims: 0, pairs: [], runc: [], files: [], spare: [], mounts: []};

/** A start that is cut off, and then either gone on with or given up. */
export async function killAndRecover(bench: ContainerdBench, id: string, kill: Kill, wanted: boolean): Promise<void> {
  const over = new AbortController();
  const {done} = await killed(bench, id, kill);
  if (done) throw new Error(`the start was done before call ${kill.at}`);
  const runtime = await nextAgent(bench, over.signal);
  try {
    if (wanted) {
      const spec = containerSpec({id, ports: [{container: 80, protocol: 'tcp', host: 0}], template: {image: bench.image, args: ['sleep', '1000']}}, {networks: [{name: `net-${bench.cluster}`, aliases: [id]}]});
      // As the worker: what is there is not made again.
      await runtime.start((await runtime.inspect(id))?.runtimeId ?? (await runtime.create(spec))).catch(async (error: unknown) => {
        // What was half made is taken away when it is to start, and made again.
        if (!isError(error, 'container-not-found')) throw error;
        await runtime.start(await runtime.create(spec));
      });
      expect(await runtime.inspect(id)).toMatchObject({state: 'running', ip: expect.any(String)});
    }
    for (const {runtimeId} of await runtime.list()) await runtime.remove(runtimeId);
    await waitFor(() => remains(bench, [id])['shims'] === 0, {what: 'shims to end'});
    expect({kill, wanted, ...remains(bench, [id])}).toEqual({kill, wanted, ...nothing});
  } finally {
    over.abort();
    await runtime.pruneNetworks();
    await runtime.close();
  }
}
