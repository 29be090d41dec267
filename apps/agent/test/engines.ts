/** What the engines of machines under test have, as the engines themselves say: not by the drivers that are under test. */
import {execFileSync} from 'node:child_process';
import {createWriteStream, readFileSync} from 'node:fs';
import {join} from 'node:path';
import {pipeline} from 'node:stream/promises';
import {ContainerdClient} from '@hivemind/container/containerd-client';
import {engineLabels} from '@hivemind/contracts';
import type {Machine} from '@hivemind/testkit';
import * as z from 'zod';

/** What agents under test run containers with. With containerd, it is that of the machine's Docker Engine, which itself is not asked. */
export type RuntimeName = 'docker' | 'containerd';

const Runtime = z.enum(['docker', 'containerd']).default('docker');

/** What HIVEMIND_TEST_RUNTIME says, else docker. */
export const runtimeUnderTest = (): RuntimeName => Runtime.parse(process.env.HIVEMIND_TEST_RUNTIME);

/** A container as an engine has it. */
export interface EngineContainer {
  /** Ours. */
  readonly id: string;
  readonly app: string;
  readonly node: string;
  readonly runtimeId: string;
  readonly state: string;
  readonly running: boolean;
  /** 0 where it does not run. */
  readonly pid: number;
  /** Empty where it does not run, with containerd. */
  readonly startedAt: string;
  /** `NAME=value`. */
  readonly env: readonly string[];
}

/** All of a cluster's on a machine, whatever their state, or those of one app. */
export type ListContainers = (machine: Machine, cluster: string, app?: string) => Promise<readonly EngineContainer[]>;

const NAMESPACE = 'hivemind';
const ANSWER_MS = 10_000;
/** Of the kernel's clock. */
const TICK_MS = 10;

export function containerdSocket({runDir}: Machine): string {
  return join(runDir, 'docker/containerd/containerd.sock');
}

/** Of an image that the machine's Docker Engine has. */
export async function importImage(machine: Machine, image: string): Promise<void> {
  const archive = join(machine.dir, 'image.tar');
  await pipeline(await machine.engine.docker.getImage(image).get(), createWriteStream(archive));
  execFileSync('ctr', ['--address', containerdSocket(machine), '--namespace', NAMESPACE, 'images', 'import', archive]);
}

const ofDocker: ListContainers = async ({name: node, engine: {docker}}, cluster, app) => {
  const label = [`${engineLabels.cluster}=${cluster}`, ...(app === undefined ? [] : [`${engineLabels.app}=${app}`])];
  const listed = await docker.listContainers({all: true, filters: {label}});
  const inspected = await Promise.all(listed.map(({Id}) => docker.getContainer(Id).inspect().catch(missing)));
  return inspected.flatMap((found) => (found === undefined ? [] : [found])).map(({Id, State, Config: {Labels, Env}}) => ({
    id: Labels[engineLabels.container] ?? '', app: Labels[engineLabels.app] ?? '', node,
    runtimeId: Id, state: State.Status, running: State.Running, pid: State.Pid, startedAt: State.StartedAt, env: Env,
  }));
};

const ProcessSpec = z.object({process: z.object({env: z.array(z.string()).default([])})});

const ofContainerd: ListContainers = async (machine, cluster, app) => {
  const client = new ContainerdClient(containerdSocket(machine), NAMESPACE);
  const label = ([key, value]: readonly [string, string]): string => `labels.${JSON.stringify(key)}==${JSON.stringify(value)}`;
  const labels: readonly (readonly [string, string])[] = [[engineLabels.cluster, cluster], ...(app === undefined ? [] : [[engineLabels.app, app] as const])];
  const enough = AbortSignal.timeout(ANSWER_MS);
  try {
    const found: EngineContainer[] = [];
    const {tasks} = await client.call('listTasks', {}, {deadlineMs: ANSWER_MS});
    for await (const {container} of client.stream('listContainers', {filters: [labels.map(label).join(',')]}, enough)) {
      if (container === undefined) continue;
      const task = tasks.find(({containerId, id}) => container.id === (containerId === '' ? id : containerId));
      const running = task?.status === 'RUNNING';
      found.push({
        id: container.labels[engineLabels.container] ?? '', app: container.labels[engineLabels.app] ?? '', node: machine.name,
        runtimeId: container.id, state: task?.status ?? 'no task', running, pid: running ? task.pid : 0, startedAt: running ? startOf(task.pid) : '',
        env: ProcessSpec.parse(JSON.parse(Buffer.from(container.spec?.value ?? '').toString())).process.env,
      });
    }
    enough.throwIfAborted();
    return found;
  } finally {
    client.close();
  }
};

export const listContainers: Readonly<Record<RuntimeName, ListContainers>> = {docker: ofDocker, containerd: ofContainerd};

/** When a process began; empty where it has ended. */
function startOf(pid: number): string {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'latin1');
    const ticks = Number(stat.slice(stat.lastIndexOf(')') + 2).split(' ')[19]);
    const booted = Number(/^btime (\d+)$/m.exec(readFileSync('/proc/stat', 'utf8'))?.[1]) * 1000;
    return new Date(booted + ticks * TICK_MS).toISOString();
  } catch {
    return '';
  }
}

/** It went between the list and the look. */
function missing(error: Error & {readonly statusCode?: number}): undefined {
  if (error.statusCode === 404) return undefined;
  throw error;
}
