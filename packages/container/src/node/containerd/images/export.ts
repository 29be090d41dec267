/** An image as an archive: OCI's layout, with the file that `docker load` reads beside it. */
import {once} from 'node:events';
import {pack, type Pack} from 'tar-stream';
import type {ContainerdClient} from '../api/client.ts';
import {familiarName, parseImageName} from '../../../core/image-name.ts';
import {Manifest} from '../core/manifest.ts';
import {readBytes} from './content.ts';
import type {KnownImage} from './store.ts';

/** @throws ServiceError of gRPC; the signal's reason */
export async function* exportImage(client: ContainerdClient, {name, digest}: KnownImage, signal: AbortSignal): AsyncGenerator<Uint8Array> {
  const bytes = await readBytes(client, digest);
  const manifest = Manifest.parse(JSON.parse(bytes.toString('utf8')));
  const tar = pack();
  const filling = fill(tar, client, {name, digest, bytes, manifest}, signal).then(() => tar.finalize(), (error: unknown) => tar.destroy(error instanceof Error ? error : new Error(String(error))));
  try {
    yield* tar as AsyncIterable<Buffer>;
  } finally {
    tar.destroy();
    await filling;
  }
}

interface Exported extends Pick<KnownImage, 'name' | 'digest'> {
  readonly bytes: Buffer;
  readonly manifest: Manifest;
}

const pathOf = (digest: string): string => `blobs/${digest.replace(':', '/')}`;

async function fill(tar: Pack, client: ContainerdClient, {name, digest, bytes, manifest}: Exported, signal: AbortSignal): Promise<void> {
  const {config, layers, mediaType = 'application/vnd.oci.image.manifest.v1+json'} = manifest;
  const reference = parseImageName(name)?.reference ?? 'latest';
  const document = (path: string, value: unknown): void => void tar.entry({name: path}, JSON.stringify(value));
  document('oci-layout', {imageLayoutVersion: '1.0.0'});
  document('index.json', {schemaVersion: 2, manifests: [{mediaType, digest, size: bytes.length, annotations: {'io.containerd.image.name': name, 'org.opencontainers.image.ref.name': reference}}]});
  document('manifest.json', [{Config: pathOf(config.digest), RepoTags: name.includes('@') ? [] : [familiarName(name)], Layers: layers.map((layer) => pathOf(layer.digest))}]);
  tar.entry({name: pathOf(digest)}, bytes);
  // The same layer may be there twice.
  for (const blob of new Map([config, ...layers].map((each) => [each.digest, each])).values()) {
    const written = Promise.withResolvers<void>();
    const entry = tar.entry({name: pathOf(blob.digest), size: blob.size}, (error) => (error ? written.reject(error) : written.resolve()));
    written.promise.catch(() => undefined);
    for await (const {data} of client.stream('readContent', {digest: blob.digest}, signal)) if (!entry.write(data)) await Promise.race([once(entry, 'drain'), written.promise]);
    signal.throwIfAborted();
    entry.end(null);
    await written.promise;
  }
}
