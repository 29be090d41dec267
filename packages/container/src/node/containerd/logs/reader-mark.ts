/** Which process reads the output of a cluster's containers: only when it is gone may another do so, or each had half. */
import {mkdir, readFile, rm, writeFile} from 'node:fs/promises';
import {dirname, join} from 'node:path';
import {startOf} from '../owner.ts';

/** @param pipe that of one of the containers' outputs */
export function markBeside(pipe: string, cluster: string): string {
  return markIn(dirname(dirname(dirname(pipe))), cluster);
}

/** @param pipes the directory of them all */
export function markIn(pipes: string, cluster: string): string {
  return join(pipes, `.reader-${cluster}`);
}

export async function markReader(path: string): Promise<void> {
  await mkdir(dirname(path), {recursive: true, mode: 0o700});
  await writeFile(path, `${process.pid} ${await startOf(process.pid)}\n`);
}

export async function unmarkReader(path: string): Promise<void> {
  if ((await readFile(path, 'utf8').catch(() => '')).startsWith(`${process.pid} `)) await rm(path, {force: true});
}

export async function readerLives(path: string): Promise<boolean> {
  const [pid = '', start] = (await readFile(path, 'utf8').catch(() => '')).trim().split(' ');
  return pid !== '' && start === (await startOf(Number(pid)));
}
