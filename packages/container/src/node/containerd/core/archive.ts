/** What archives of images say: the names of their parts, and which images there are. Pure. */
import * as z from 'zod';
import {parseImageName} from '../../../core/image-name.ts';
import type {Descriptor} from './manifest.ts';

/** As `docker save` writes it, beside or in place of OCI's index. */
export const SavedImages = z.array(z.object({Config: z.string(), RepoTags: z.array(z.string()).nullish(), Layers: z.array(z.string()).max(500)})).max(1000);

/** What an entry is for: a blob by its digest, a document to be read, a part that only `manifest.json` explains. */
export type Part = {readonly kind: 'blob'; readonly digest: string} | {readonly kind: 'document' | 'part' | 'other'};

const documents = new Set(['index.json', 'manifest.json']);
const others = /(^|\/)(oci-layout|repositories|VERSION|json)$/;

/** The entry's path without detours. undefined: it leads out of the archive. */
export function pathIn(name: string): string | undefined {
  if (name.startsWith('/')) return undefined;
  const path: string[] = [];
  for (const part of name.split('/')) {
    if (part === '' || part === '.') continue;
    if (part !== '..') path.push(part);
    else if (path.pop() === undefined) return undefined;
  }
  return path.join('/');
}

export function partAt(path: string): Part {
  const hex = /^blobs\/sha256\/([0-9a-f]{64})$/.exec(path)?.[1];
  if (hex !== undefined) return {kind: 'blob', digest: `sha256:${hex}`};
  if (documents.has(path)) return {kind: 'document'};
  return {kind: others.test(path) ? 'other' : 'part'};
}

/** The name in full under which an entry of an index is to be had. undefined: it has none. */
export function nameOf({annotations = {}}: Descriptor): string | undefined {
  const {'io.containerd.image.name': whole, 'org.opencontainers.image.ref.name': reference} = annotations;
  // A mere tag says nothing of what it is a tag of.
  const written = whole ?? (reference !== undefined && /[/:]/.test(reference) ? reference : undefined);
  return written === undefined ? undefined : parseImageName(written)?.full;
}

/** By the first bytes of a layer. */
export function layerType(head: Uint8Array): string {
  const base = 'application/vnd.docker.image.rootfs.diff.tar';
  if (head[0] === 0x1f && head[1] === 0x8b) return `${base}.gzip`;
  return head[0] === 0x28 && head[1] === 0xb5 && head[2] === 0x2f && head[3] === 0xfd ? 'application/vnd.oci.image.layer.v1.tar+zstd' : base;
}
