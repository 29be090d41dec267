/** How far a drain has come, and what it waits for: worked out on read from what is on the machine. Pure. */
import {type AppRecord, type ContainerRecord, type ContainerStatus, type Node, type NodeRecord, resourceKey} from '@hivemind/contracts';

export interface OnMachine {
  readonly record: ContainerRecord;
  readonly status: ContainerStatus | undefined;
  readonly mode: AppRecord['spec']['mode'] | undefined;
}

export type DrainProgress = NonNullable<Node['status']['drain']>;

/** @param localVolumes keys (`namespace/name`) of the volumes whose data is on the machine */
export function drainProgress({spec}: NodeRecord, containers: readonly OnMachine[], localVolumes: ReadonlySet<string>): DrainProgress | undefined {
  const {drain, maintenance = false} = spec;
  if (drain === undefined) return undefined;
  const concerned = containers.filter(({record, status, mode}) => (maintenance || mode !== 'global') && !isOver(record, status));
  const blocked = concerned.map(({record}) => ({container: record.id, namespace: record.namespace, app: record.app, ...blockOf(record, drain.stopLocal, localVolumes)}));
  return {
    since: drain.since,
    ...(drain.deadlineAt === undefined ? {} : {deadlineAt: drain.deadlineAt}),
    done: blocked.every(({reason}) => reason === 'LocalVolume'),
    total: blocked.length,
    blocked,
  };
}

/** It ran to its end: there is nothing to move. */
function isOver({removedAt}: ContainerRecord, status: ContainerStatus | undefined): boolean {
  return removedAt === undefined && status?.phase === 'exited' && status.exitCode === 0;
}

function blockOf({removedAt, namespace, app, template, mode}: ContainerRecord, stopLocal: boolean, localVolumes: ReadonlySet<string>): {readonly reason: string; readonly message: string} {
  if (removedAt !== undefined) return {reason: 'Stopping', message: 'it was told to stop'};
  const volume = template.volumes.find(({name}) => name !== undefined && localVolumes.has(resourceKey(namespace, name)))?.name;
  if (volume !== undefined && !stopLocal) return {reason: 'LocalVolume', message: `the data of volume ${volume} is here: it stays, unless the drain stops users of local volumes too (--stop-local)`};
  if (mode === 'job') return {reason: 'RunsToItsEnd', message: 'it is a run of a job, and is left to its end, or until the deadline'};
  return {reason: 'WaitsForReplacement', message: `it stops when another one of app ${app} is ready elsewhere`};
}
