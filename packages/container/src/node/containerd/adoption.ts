/** What is done when containerd is (again) there: what runs is read and looked after, what killed agents left is put away. */
import type {Logger} from 'pino';
import type {ContainerdClient} from './api/client.ts';
import type {LogPump} from './logs/pump.ts';
import type {Networks} from './network/networks.ts';
import type {Place} from './place.ts';
import type {Kept} from './record.ts';
import {taskId} from './tasks.ts';

export interface AdoptionOptions {
  readonly client: ContainerdClient;
  readonly place: Place;
  readonly pump: LogPump;
  readonly networks: Networks;
  readonly cluster: string;
  /** The cluster's, by containerd's id. */
  readonly listed: () => Promise<ReadonlyMap<string, Kept>>;
  /** Containers that are being made: containerd may not know of them yet. */
  readonly making: ReadonlySet<string>;
  readonly logger: Logger;
}

const LIST_MS = 30_000;
const SIGKILL = 9;

/** @throws ServiceError of gRPC where containerd is gone again */
export async function adopt(options: AdoptionOptions): Promise<void> {
  const {client, place, pump, networks, logger} = options;
  const containers = await options.listed();
  const {tasks} = await client.call('listTasks', {}, {deadlineMs: LIST_MS});
  for (const task of tasks) {
    const {status, stdout, stderr} = task;
    const runtimeId = taskId(task);
    if (!containers.has(runtimeId) || status === 'STOPPED' || stdout === '') continue;
    await pump.open(runtimeId, {log: place.log(runtimeId), stdout, ...(stderr === '' ? {} : {stderr})}).catch((err: unknown) => {
      logger.warn({err, container: runtimeId}, 'the output of a container cannot be read');
    });
  }
  await networks.adopt(() => connected(options)).catch((err: unknown) => logger.warn({err}, 'the networks of the containers that run could not be looked after'));
  await sweep(options).catch((err: unknown) => logger.warn({err}, 'what agents before this one left could not be put away'));
}

async function connected({client, listed}: AdoptionOptions): ReturnType<Parameters<Networks['adopt']>[0]> {
  const [containers, {tasks}] = await Promise.all([listed(), client.call('listTasks', {}, {deadlineMs: LIST_MS})]);
  return new Map(tasks.flatMap((task) => {
    const kept = containers.get(taskId(task));
    return kept === undefined || task.status === 'STOPPED' ? [] : [[taskId(task), {...kept, pid: task.pid, started: task.status !== 'CREATED'}]];
  }));
}

async function sweep({client, place, cluster, making}: AdoptionOptions): Promise<void> {
  const known = new Set<string>();
  const enough = AbortSignal.timeout(LIST_MS);
  for await (const {container} of client.stream('listContainers', {filters: []}, enough)) if (container) known.add(container.id);
  // Half a list would look as if the rest had never been.
  enough.throwIfAborted();
  for (const {id, execId} of await place.sweep(cluster, known, making)) {
    // A command that nobody can hear, or end, any more.
    const process = {containerId: id, execId};
    void client.call('kill', {...process, signal: SIGKILL}).then(() => client.call('wait', process)).then(() => client.call('deleteProcess', process)).catch(() => undefined);
  }
}
