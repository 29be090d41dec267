/** What this machine allows, asked once. */
import {existsSync, readFileSync, type Stats} from 'node:fs';
import {lstat, readdir, realpath, stat} from 'node:fs/promises';
import {join} from 'node:path';
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
  const devices: Device[] = [];
  const walk = async (dir: string): Promise<void> => {
    for (const entry of await readdir(dir, {withFileTypes: true})) {
      const path = join(dir, entry.name);
      // Terminals and shared memory are each container's own.
      if (entry.isDirectory()) {
        if (!['/dev/pts', '/dev/shm', '/dev/mqueue'].includes(path)) await walk(path);
      } else if ((entry.isCharacterDevice() || entry.isBlockDevice()) && path !== '/dev/console') {
        devices.push({path, ...deviceOf(await lstat(path))});
      }
    }
  };
  await walk('/dev');
  return devices;
}

/** As the kernel packs them: 12 bits of the major number between two parts of the minor. */
function deviceOf(stats: Stats): Pick<Device, 'type' | 'major' | 'minor'> {
  const {rdev} = stats;
  return {type: stats.isBlockDevice() ? 'b' : 'c', major: (rdev >> 8) & 0xfff, minor: (rdev & 0xff) | ((rdev >> 12) & 0xfff00)};
}

/**
 * What an app asked for: links are followed, as those below /dev/serial/by-id, and a folder stands for the devices in it.
 * @throws TypeError naming what the machine does not have
 */
export async function givenDevices(asked: readonly DeviceSpec[]): Promise<readonly GivenDevice[]> {
  const found = new Map<string, GivenDevice>();
  const take = async (host: string, path: string, access: string, isAsked: boolean): Promise<void> => {
    const real = await realpath(host).catch(() => undefined);
    const stats = real === undefined ? undefined : await stat(real).catch(() => undefined);
    if (stats?.isDirectory() === true) {
      for (const name of await readdir(host)) await take(join(host, name), join(path, name), access, false);
    } else if (stats?.isCharacterDevice() === true || stats?.isBlockDevice() === true) {
      found.set(path, {path, ...deviceOf(stats), fileMode: stats.mode & 0o777, uid: stats.uid, gid: stats.gid, access});
    } else if (isAsked) throw new TypeError(stats === undefined ? `this machine has no device ${host}: name machines that do with placement` : `${host} is no device`);
  };
  for (const {host, mount: path = host, permissions} of asked) await take(host, path, permissions, true);
  return [...found.values()];
}

/** A static init program, as Docker brings one. */
export function initProgram(): string | undefined {
  return ['/usr/bin/docker-init', '/usr/bin/tini-static', '/sbin/tini-static', '/usr/libexec/podman/catatonit', '/usr/bin/catatonit'].find(existsSync);
}
