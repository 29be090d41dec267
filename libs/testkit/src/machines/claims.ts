/**
 * Which networks of machines there are on this computer, and whose. A claim is a symbolic link, made in
 * one step, from the network's name to its owner's directory of `tempDir`, which says which process
 * that is. Everything that a network has in the kernel carries its name, so that what a crash left
 * behind is removed knowing nothing else.
 */
import {mkdirSync, readdirSync, readlinkSync, rmSync, symlinkSync} from 'node:fs';
import {networkInterfaces} from 'node:os';
import {basename, join} from 'node:path';
import {isEmpty, killGroup, removeGroup} from './cgroup.ts';
import {dropLink, dropNamespace} from './kernel.ts';

const claims = '/run/hivemind-test';

/** A /24 of its own: `10.200.7` is named `hmt200.7`. */
export interface Network {
  /** Name of its link, its switch's network namespace and its control group. */
  readonly name: string;
  /** The first three numbers of its addresses. */
  readonly prefix: string;
}

/** Claims a network that nobody uses, for the owner of a directory of `tempDir`. */
export function claimNetwork(dir: string): Network {
  mkdirSync(claims, {recursive: true});
  for (let attempt = 0; attempt < 100; attempt++) {
    // Clear of what Hivemind gives to containers (10.244) and services (10.96), and of what clouds like.
    const [a, b] = [200 + Math.floor(Math.random() * 40), Math.floor(Math.random() * 256)];
    const network = {name: `hmt${a}.${b}`, prefix: `10.${a}.${b}`};
    if (isUsed(network) || !claim(network, dir)) continue;
    return network;
  }
  throw new Error('no free network found between 10.200.0.0 and 10.239.255.0');
}

/** Removes all of a network, and the claim on it last. Machine after machine, whatever is missing. */
export function releaseNetwork(name: string): void {
  killGroup(name);
  for (let wait = 0; !isEmpty(name); wait++) {
    if (wait > 1000) throw new Error(`what runs in the control group ${name} does not end when killed`);
    Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 5);
  }
  removeGroup(name);
  for (const namespace of namespacesOf(name)) dropNamespace(namespace);
  dropLink(name);
  rmSync(join(claims, name), {force: true});
}

/** Removes the networks whose owners have gone. */
export function sweepNetworks(isGone: (ownerDir: string) => boolean): void {
  for (const [name, dir] of listed()) if (isGone(basename(dir))) releaseNetwork(name);
}

function claim({name}: Network, dir: string): boolean {
  try {
    symlinkSync(dir, join(claims, name));
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EEXIST') return false;
    throw error;
  }
}

function isUsed({prefix}: Network): boolean {
  const addresses = Object.values(networkInterfaces()).flatMap((list) => list ?? []);
  return addresses.some(({address}) => address.startsWith(`${prefix}.`));
}

function listed(): [name: string, dir: string][] {
  return entries(claims).map((name) => [name, readlinkSync(join(claims, name))]);
}

function namespacesOf(name: string): string[] {
  return entries('/run/netns').filter((entry) => entry === name || entry.startsWith(`${name}.m`));
}

function entries(dir: string): string[] {
  try {
    return readdirSync(dir);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return [];
    throw error;
  }
}
