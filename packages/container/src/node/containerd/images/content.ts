/** containerd's content store: bytes by their digest, which it checks as they are committed. */
import {createHash, randomUUID} from 'node:crypto';
import type {Descriptor} from '../core/manifest.ts';
import {type ContainerdClient, isStatus} from '../api/client.ts';
import type {WriteContentResponse} from '../api/messages.ts';

/** Of manifests and configs; layers are never read back. */
export const LARGEST_DOCUMENT = 8 * 2 ** 20;
/** Of one message: as little as is worth one, as much as memory is to hold. */
const PIECE = {least: 256 * 1024, most: 2 ** 20};
/** Messages of one blob that wait, to be sent or to be answered. */
const AHEAD = 4;

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

/** A manifest or config, as it is. */
export async function readBytes(client: ContainerdClient, digest: string): Promise<Buffer> {
  const parts: Uint8Array[] = [];
  for await (const {data} of client.stream('readContent', {digest, size: LARGEST_DOCUMENT})) parts.push(data);
  return Buffer.concat(parts);
}

/** A manifest or config. */
export async function readDocument(client: ContainerdClient, digest: string): Promise<unknown> {
  return JSON.parse((await readBytes(client, digest)).toString('utf8'));
}

/** Runs what sends a message and waits for its answer: at once, unless others are to come before. */
export type Turn = (send: () => Promise<unknown>) => Promise<unknown>;

/**
 * Takes bytes in. What was begun earlier, also by a process that died, goes on where it stopped.
 * @param open The bytes from an offset on.
 * @param turn Keeps the order of what is sent.
 * @throws what `open` throws; `FAILED_PRECONDITION` of gRPC where digest or size are wrong
 */
export async function writeContent(client: ContainerdClient, {digest, size, labels = {}, lease}: Blob, open: (offset: number) => AsyncIterable<Uint8Array>, turn: Turn = (send) => send()): Promise<void> {
  const ref = `hivemind-${digest}`;
  const stream = client.write(lease);
  const answers = stream[Symbol.asyncIterator]() as AsyncIterator<WriteContentResponse>;
  const blank = {ref, total: size, expected: digest, offset: 0, data: [], labels: {}};
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
      // What was sent is answered while more is fetched: a wait for each piece would be most of the time.
      const sent: Promise<unknown>[] = [];
      for await (const {data, length} of pieces(open(offset))) {
        const at = offset;
        offset += length;
        const answered = turn(() => {
          stream.write({...blank, action: 'WRITE', offset: at, data});
          return answer();
        });
        // One that fails is heard of in its turn.
        answered.catch(() => undefined);
        sent.push(answered);
        if (sent.length >= AHEAD) await sent.shift();
      }
      for (const answered of sent) await answered;
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

/** Takes bytes in whose digest nobody told. @param size bytes. @returns their digest */
export async function storeContent(client: ContainerdClient, {size, lease}: Pick<Blob, 'size' | 'lease'>, bytes: AsyncIterable<Uint8Array>): Promise<string> {
  const hash = createHash('sha256');
  const stream = client.write(lease);
  const answers = stream[Symbol.asyncIterator]() as AsyncIterator<WriteContentResponse>;
  const blank = {ref: `hivemind-${randomUUID()}`, total: size, expected: '', offset: 0, data: [], labels: {}};
  try {
    let offset = 0;
    for await (const {data, length} of pieces(bytes)) {
      for (const part of data) hash.update(part);
      stream.write({...blank, action: 'WRITE', offset, data});
      await answers.next();
      offset += length;
    }
    const digest = `sha256:${hash.digest('hex')}`;
    stream.write({...blank, action: 'COMMIT', offset, expected: digest});
    try {
      await answers.next();
    } catch (error) {
      if (!isStatus(error, 'ALREADY_EXISTS')) throw error;
    }
    stream.end();
    return digest;
  } finally {
    stream.cancel();
  }
}

interface Piece {
  readonly data: readonly Uint8Array[];
  /** Bytes of all. */
  readonly length: number;
}

/** In pieces of a size that is worth a message each. */
async function* pieces(chunks: AsyncIterable<Uint8Array>): AsyncGenerator<Piece> {
  let data: Uint8Array[] = [];
  let length = 0;
  for await (const chunk of chunks) {
    for (let at = 0; at < chunk.length; at += PIECE.most) {
      const part = chunk.subarray(at, at + PIECE.most);
      data.push(part);
      length += part.length;
      if (length < PIECE.least) continue;
      yield {data, length};
      data = [];
      length = 0;
    }
  }
  if (length > 0) yield {data, length};
}

/** Forgets what was begun. */
export async function abortContent(client: ContainerdClient, digest: string): Promise<void> {
  await client.call('abortContent', {ref: `hivemind-${digest}`}).catch((error: unknown) => {
    if (!isStatus(error, 'NOT_FOUND')) throw error;
  });
}
