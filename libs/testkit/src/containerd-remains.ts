/** What a containerd of the testkit leaves in the kernel once it and its shims were killed. */
import {spawnSync} from 'node:child_process';
import {createHash} from 'node:crypto';
import {globSync, readFileSync, rmSync} from 'node:fs';
import {basename, join} from 'node:path';
import {isEmpty, killGroup, removeGroup} from './machines/cgroup.ts';

/** Its `state`, below its directory. */
export const containerdState = 'containerd-state';

/** Kills what runs in its containers, and removes their control groups and the sockets of their shims. */
export function releaseContainerd(dir: string): void {
  const group = basename(dir);
  killGroup(group);
  for (let wait = 0; !isEmpty(group); wait++) {
    if (wait > 1000) throw new Error(`what runs in the control group ${group} does not end when killed`);
    Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 5);
  }
  removeGroup(group);
  releaseNetworks(group);
  // Shims have their sockets in /run/containerd, whatever the state directory is.
  for (const file of globSync(join(dir, containerdState, 'io.containerd.runtime.v2.task/*/*/address'))) {
    const address = readFileSync(file, 'utf8').replace(/^unix:\/\//, '');
    if (address.startsWith('/run/containerd/s/')) rmSync(address, {force: true});
  }
}

/** The bridges and rules of a cluster that is named as the directory. */
function releaseNetworks(name: string): void {
  const links: unknown = JSON.parse(spawnSync('ip', ['-json', 'link', 'show', 'type', 'bridge'], {encoding: 'utf8'}).stdout || '[]');
  for (const {ifname, ifalias} of links as readonly {readonly ifname?: string; readonly ifalias?: string}[]) {
    if (ifname !== undefined && ifalias === `hivemind:${name}`) spawnSync('ip', ['link', 'del', ifname]);
  }
  spawnSync('nft', ['delete', 'table', 'ip', `hivemind_c_${createHash('sha256').update(name).digest('hex').slice(0, 8)}`]);
}
