/** containerd's content store: bytes by their digest, which it checks as they are committed. */
import type {Descriptor} from '../core/manifest.ts';
import {type ContainerdClient, isStatus} from '../api/client.ts';
import type {WriteContentResponse} from '../api/messages.ts';

/** Of manifests and configs; layers are never read back. */
const LARGEST_DOCUMENT = 8 * 2 ** 20;
const CHUNK = 2 ** 20;

export interface Blob extends Pick<Descriptor, 'digest' | 'size'> {
  /** What it refers to, for containerd's garbage collection. */
  readonly labels?: Readonly<Record<string, string>>;
  readonly lease: string;
}

export async function hasContent(client: ContainerdClient, digest: string): Promise<boolean> {
  try {
    await client.call('contentInfo', {digest});
    return true;
  } catch (error) {
    if (isStatus(error, 'NOT_FOUND')) return false;
    throw error;
  }
}

/** A manifest or config. */
export async function readDocument(client: ContainerdClient, digest: string): Promise<unknown> {
  const parts: Uint8Array[] = [];
  for await (const {data} of client.stream('readContent', {digest, size: LARGEST_DOCUMENT})) parts.push(data);
  return JSON.parse(Buffer.concat(parts).toString('utf8'));
}

/**
 * Takes bytes in. What was begun earlier, also by a process that died, goes on where it stopped.
 * @param open The bytes from an offset on.
 * @throws what `open` throws; `FAILED_PRECONDITION` of gRPC where digest or size are wrong
 */
export async function writeContent(client: ContainerdClient, {digest, size, labels = {}, lease}: Blob, open: (offset: number) => AsyncIterable<Uint8Array>): Promise<void> {
  const ref = `hivemind-${digest}`;
  const stream = client.write(lease);
  const answers = stream[Symbol.asyncIterator]() as AsyncIterator<WriteContentResponse>;
  const blank = {ref, total: size, expected: digest, offset: 0, data: new Uint8Array(), labels: {}};
  const answer = async (): Promise<WriteContentResponse> => {
    const {value, done} = await answers.next();
    if (done === true) throw new Error('containerd ends the write of a blob early');
    return value;
  };
  try {
    stream.write({...blank, action: ''});
    let {offset} = await answer();
    if (offset > size) throw new Error(`containerd holds more of ${digest} than there is`);
    if (offset < size) {
      for await (const chunk of open(offset)) {
        for (let at = 0; at < chunk.length; at += CHUNK) {
          const data = chunk.subarray(at, at + CHUNK);
          stream.write({...blank, action: 'WRITE', offset, data});
          await answer();
          offset += data.length;
        }
      }
    }
    stream.write({...blank, action: 'COMMIT', offset, labels});
    await answer();
    stream.end();
  } catch (error) {
    // It is there already.
    if (!isStatus(error, 'ALREADY_EXISTS')) throw error;
  } finally {
    stream.cancel();
  }
}

/** Forgets what was begun. */
export async function abortContent(client: ContainerdClient, digest: string): Promise<void> {
  await client.call('abortContent', {ref: `hivemind-${digest}`}).catch((error: unknown) => {
    if (!isStatus(error, 'NOT_FOUND')) throw error;
  });
}
