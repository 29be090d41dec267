/**
 * The control group of a machine: all that runs on it, whoever started it, engine and containers
 * included. Killing, freezing and throttling act on the group, so that no process that is just being
 * forked, or that was handed to another parent, escapes. Killing and freezing need the unified
 * hierarchy, which is mounted on its own or beside the old ones (`/sys/fs/cgroup/unified`).
 */
import {existsSync, mkdirSync, readdirSync, readFileSync, rmdirSync, writeFileSync} from 'node:fs';
import {join} from 'node:path';

interface Hierarchy {
  root: string;
  /** Of the old kind: its controllers. */
  controllers?: string[];
}

const period = 100_000;

/** Makes the group, with room for what is started there (`system`) and for containers. */
export function makeGroup(group: string): void {
  for (const root of ours()) mkdirSync(join(root, group, 'system'), {recursive: true});
}

/** The engine's `--cgroup-parent`. */
export function containersOf(group: string): string {
  return `/${group}/containers`;
}

/** Shell text by which a process joins the group. */
export function joinGroup(group: string): string {
  return ours().map((root) => `echo $$ > ${join(root, group, 'system/cgroup.procs')}`).join(' && ');
}

/** Everything that runs in the group or below it. */
export function groupPids(group: string): number[] {
  return tree(join(unified(), group)).flatMap((dir) => linesOf(join(dir, 'cgroup.procs')).map(Number));
}

/** SIGKILL to everything in the group. What dies is over once `isEmpty` says so. */
export function killGroup(group: string): void {
  const file = join(unified(), group, 'cgroup.kill');
  if (existsSync(file)) writeFileSync(file, '1');
}

export function isEmpty(group: string): boolean {
  return linesOf(join(unified(), group, 'cgroup.events')).every((line) => line !== 'populated 1');
}

/** Freezes or thaws everything in the group. What freezes has stopped once `isFrozen` says so. */
export function freezeGroup(group: string, frozen: boolean): void {
  writeFileSync(join(unified(), group, 'cgroup.freeze'), frozen ? '1' : '0');
}

export function isFrozen(group: string): boolean {
  return linesOf(join(unified(), group, 'cgroup.events')).includes('frozen 1');
}

/** Limits the group to `cpus` processors, such as 0.1; undefined takes the limit away. */
export function throttleGroup(group: string, cpus: number | undefined): void {
  const quota = cpus === undefined ? undefined : Math.max(1000, Math.round(cpus * period));
  const old = hierarchies().find(({controllers}) => controllers?.includes('cpu'));
  if (old) {
    writeFileSync(join(old.root, group, 'cpu.cfs_quota_us'), `${quota ?? -1}`);
    return;
  }
  enableController('cpu', group);
  writeFileSync(join(unified(), group, 'cpu.max'), `${quota ?? 'max'} ${period}`);
}

/** Removes the empty group from every hierarchy; the engine's containers leave theirs in all of them. */
export function removeGroup(group: string): void {
  for (const {root} of hierarchies()) {
    for (const dir of tree(join(root, group)).reverse()) rmdirSync(dir);
  }
}

function enableController(name: string, group: string): void {
  let dir = unified();
  for (const part of group.split('/')) {
    writeFileSync(join(dir, 'cgroup.subtree_control'), `+${name}`);
    dir = join(dir, part);
  }
}

/** Where a machine's processes are put: the unified hierarchy, and the old one that throttles. */
function ours(): string[] {
  const throttles = hierarchies().filter(({controllers}) => controllers?.includes('cpu'));
  return [unified(), ...throttles.map(({root}) => root)];
}

function unified(): string {
  const found = hierarchies().find(({controllers}) => controllers === undefined);
  if (!found) throw new Error('machines need the unified cgroup hierarchy: mount -t cgroup2 none /sys/fs/cgroup/unified');
  return found.root;
}

function hierarchies(): Hierarchy[] {
  const found: Hierarchy[] = [];
  for (const line of readFileSync('/proc/self/mounts', 'utf8').split('\n')) {
    const [, root = '', type, options = ''] = line.split(' ');
    if (type === 'cgroup2') found.push({root});
    if (type === 'cgroup') found.push({root, controllers: options.split(',')});
  }
  return found;
}

/** A group and all below it, parents first. */
function tree(dir: string): string[] {
  if (!existsSync(dir)) return [];
  const below = readdirSync(dir, {withFileTypes: true}).filter((entry) => entry.isDirectory());
  return [dir, ...below.flatMap(({name}) => tree(join(dir, name)))];
}

function linesOf(path: string): string[] {
  try {
    return readFileSync(path, 'utf8').split('\n').filter(Boolean);
  } catch (error) {
    // A container's group goes when it ends; ENODEV is a read in that moment.
    if (['ENOENT', 'ENODEV'].includes((error as NodeJS.ErrnoException).code ?? '')) return [];
    throw error;
  }
}
