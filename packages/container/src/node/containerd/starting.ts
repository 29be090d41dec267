/** From a container that is made to one that runs: its pipes, its task, its network, and only then its process. */
import {join} from 'node:path';
import {runtimeErrors, type RuntimeContainer} from '@hivemind/runtime';
import {type ContainerdClient, isStatus, wordsOf} from './api/client.ts';
import type {LogPump} from './logs/pump.ts';
import type {Networks} from './network/networks.ts';
import type {Place} from './place.ts';
import {type Kept, runningContainer} from './record.ts';
import type {Snapshots} from './snapshots.ts';
import type {Tasks} from './tasks.ts';

export interface StartingOptions {
  readonly client: ContainerdClient;
  readonly place: Place;
  readonly pump: LogPump;
  readonly tasks: Tasks;
  readonly snapshots: Snapshots;
  readonly networks: Networks;
  /** ms since the epoch. */
  now(): number;
}

/** @param fresh It was never started. @returns what it is now; undefined: it ran already. @throws ServiceError of gRPC, and what its network says */
export async function startContainer({client, place, pump, tasks, snapshots, networks, now}: StartingOptions, runtimeId: string, kept: Kept, fresh: boolean): Promise<RuntimeContainer | undefined> {
  const stdout = join(place.pipes(runtimeId), 'stdout');
  const stderr = join(place.pipes(runtimeId), 'stderr');
  const task = fresh ? undefined : await tasks.get(runtimeId);
  if (task?.status === 'RUNNING' || task?.status === 'PAUSED' || task?.status === 'PAUSING') return undefined;
  // What a start left that was cut off between its two calls is begun anew: its pipes may have lost their reader.
  if (task) await tasks.delete(runtimeId);
  await place.makePipes(place.pipes(runtimeId), ['stdout', ...(kept.tty ? [] : ['stderr'])]);
  await pump.open(runtimeId, {log: place.log(runtimeId), stdout, ...(kept.tty ? {} : {stderr})});
  try {
    const {pid} = await client.call('createTask', {containerId: runtimeId, rootfs: await snapshots.rootfs(runtimeId), stdout, stderr: kept.tty ? '' : stderr, terminal: kept.tty});
    // Before it runs: who sees it run sees since when.
    const run = {startedAt: new Date(now()).toISOString()};
    await Promise.all([networks.attach(runtimeId, pid, kept), place.setRun(runtimeId, run)]);
    await client.call('startTask', {containerId: runtimeId});
    return runningContainer(runtimeId, kept, pid, run);
  } catch (error) {
    if (isStatus(error, 'ALREADY_EXISTS')) throw runtimeErrors['runtime-conflict']('Starting the container failed: it is being started.', {cause: error});
    pump.abandon(runtimeId);
    await Promise.all([tasks.delete(runtimeId), networks.detach(runtimeId)]).catch(() => undefined);
    await place.setRun(runtimeId, {error: wordsOf(error)}).catch(() => undefined);
    throw error;
  }
}
