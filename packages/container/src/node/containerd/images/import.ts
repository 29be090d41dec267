/** Archives of images into containerd: what `docker save` writes, and OCI's layout. */
import type {PullProgress} from '@hivemind/contracts';
import type * as z from 'zod';
import type {ContainerdClient} from '../api/client.ts';
import {nameOf, SavedImages} from '../core/archive.ts';
import {familiarName, parseImageName} from '../../../core/image-name.ts';
import {type Descriptor, forPlatform, ImageConfig, Index, indexTypes, Manifest, manifestTypes, type Platform} from '../core/manifest.ts';
import {type ReadArchive, readArchive, refused} from './archive-reader.ts';
import {hasContent, readBytes, writeContent} from './content.ts';
import {beginLease, endLeftLeases} from './lease.ts';
import {type Arrived, referencesOf, settle} from './settle.ts';
import {type ImageStore, sha256} from './store.ts';

export interface ImporterOptions {
  readonly client: ContainerdClient;
  readonly store: ImageStore;
  readonly snapshotter: () => Promise<string>;
  readonly platform: Platform;
  /** ms since the epoch. */
  now(): number;
}

/** @throws `archive-refused` saying why; the signal's reason; ServiceError of gRPC */
export async function* importImages(options: ImporterOptions, archive: AsyncIterable<Uint8Array>, signal: AbortSignal): AsyncGenerator<z.infer<typeof PullProgress>> {
  const {client, store, snapshotter, now} = options;
  const lease = await beginLease(client, now());
  try {
    const read = await readArchive(client, archive, lease, signal);
    yield {status: 'Read'};
    const images = await imagesOf(options, read, lease);
    if (images.length === 0) throw refused('it holds no image that has a name: tag it before it is saved');
    for (const image of images) {
      signal.throwIfAborted();
      const failed = (why: string, cause?: unknown): Error => refused(`${familiarName(image.name)} is not whole: ${why}`, cause);
      await settle({client, store, snapshotter, lease, now, failed}, image, () => Promise.resolve());
      yield {status: `Imported ${familiarName(image.name)}`};
    }
    yield {status: `Imported ${images.length === 1 ? 'an image' : `${images.length} images`}`, done: true};
  } finally {
    await client.call('deleteLease', {id: lease}).catch(() => undefined);
    await endLeftLeases(client).catch(() => undefined);
  }
}

async function imagesOf(options: ImporterOptions, read: ReadArchive, lease: string): Promise<readonly Arrived[]> {
  const index = read.documents.get('index.json');
  if (index !== undefined) {
    const images = [];
    for (const descriptor of parsed(Index, index, 'index.json').manifests) {
      const name = nameOf(descriptor);
      if (name !== undefined) images.push(await described(options, name, descriptor, lease));
    }
    if (images.length > 0) return images;
  }
  const saved = read.documents.get('manifest.json');
  if (saved === undefined) {
    if (index !== undefined) return [];
    throw refused('it has neither index.json nor manifest.json: send what docker save, ctr images export or an export of Hivemind wrote');
  }
  const images = [];
  for (const image of parsed(SavedImages, saved, 'manifest.json')) images.push(...(await assembled(options, image, read, lease)));
  return images;
}

/** By OCI: all that is named is there under its digest. */
async function described(options: ImporterOptions, name: string, entry: Descriptor, lease: string): Promise<Arrived> {
  const {client, platform} = options;
  let descriptor = entry;
  if (indexTypes.includes(descriptor.mediaType)) {
    const {manifests} = await document(client, Index, descriptor.digest);
    const fitting = forPlatform(manifests, platform);
    if (!fitting) throw refused(`it has no ${familiarName(name)} for ${platform.os}/${platform.architecture}`);
    descriptor = fitting;
  }
  if (!manifestTypes.includes(descriptor.mediaType)) throw refused(`${familiarName(name)} is of a kind that is not known here (${descriptor.mediaType})`);
  const manifest = await document(client, Manifest, descriptor.digest);
  const config = await document(client, ImageConfig, manifest.config.digest);
  refuseOther(name, config, platform);
  const labels = referencesOf(manifest);
  for (const {digest} of manifest.layers) await here(client, digest);
  await client.call('updateContent', {info: {digest: descriptor.digest, size: 0, labels}, updateMask: {paths: Object.keys(labels).map((label) => `labels.${label}`)}}, {lease});
  return {name, descriptor: {mediaType: descriptor.mediaType, digest: descriptor.digest, size: descriptor.size}, manifest, config};
}

/** As `docker save` did before OCI: a manifest is made for what it lists. */
async function assembled({client, platform}: ImporterOptions, {Config, RepoTags, Layers}: z.infer<typeof SavedImages>[number], read: ReadArchive, lease: string): Promise<readonly Arrived[]> {
  const names = (RepoTags ?? []).map((tag) => parseImageName(tag)?.full).filter((name) => name !== undefined);
  const partOf = (path: string): Omit<Descriptor, 'platform'> => {
    const part = read.part(path);
    if (!part) throw refused(`its manifest.json names ${path}, which is not in it`);
    return part;
  };
  if (names.length === 0) return [];
  const config = partOf(Config);
  const layers = Layers.map(partOf).map(({digest, size, mediaType}) => ({mediaType, digest, size}));
  const parsedConfig = await document(client, ImageConfig, config.digest);
  refuseOther(names[0] ?? '', parsedConfig, platform);
  const manifest: Manifest = {mediaType: manifestTypes[1], config: {mediaType: 'application/vnd.docker.container.image.v1+json', digest: config.digest, size: config.size}, layers};
  const bytes = Buffer.from(JSON.stringify({schemaVersion: 2, ...manifest}));
  const descriptor = {mediaType: manifestTypes[1] ?? '', digest: sha256(bytes), size: bytes.length};
  await writeContent(client, {digest: descriptor.digest, size: descriptor.size, lease, labels: referencesOf(manifest)}, async function* (offset) {
    await Promise.resolve();
    yield bytes.subarray(offset);
  });
  return names.map((name) => ({name, descriptor, manifest, config: parsedConfig}));
}

function refuseOther(name: string, {architecture, os}: ImageConfig, platform: Platform): void {
  if (architecture !== undefined && architecture !== platform.architecture) throw refused(`${familiarName(name)} is for ${os ?? 'linux'}/${architecture}, and this machine is ${platform.os}/${platform.architecture}`);
}

async function document<T>(client: ContainerdClient, schema: z.ZodType<T>, digest: string): Promise<T> {
  await here(client, digest);
  let json: unknown;
  try {
    json = JSON.parse((await readBytes(client, digest)).toString('utf8'));
  } catch (cause) {
    throw refused(`its ${digest} is not JSON`, cause);
  }
  return parsed(schema, json, digest);
}

async function here(client: ContainerdClient, digest: string): Promise<void> {
  if (!(await hasContent(client, digest))) throw refused(`it names ${digest}, which is not in it`);
}

function parsed<T>(schema: z.ZodType<T>, json: unknown, where: string): T {
  const {success, data, error} = schema.safeParse(json);
  if (!success) throw refused(`its ${where} is not understood (${error.issues[0]?.path.join('.') ?? ''}: ${error.issues[0]?.message ?? ''})`, error);
  return data;
}
