/** From what the worker asks for to what containerd is told: image, user, files and mounts looked up, then the pure spec. */
import {writeFile} from 'node:fs/promises';
import {randomUUID} from 'node:crypto';
import {join} from 'node:path';
import {runtimeErrors, type RuntimeSpec} from '@hivemind/runtime';
import type {Logger} from 'pino';
import * as z from 'zod';
import type {ContainerdClient} from './api/client.ts';
import type {Container, Mount as SnapshotMount} from './api/messages.ts';
import {type GivenDevice, type MachineFacts, type Mount, ociSpec} from './core/oci-spec.ts';
import {parseSpec} from './core/spec-text.ts';
import {resolveUser, type User} from './core/users.ts';
import type {KnownImage} from './images/store.ts';
import {givenDevices, hostDevices, initProgram, machineFacts} from './machine.ts';
import type {Connections, Networks} from './network/networks.ts';
import {resolvConf} from './network/resolv-conf.ts';
import type {Place} from './place.ts';
import {type Kept, keptOf} from './record.ts';
import {layersOf, readInLayers} from './rootfs.ts';
import {orGone} from './snapshots.ts';
import type {Volumes} from './volumes.ts';

export interface MakerOptions {
  readonly client: ContainerdClient;
  readonly place: Place;
  readonly volumes: Volumes;
  readonly networks: Pick<Networks, 'assign'>;
  readonly snapshotter: () => Promise<string>;
  readonly cgroupParent: string;
  readonly logger: Logger;
}

interface Accounts {
  readonly passwd: string;
  readonly group: string;
}

const REMEMBERED = 200;
const LOOPBACK = '127.0.0.1\tlocalhost\n::1\tlocalhost ip6-localhost ip6-loopback\n';

export class Maker {
  readonly #options: MakerOptions;
  /** By the snapshot they are in: it never changes. */
  readonly #accounts = new Map<string, Promise<Accounts>>();
  #machine: MachineFacts | undefined;

  constructor(options: MakerOptions) {
    this.#options = options;
  }

