/** Which process something on the disk belongs to: said in its name, so that what a killed one left is told from what is in use. */
import {readFile} from 'node:fs/promises';

/** As in `123-4567`: the process, and when it started. */
export async function ownMark(): Promise<string> {
  return `${process.pid}-${await startOf(process.pid)}`;
}

/** Whether the process that a mark names lives. */
export async function ownerLives(mark: string): Promise<boolean> {
  const [, pid = '', start = ''] = /^(\d+)-(\d+)$/.exec(mark) ?? [];
  return pid !== '' && start === (await startOf(Number(pid)));
}

/** Ticks since the machine started; undefined: there is no such process, or it has ended. */
export async function startOf(pid: number): Promise<string | undefined> {
  const stat = await readFile(`/proc/${pid}/stat`, 'latin1').catch(() => '');
  const [state, ...rest] = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  return state === undefined || state === '' || state === 'Z' || state === 'X' ? undefined : rest[18];
}
