/** An archive of images, read once from end to end into containerd's content store: nothing of it is held in memory but documents. */
import {Readable} from 'node:stream';
import {pipeline} from 'node:stream/promises';
import {createGunzip, createZstdDecompress} from 'node:zlib';
import {runtimeErrors} from '@hivemind/runtime';
import {extract, type Header} from 'tar-stream';
import {type ContainerdClient, isStatus, wordsOf} from '../api/client.ts';
import {layerType, partAt, pathIn} from '../core/archive.ts';
import {errnoOf} from '../errno.ts';
import {LARGEST_DOCUMENT, storeContent, writeContent} from './content.ts';

/** One file of it. */
interface Entry extends AsyncIterable<unknown> {
  readonly header: Header;
}
const chunksOf = (entry: Entry): AsyncIterable<Buffer> => entry as AsyncIterable<Buffer>;

export interface Stored {
  readonly digest: string;
  /** Bytes. */
  readonly size: number;
  /** As a layer it would be. */
  readonly mediaType: string;
}

export interface ReadArchive {
  /** `index.json` and `manifest.json`, where they are there. */
  readonly documents: ReadonlyMap<string, unknown>;
  /** What `manifest.json` refers to, by path: links are followed. */
  part(path: string): Stored | undefined;
}

const HEAD = 4;
const FILES: readonly string[] = ['file', 'contiguous-file'];
const LINKS: readonly string[] = ['symlink', 'link'];

/** @throws `archive-refused` where it is not a whole and honest archive; the signal's reason; ServiceError of gRPC */
export async function readArchive(client: ContainerdClient, archive: AsyncIterable<Uint8Array>, lease: string, signal: AbortSignal): Promise<ReadArchive> {
  const documents = new Map<string, unknown>();
  const parts = new Map<string, Stored>();
  const links = new Map<string, string>();
  const entries = extract();
  const feeding = pipeline(Readable.from(decompressed(archive), {objectMode: false}), entries, {signal});
  feeding.catch(() => undefined);
  try {
    for await (const entry of entries) {
      const {header} = entry;
      const path = pathIn(header.name);
      if (path === undefined) throw refused(`it names ${header.name}, which leads out of it`);
      const type = header.type ?? 'file';
      if (FILES.includes(type)) await take(client, entry, path, lease, documents, parts);
      else if (LINKS.includes(type)) links.set(path, linkOf(header, path));
      else if (type !== 'directory') throw refused(`${header.name} is a ${type}, which no archive of images has`);
      entry.resume();
    }
    await feeding;
  } catch (error) {
    signal.throwIfAborted();
    entries.destroy();
    await feeding.catch(() => undefined);
    // Of tar and of what it is compressed by; what containerd says is for whoever asked.
    if (error instanceof Error && errnoOf(error) !== 'archive-refused' && !('details' in error)) throw refused(`it is not a whole tar (${error.message})`, error);
    throw error;
  }
  return {documents, part: (path) => parts.get(links.get(path) ?? path)};
}

async function take(client: ContainerdClient, entry: Entry, path: string, lease: string, documents: Map<string, unknown>, parts: Map<string, Stored>): Promise<void> {
  const {size = 0} = entry.header;
  const part = partAt(path);
  if (part.kind === 'blob') {
    try {
      await writeContent(client, {digest: part.digest, size, lease}, (offset) => from(entry, offset));
      // For those that name blobs in `manifest.json` alone.
      parts.set(path, {digest: part.digest, size, mediaType: layerType(Buffer.alloc(0))});
    } catch (error) {
      if (isStatus(error, 'FAILED_PRECONDITION')) throw refused(`${path} is something else than its name says (${wordsOf(error)})`, error);
      throw error;
    }
  } else if (part.kind === 'document') {
    if (size > LARGEST_DOCUMENT) throw refused(`${path} is larger than any image needs`);
    documents.set(path, json(path, await bytesOf(entry)));
  } else if (part.kind === 'part' && size > 0) {
    let head: Uint8Array = Buffer.alloc(0);
    const watched = async function* (): AsyncGenerator<Uint8Array> {
      for await (const chunk of chunksOf(entry)) {
        if (head.length < HEAD) head = Buffer.concat([head, chunk.subarray(0, HEAD)]);
        yield chunk;
      }
    };
    const digest = await storeContent(client, {size, lease}, watched());
    parts.set(path, {digest, size, mediaType: layerType(head)});
  }
}

/** Where a link leads, within the archive. */
function linkOf({name, linkname, type}: Header, path: string): string {
  const target = pathIn(type === 'link' ? (linkname ?? '') : `${path.split('/').slice(0, -1).join('/')}/${linkname ?? ''}`.replace(/^\//, ''));
  if (target === undefined || (linkname ?? '').startsWith('/')) throw refused(`${name} leads to ${linkname ?? ''}, which is out of it`);
  return target;
}

/** As it is sent: compressed or not. */
async function* decompressed(archive: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
  const chunks = archive[Symbol.asyncIterator]();
  let head: Uint8Array = Buffer.alloc(0);
  while (head.length < HEAD) {
    const {value, done} = await chunks.next();
    if (done === true) break;
    head = Buffer.concat([head, value]);
  }
  const whole = async function* (): AsyncGenerator<Uint8Array> {
    yield head;
    yield* {[Symbol.asyncIterator]: () => chunks};
  };
  const type = layerType(head);
  const unpacking = type.endsWith('gzip') ? createGunzip() : type.endsWith('zstd') ? createZstdDecompress() : undefined;
  if (!unpacking) return yield* whole();
  const source = Readable.from(whole());
  source.once('error', (error) => unpacking.destroy(error));
  yield* source.pipe(unpacking) as AsyncIterable<Uint8Array>;
}

async function* from(entry: Entry, offset: number): AsyncGenerator<Uint8Array> {
  let skip = offset;
  for await (const chunk of chunksOf(entry)) {
    const rest = chunk.subarray(Math.min(skip, chunk.length));
    skip -= chunk.length - rest.length;
    if (rest.length > 0) yield rest;
  }
}

async function bytesOf(entry: Entry): Promise<Buffer> {
  const parts: Buffer[] = [];
  for await (const part of chunksOf(entry)) parts.push(part);
  return Buffer.concat(parts);
}

function json(path: string, bytes: Buffer): unknown {
  try {
    return JSON.parse(bytes.toString('utf8'));
  } catch (cause) {
    throw refused(`its ${path} is not JSON`, cause);
  }
}

export function refused(why: string, cause?: unknown): Error {
  return runtimeErrors['archive-refused'](`The archive was not taken: ${why}.`, {cause});
}