  /** @throws `start-failed` naming what cannot be: a user, a capability, a published port without a network; `port-in-use` */
  async describe(runtimeId: string, spec: RuntimeSpec, image: KnownImage, cluster: string): Promise<{readonly kept: Kept; readonly spec: Readonly<Record<string, unknown>>}> {
    const {cgroupParent, volumes, networks} = this.#options;
    const {record} = spec;
    const {template} = record;
    const cgroup = `${cgroupParent}/${runtimeId}`;
    const init = template.init === true ? initProgram() : undefined;
    if (template.init === true && init === undefined) throw refused(spec, 'this machine has no init program for it: install tini, or leave `init` out');
    const connections = await networks.assign(runtimeId, spec);
    const parts = [
      this.#user(template.user ?? image.config.config?.User ?? '', image.chainId, spec, template.groups),
      this.#files(runtimeId, spec, connections, cluster),
      volumes.resolve(spec.mounts, () => this.#view(image.chainId)),
      template.privileged === true ? hostDevices() : Promise.resolve([]),
      this.#devices(spec),
    ] as const;
    // What fails is cleared away by who asked: nothing of it may come later.
    await Promise.allSettled(parts);
    const [user, files, mounts, devices, given] = await Promise.all(parts);
    const machine = this.#facts();
    const input = {record, image: image.config, env: spec.env, user, mounts: [...files, ...mounts], cgroupsPath: cgroup, devices, given, machine, ...(init === undefined ? {} : {init})};
    try {
      return {kept: keptOf(spec, cluster, cgroup, connections), spec: ociSpec(input)};
    } catch (error) {
      if (error instanceof TypeError) throw refused(spec, error.message, error);
      throw error;
    }
  }

  /** For a command in a container that there is. @throws `start-failed` where the image has no such user */
  async userOf(wanted: string, image: string, snapshotKey: string): Promise<User> {
    const {client, snapshotter} = this.#options;
    // As the container has it now: it may have made users of its own.
    const {mounts} = await client.call('mounts', {snapshotter: await snapshotter(), key: snapshotKey});
    const layers = layersOf(mounts);
    try {
      return resolveUser(wanted, await readInLayers(layers, '/etc/passwd'), await readInLayers(layers, '/etc/group'));
    } catch (error) {
      throw runtimeErrors['start-failed'](`Running a command as ${wanted} failed: ${error instanceof Error ? error.message : String(error)} (${image}).`, {cause: error});
    }
  }

  /** Another containerd may answer now. */
  forget(): void {
    this.#accounts.clear();
  }

  async #user(wanted: string, chainId: string, spec: RuntimeSpec, groups: readonly string[] = []): Promise<User> {
    let reading = this.#accounts.get(chainId);
    if (!reading) {
      reading = this.#readAccounts(chainId);
      reading.catch(() => this.#accounts.delete(chainId));
      this.#accounts.set(chainId, reading);
      const [oldest] = this.#accounts.keys();
      if (this.#accounts.size > REMEMBERED && oldest !== undefined) this.#accounts.delete(oldest);
    }
    const {passwd, group} = await reading;
    try {
      return resolveUser(wanted, passwd, group, groups);
    } catch (error) {
      throw refused(spec, error instanceof Error ? error.message : String(error), error);
    }
  }

  async #devices(spec: RuntimeSpec): Promise<readonly GivenDevice[]> {
    try {
      return await givenDevices(spec.record.template.devices ?? []);
    } catch (error) {
      throw refused(spec, error instanceof Error ? error.message : String(error), error);
    }
  }

  async #readAccounts(chainId: string): Promise<Accounts> {
    const layers = layersOf(await this.#view(chainId));
    const [passwd, group] = await Promise.all([readInLayers(layers, '/etc/passwd'), readInLayers(layers, '/etc/group')]);
    return {passwd, group};
  }

  /** Where an image's layers lie. A view is made to be told, and removed at once: the layers stay. */
  async #view(chainId: string): Promise<readonly SnapshotMount[]> {
    const {client, snapshotter: chosen} = this.#options;
    const snapshotter = await chosen();
    const key = `hivemind-view-${randomUUID()}`;
    const {mounts} = await client.call('viewSnapshot', {snapshotter, key, parent: chainId});
    // Garbage collection takes it where this process dies here, and may do so before.
    await orGone(client.call('removeSnapshot', {snapshotter, key}));
    // That of one layer is the view's own directory where snapshots are copies.
    return mounts;
  }

  /** /etc/hosts, hostname and resolv.conf: the container's own to change. */
  async #files(runtimeId: string, spec: RuntimeSpec, {attachments: [first]}: Connections, cluster: string): Promise<readonly Mount[]> {
    const {place} = this.#options;
    const {record} = spec;
    const {template} = record;
    const dir = place.files(runtimeId);
    const hostname = template.hostname ?? record.id;
    const texts = {
      hosts: `${LOOPBACK}${first?.address ?? '127.0.0.1'}\t${hostname}\n${Object.entries(template.extraHosts ?? {}).map(([host, address]) => `${address}\t${host}\n`).join('')}`,
      hostname: `${hostname}\n`,
      'resolv.conf': await resolvConf(spec),
    };
    await place.begin(runtimeId, cluster);
    return Promise.all(Object.entries(texts).map(async ([name, text]): Promise<Mount> => {
      await writeFile(join(dir, name), text);
      return {destination: `/etc/${name}`, type: 'bind', source: join(dir, name), options: ['rbind', 'rprivate', 'rw']};
    }));
  }

  #facts(): MachineFacts {
    if (!this.#machine) {
      this.#machine = machineFacts();
      if (!this.#machine.raisesLimits) this.#options.logger.warn('this machine forbids changing OOM scores and raising limits: containers have those of containerd');
    }
    return this.#machine;
  }
}

/** What runs in a container, as its spec says it. */
export function processOf({spec}: Container): Readonly<Record<string, unknown>> {
  const {process} = z.object({process: z.record(z.string(), z.unknown())}).parse(parseSpec(Buffer.from(spec?.value ?? []).toString('utf8')));
  return process;
}

function refused({record}: RuntimeSpec, why: string, cause?: unknown): Error {
  return runtimeErrors['start-failed'](`Creating ${record.id} failed: ${why}.`, {cause});
}
