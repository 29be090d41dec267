/**
 * Whether the kernel ended a process of a container for want of memory. containerd tells it as it happens, but listens only once
 * the process has begun: one that takes too much at once is over before. The control group stands until the task is deleted, and
 * has counted it.
 */
import {readFile} from 'node:fs/promises';
import {join} from 'node:path';
import {cgroupDir, cgroupVersion} from './machine.ts';

/** @param cgroup path of its control group; where that is gone nothing is known, and false is said */
export async function ranOutOfMemory(cgroup: string): Promise<boolean> {
  const file = join(cgroupDir(cgroup, 'memory'), cgroupVersion() === 2 ? 'memory.events' : 'memory.oom_control');
  const text = await readFile(file, 'utf8').catch(() => '');
  return Number(/^oom_kill (\d+)$/m.exec(text)?.[1] ?? 0) > 0;
}
