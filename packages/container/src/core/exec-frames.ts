/**
 * Output of a command as bytes of one stream: frames of a channel byte, a length (4 bytes, big endian) and the data. The
 * length is there because a byte stream may cut what was written in one piece.
 */
export const channels = {stdin: 0, stdout: 1, stderr: 2, control: 3} as const;

const HEADER_BYTES = 5;
/** Longer output is cut into frames of at most so many bytes of data. */
export const MAX_FRAME_BYTES = 64 * 1024;

export interface ExecFrame {
  readonly channel: number;
  readonly data: Uint8Array;
}

/** One or more frames, as bytes. Nothing for no data. */
export function encodeFrames(channel: number, data: Uint8Array): Uint8Array {
  const count = Math.ceil(data.length / MAX_FRAME_BYTES);
  const bytes = new Uint8Array(data.length + count * HEADER_BYTES);
  const view = new DataView(bytes.buffer);
  for (let frame = 0, at = 0; frame < count; frame++) {
    const piece = data.subarray(frame * MAX_FRAME_BYTES, (frame + 1) * MAX_FRAME_BYTES);
    bytes[at] = channel;
    view.setUint32(at + 1, piece.length);
    bytes.set(piece, at + HEADER_BYTES);
    at += HEADER_BYTES + piece.length;
  }
  return bytes;
}

/** Frames out of chunks cut anywhere. Throws RangeError on a frame longer than any that is written. */
export class FrameDecoder {
  #rest = new Uint8Array();

  *push(chunk: Uint8Array): Generator<ExecFrame> {
    let bytes = this.#rest.length === 0 ? chunk : concat(this.#rest, chunk);
    while (bytes.length >= HEADER_BYTES) {
      const length = new DataView(bytes.buffer, bytes.byteOffset).getUint32(1);
      if (length > MAX_FRAME_BYTES) throw new RangeError(`a frame of ${length} bytes`);
      if (bytes.length < HEADER_BYTES + length) break;
      yield {channel: bytes[0] ?? 0, data: bytes.slice(HEADER_BYTES, HEADER_BYTES + length)};
      bytes = bytes.subarray(HEADER_BYTES + length);
    }
    this.#rest = bytes.slice();
  }
}

function concat(a: Uint8Array, b: Uint8Array): Uint8Array<ArrayBuffer> {
  const joined = new Uint8Array(a.length + b.length);
  joined.set(a);
  joined.set(b, a.length);
  return joined;
}
