/** Archives of images, made of what a test says. */
import {createHash} from 'node:crypto';
import {Readable} from 'node:stream';
import {pack, type Header} from 'tar-stream';

export type File = Partial<Header> & {readonly name: string; readonly body?: string | Buffer};

/** Architectures as images name them: this machine's, and one that it is not. */
const here = process.arch === 'x64' ? 'amd64' : 'arm64';
export const other = here === 'amd64' ? 'arm64' : 'amd64';

export function tarOf(files: readonly File[]): Readable {
  const tar = pack();
  for (const {body = '', ...header} of files) tar.entry(header, body);
  tar.finalize();
  return Readable.from(tar);
}

export const digestOf = (bytes: string | Buffer): string => createHash('sha256').update(bytes).digest('hex');

export async function bytesOf(stream: AsyncIterable<Uint8Array>): Promise<Buffer> {
  const parts: Uint8Array[] = [];
  for await (const part of stream) parts.push(part);
  return Buffer.concat(parts);
}

/** As `docker save` wrote it before OCI, of one layer. @param packed how the layer is compressed */
export async function saved(name: string | readonly string[], layer: readonly File[], architecture = here, packed = (tar: Buffer): Buffer => tar): Promise<File[]> {
  const tar = await bytesOf(tarOf(layer));
  const config = JSON.stringify({os: 'linux', architecture, config: {Cmd: ['true']}, rootfs: {type: 'layers', diff_ids: [`sha256:${digestOf(tar)}`]}});
  return [
    {name: `${digestOf(config)}.json`, body: config},
    {name: 'l1/layer.tar', body: packed(tar)},
    {name: 'l1/json', body: '{}'},
    {name: 'manifest.json', body: JSON.stringify([{Config: `${digestOf(config)}.json`, RepoTags: [name].flat(), Layers: ['l1/layer.tar']}])},
  ];
}

/** Of an image that does not run here. */
export async function* foreignArchive(...names: readonly string[]): AsyncGenerator<Uint8Array> {
  yield await bytesOf(tarOf(await saved(names, [{name: 'a', body: 'a'}], other)));
}
