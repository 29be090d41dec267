/**
 * Temporary directories that carry their owner's identity in their name, so that whatever a crashed run
 * left behind (directories, mounts, servers) is found and removed by the next one without a register.
 */
import {spawnSync} from 'node:child_process';
import {existsSync, mkdtempSync, readdirSync, readFileSync, rmSync} from 'node:fs';
import {rm} from 'node:fs/promises';
import {tmpdir} from 'node:os';
import {join} from 'node:path';
import {containerdState, releaseContainerd} from './containerd-remains.ts';
import {sweepNetworks} from './machines/claims.ts';

const prefix = 'hivemind-test-';
/** Holds the name of an engine's bridge. */
export const bridgeFile = 'bridge';

let reaped = false;

/** A fresh directory, removed when this process has gone (by the next run at the latest). */
export function tempDir(name = 'dir'): string {
  if (!reaped) {
    reaped = true;
    reapStale();
  }
  return mkdtempSync(join(tmpdir(), `${prefix}${process.pid}.${bootTicks(process.pid)}-${name}-`));
}

/** Removes a directory of `tempDir`, after unmounting what is mounted in it. */
export async function removeTempDir(dir: string): Promise<void> {
  if (unmountAll(dir)) await rm(dir, {recursive: true, force: true, maxRetries: 5, retryDelay: 50});
}

/** Kills the servers and machines and removes the directories of test processes that no longer exist. */
export function reapStale(): void {
  sweepNetworks(isStale);
  for (const entry of readdirSync(tmpdir())) {
    if (!isStale(entry)) continue;
    const dir = join(tmpdir(), entry);
    release(dir);
    if (unmountAll(dir)) rmSync(dir, {recursive: true, force: true, maxRetries: 5, retryDelay: 50});
  }
}

/** Whether it is the name of a directory whose owner has gone. */
function isStale(name: string): boolean {
  const owner = /^hivemind-test-(\d+)\.(\d+)-/.exec(name);
  return owner !== null && bootTicks(Number(owner[1])) !== owner[2];
}

/**
 * Releases what a directory's servers hold in the kernel: the engine's bridge, containerd's control groups, and by
 * `killProcessesOf` all that runs there.
 */
export function release(dir: string): void {
  killProcessesOf(dir);
  if (existsSync(join(dir, containerdState))) releaseContainerd(dir);
  const bridge = readOrEmpty(join(dir, bridgeFile));
  if (bridge) spawnSync('ip', ['link', 'delete', bridge]);
}

/**
 * Kills every process whose command line names `dir` (servers, container shims) and every process in a
 * container of an engine whose data is there.
 */
function killProcessesOf(dir: string): void {
  const containers = existsSync(join(dir, 'data/containers')) ? readdirSync(join(dir, 'data/containers')) : [];
  for (const entry of readdirSync('/proc')) {
    if (!/^\d+$/.test(entry) || Number(entry) === process.pid) continue;
    const words = readOrEmpty(`/proc/${entry}/cmdline`).split('\0');
    const cgroups = containers.length > 0 ? readOrEmpty(`/proc/${entry}/cgroup`) : '';
    const ours = words.some((word) => word.includes(`${dir}/`) || word.endsWith(dir));
    if (ours || containers.some((id) => cgroups.includes(id))) kill(Number(entry));
  }
}

function kill(pid: number): void {
  try {
    process.kill(pid, 'SIGKILL');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error;
  }
}

/** False where something under `dir` stays mounted: then nothing there may be deleted. */
function unmountAll(dir: string): boolean {
  const mounted = () =>
    readOrEmpty('/proc/self/mounts')
      .split('\n')
      .map((line) => line.split(' ')[1] ?? '')
      .filter((point) => point === dir || point.startsWith(`${dir}/`));
  // The deepest first; lazily, as a dying process may still have its working directory there.
  for (const point of mounted().reverse()) spawnSync('umount', ['-l', point]);
  return mounted().length === 0;
}

/** When a process started, in clock ticks since boot (with its pid, its identity); '' if there is none. */
function bootTicks(pid: number): string {
  const stat = readOrEmpty(`/proc/${pid}/stat`);
  return stat.slice(stat.lastIndexOf(')') + 2).split(' ')[19] ?? '';
}

function readOrEmpty(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return '';
  }
}
