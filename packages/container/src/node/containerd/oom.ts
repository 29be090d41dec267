/**
 * Whether the kernel ended a process of a container for want of memory. containerd tells it as it happens, but listens only once
 * the process has begun: one that takes too much at once is over before. The control group stands until the task is deleted, and
 * has counted it.
 */
import {readFile} from 'node:fs/promises';
import {join} from 'node:path';
import {cgroupDir, cgroupVersion} from './machine.ts';
import type {Place} from './place.ts';
import type {Kept} from './record.ts';

/** @param cgroup path of its control group; where that is gone nothing is known, and false is said */
async function ranOutOfMemory(cgroup: string): Promise<boolean> {
  const file = join(cgroupDir(cgroup, 'memory'), cgroupVersion() === 2 ? 'memory.events' : 'memory.oom_control');
  const text = await readFile(file, 'utf8').catch(() => '');
  return Number(/^oom_kill (\d+)$/m.exec(text)?.[1] ?? 0) > 0;
}

/** Remembers it with the container's last run. */
export async function noteOutOfMemory(place: Place, runtimeId: string): Promise<void> {
  await place.setRun(runtimeId, {...(await place.run(runtimeId)), oomKilled: true}).catch(() => undefined);
}

/** It ended for want of memory, and no event said so. It is remembered from now on. */
export async function ranOutUntold(place: Place, runtimeId: string, kept: Pick<Kept, 'cgroup'> | undefined): Promise<boolean> {
  if (kept === undefined || (await place.run(runtimeId)).oomKilled === true || !(await ranOutOfMemory(kept.cgroup))) return false;
  await noteOutOfMemory(place, runtimeId);
  return true;
}
