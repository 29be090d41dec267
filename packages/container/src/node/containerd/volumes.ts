/** Named volumes: directories of the machine, and whose they are. */
import {execFile} from 'node:child_process';
import {mkdir, mkdtemp, readdir, readFile, rename, rm, rmdir, writeFile} from 'node:fs/promises';
import {join} from 'node:path';
import {promisify} from 'node:util';
import {engineLabels} from '@hivemind/contracts';
import {runtimeErrors, type Runtime, type RuntimeMount} from '@hivemind/runtime';
import * as z from 'zod';
import type {Mount as SnapshotMount} from './api/messages.ts';
import type {Mount} from './core/oci-spec.ts';
import {errnoOf} from './errno.ts';
import type {Place} from './place.ts';
import {findInLayers, layersOf} from './rootfs.ts';

const run = promisify(execFile);
const Meta = z.object({labels: z.record(z.string(), z.string())});

export class Volumes {
  readonly #place: Place;
  readonly #cluster: string;
  readonly #making = new Map<string, Promise<void>>();

  constructor(place: Place, cluster: string) {
    this.#place = place;
    this.#cluster = cluster;
  }

  /** Mounts as runc takes them; volumes are made where they are missing, with what the image has at that place. */
  async resolve(mounts: readonly RuntimeMount[], image: () => Promise<readonly SnapshotMount[]>): Promise<readonly Mount[]> {
    return Promise.all(mounts.map(async (mount): Promise<Mount> => {
      const {target: destination} = mount;
      if (mount.type === 'tmpfs') return {destination, type: 'tmpfs', source: 'tmpfs', options: ['nosuid', 'nodev', 'noexec', 'mode=1777', ...(mount.size === undefined ? [] : [`size=${mount.size}`])]};
      const source = mount.type === 'bind' ? mount.source : await this.#ensure(mount, image);
      return {destination, type: 'bind', source, options: ['rbind', 'rprivate', mount.readOnly ? 'ro' : 'rw']};
    }));
  }

  /** @throws `runtime-conflict` when it is not the cluster's */
  async remove(name: string): Promise<void> {
    const meta = await this.#meta(name);
    if (meta === undefined) return;
    if (meta.labels[engineLabels.cluster] !== this.#cluster) throw runtimeErrors['runtime-conflict'](`The volume ${name} was not made by this cluster, so it is left alone.`);
    await rm(this.#place.volume(name), {recursive: true, force: true});
  }

  async usage(names: readonly string[]): ReturnType<Runtime['volumeUsage']> {
    const found = await Promise.all(names.map(async (name) => {
      if ((await this.#meta(name)) === undefined) return undefined;
      const path = join(this.#place.volume(name), 'data');
      const {stdout} = await run('du', ['--summarize', '--bytes', '--one-file-system', path]).catch((error: unknown) => {
        // Files that go while it counts.
        const stdout: unknown = typeof error === 'object' && error !== null ? Reflect.get(error, 'stdout') : undefined;
        if (typeof stdout === 'string') return {stdout};
        throw error;
      });
      return {name, path, bytes: Number.parseInt(stdout, 10) || 0};
    }));
    return found.filter((volume) => volume !== undefined);
  }

  async #ensure({source: name, target, labels}: Extract<RuntimeMount, {type: 'volume'}>, image: () => Promise<readonly SnapshotMount[]>): Promise<string> {
    // Two containers that start at once share it: it is filled once.
    let made = this.#making.get(name);
    if (!made) {
      made = this.#make(name, target, labels, image).finally(() => this.#making.delete(name));
      this.#making.set(name, made);
    }
    await made;
    return join(this.#place.volume(name), 'data');
  }

  async #make(name: string, target: string, labels: Readonly<Record<string, string>>, image: () => Promise<readonly SnapshotMount[]>): Promise<void> {
    if (!/^[a-zA-Z0-9][a-zA-Z0-9_.-]*$/.test(name)) throw runtimeErrors['start-failed'](`${name} is not a volume's name.`);
    if (await this.#meta(name)) return;
    // Whole or not at all: what a crash leaves half made has another name.
    const volumes = join(this.#place.root, 'volumes');
    await mkdir(volumes, {recursive: true, mode: 0o711});
    const draft = await mkdtemp(join(volumes, '.new-'));
    try {
      await mkdir(join(draft, 'data'));
      await fill(join(draft, 'data'), target, await image());
      await writeFile(join(draft, 'meta.json'), JSON.stringify({labels}));
      await run('chmod', ['711', draft]);
      await rename(draft, this.#place.volume(name));
    } catch (error) {
      await rm(draft, {recursive: true, force: true});
      // Another process was faster.
      if (!(await this.#meta(name))) throw error;
    }
  }

  async #meta(name: string): Promise<z.infer<typeof Meta> | undefined> {
    try {
      return Meta.parse(JSON.parse(await readFile(join(this.#place.volume(name), 'meta.json'), 'utf8')));
    } catch (error) {
      if (errnoOf(error) === 'ENOENT') return undefined;
      throw error;
    }
  }
}

/** As with Docker, a new volume begins with what the image has there, owner and mode of the directory too. */
async function fill(data: string, target: string, image: readonly SnapshotMount[]): Promise<void> {
  const layers = layersOf(image);
  const found = await findInLayers(layers, target);
  const [place] = found?.places ?? [];
  if (!found?.isDirectory || place === undefined) return;
  if (layers.length === 1 || (await Promise.all(found.places.map((dir) => readdir(dir)))).every((names) => names.length === 0)) {
    await run('cp', ['--archive', '--no-target-directory', place, data]);
    return;
  }
  const [mount] = image;
  const point = await mkdtemp(`${data}-view-`);
  await run('mount', ['-t', mount?.type ?? 'overlay', '-o', [...(mount?.options ?? []), 'ro'].join(','), 'overlay', point]);
  try {
    await run('cp', ['--archive', '--no-target-directory', join(point, found.path), data]);
  } finally {
    await run('umount', ['--lazy', point]);
    await rmdir(point);
  }
}
