/**
 * What the control group that this process lives in may use: of version 2 (one tree) or 1 (a tree a controller). A group is
 * bound by its parents too, so each level up to the root is looked at; the least counts.
 */
import {readFile} from 'node:fs/promises';
import {dirname, join} from 'node:path';

export interface CgroupLimits {
  /** Millicores; infinite where there is no limit. */
  readonly cpu: number;
  /** Bytes; infinite where there is no limit. */
  readonly memory: number;
}

export interface CgroupOptions {
  /** Where the groups are mounted. */
  readonly root?: string;
  /** The file that says which groups a process is in. */
  readonly self?: string;
}

/** Version 1 says "no limit" with a number near 2^63. */
const NO_LIMIT = 2 ** 60;

export async function cgroupLimits({root = '/sys/fs/cgroup', self = '/proc/self/cgroup'}: CgroupOptions = {}): Promise<CgroupLimits> {
  const groups = groupsOf(await readOrEmpty(self));
  const [cpu, memory] = await Promise.all([
    least([...levels(root, groups.get('')).map(cpuOfV2), ...levels(join(root, 'cpu'), groups.get('cpu')).map(cpuOfV1)]),
    least([...levels(root, groups.get('')).map((path) => bytesIn(join(path, 'memory.max'))), ...levels(join(root, 'memory'), groups.get('memory')).map((path) => bytesIn(join(path, 'memory.limit_in_bytes')))]),
  ]);
  return {cpu, memory};
}

/** Controller → path of its group; version 2 has the name ''. Within a container the path may be one of the host: then the root is the group. */
function groupsOf(text: string): ReadonlyMap<string, string> {
  const groups = new Map<string, string>();
  for (const line of text.split('\n')) {
    const [, controllers, path] = /^\d+:([^:]*):(.*)$/.exec(line) ?? [];
    if (controllers === undefined || path === undefined) continue;
    for (const controller of controllers.split(',')) groups.set(controller, path);
  }
  return groups;
}

/** The group's directory and those above it, up to the mount. */
function levels(root: string, path = '/'): readonly string[] {
  const found = [root];
  for (let at = path; at !== '/' && at !== '.' && !at.startsWith('/..'); at = dirname(at)) found.push(join(root, at));
  return found;
}

async function cpuOfV2(path: string): Promise<number> {
  const [quota, period] = (await readOrEmpty(join(path, 'cpu.max'))).trim().split(' ').map(Number);
  return millicores(quota, period);
}

async function cpuOfV1(path: string): Promise<number> {
  const [quota, period] = await Promise.all(['cpu.cfs_quota_us', 'cpu.cfs_period_us'].map(async (file) => Number((await readOrEmpty(join(path, file))) || Number.NaN)));
  return millicores(quota, period);
}

function millicores(quota: number | undefined, period: number | undefined): number {
  return quota !== undefined && period !== undefined && quota > 0 && period > 0 ? Math.ceil((quota / period) * 1000) : Number.POSITIVE_INFINITY;
}

async function bytesIn(path: string): Promise<number> {
  const bytes = Number((await readOrEmpty(path)).trim() || Number.NaN);
  return bytes > 0 && bytes < NO_LIMIT ? bytes : Number.POSITIVE_INFINITY;
}

async function least(amounts: readonly Promise<number>[]): Promise<number> {
  return Math.min(Number.POSITIVE_INFINITY, ...(await Promise.all(amounts)));
}

async function readOrEmpty(path: string): Promise<string> {
  return readFile(path, 'utf8').catch(() => '');
}
