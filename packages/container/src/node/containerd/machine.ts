/** What this machine allows, asked once. */
import {existsSync, readFileSync, type Stats} from 'node:fs';
import {lstat, readdir, realpath, stat} from 'node:fs/promises';
import {join, relative} from 'node:path';
import {arch} from 'node:process';
import type {DeviceSpec} from '@hivemind/contracts';
import type {Device, GivenDevice, MachineFacts} from './core/oci-spec.ts';

const SYS_RESOURCE = 24n;
const CGROUPS = '/sys/fs/cgroup';

/** Under cgroup v1 each controller has a tree of its own. */
export type CgroupVersion = 1 | 2;

export function cgroupVersion(): CgroupVersion {
  return existsSync(join(CGROUPS, 'cgroup.controllers')) ? 2 : 1;
}

export function machineFacts(): MachineFacts {
  const status = readFileSync('/proc/self/status', 'utf8');
  const mask = (name: string): bigint => BigInt(`0x${new RegExp(`^${name}:\\s*([0-9a-f]+)`, 'm').exec(status)?.[1] ?? '0'}`);
  return {
    arch,
    capabilities: mask('CapBnd'),
    swapLimit: cgroupVersion() === 2 || existsSync(join(CGROUPS, 'memory/memory.memsw.limit_in_bytes')),
    raisesLimits: ((mask('CapEff') >> SYS_RESOURCE) & 1n) === 1n,
  };
}

/** Where the files of a container's control group are: by controller under v1. */
export function cgroupDir(path: string, controller: string): string {
  return cgroupVersion() === 2 ? join(CGROUPS, path) : join(CGROUPS, controller, path);
}

/** All of the machine's devices, for privileged containers. */
export async function hostDevices(): Promise<readonly Device[]> {
  return (await devicesBelow('/dev')).map(({path, stats}) => ({path, ...deviceOf(stats)}));
}

/**
 * What an app asked for: a link is followed, as those below /dev/serial/by-id, and a folder stands for the devices in it.
 * @throws TypeError naming what the machine does not have
 */
export async function givenDevices(asked: readonly DeviceSpec[]): Promise<readonly GivenDevice[]> {
  const found = new Map<string, GivenDevice>();
  for (const {host, mount = host, permissions: access} of asked) {
    const real = await realpath(host).catch(() => undefined);
    const stats = real === undefined ? undefined : await stat(real);
    if (real === undefined || stats === undefined) throw new TypeError(`this machine has no device ${host}: name machines that do with placement`);
    const devices = stats.isDirectory() ? await devicesBelow(real) : isDevice(stats) ? [{path: real, stats}] : [];
    if (devices.length === 0) throw new TypeError(`${host} of this machine is neither a device nor a folder of them`);
    for (const one of devices) {
      const path = join(mount, relative(real, one.path));
      found.set(path, {path, ...deviceOf(one.stats), fileMode: one.stats.mode & 0o777, uid: one.stats.uid, gid: one.stats.gid, access});
    }
  }
  return [...found.values()];
}

/** Links are not followed: they may lead round, or anywhere. */
async function devicesBelow(dir: string): Promise<readonly {readonly path: string; readonly stats: Stats}[]> {
  const devices: {path: string; stats: Stats}[] = [];
  for (const entry of await readdir(dir, {withFileTypes: true})) {
    const path = join(dir, entry.name);
    // Terminals and shared memory are each container's own.
    if (entry.isDirectory()) {
      if (!['/dev/pts', '/dev/shm', '/dev/mqueue'].includes(path)) devices.push(...(await devicesBelow(path)));
    } else if (isDevice(entry) && path !== '/dev/console') devices.push({path, stats: await lstat(path)});
  }
  return devices;
}

const isDevice = (entry: Pick<Stats, 'isBlockDevice' | 'isCharacterDevice'>): boolean => entry.isBlockDevice() || entry.isCharacterDevice();

/** As the kernel packs them: 12 bits of the major number between two parts of the minor. */
function deviceOf(stats: Stats): Pick<Device, 'type' | 'major' | 'minor'> {
  const {rdev} = stats;
  return {type: stats.isBlockDevice() ? 'b' : 'c', major: (rdev >> 8) & 0xfff, minor: (rdev & 0xff) | ((rdev >> 12) & 0xfff00)};
}

/** A static init program, as Docker brings one. */
export function initProgram(): string | undefined {
  return ['/usr/bin/docker-init', '/usr/bin/tini-static', '/sbin/tini-static', '/usr/libexec/podman/catatonit', '/usr/bin/catatonit'].find(existsSync);
}
