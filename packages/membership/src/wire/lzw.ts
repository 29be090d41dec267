/**
 * LZW as Go's compress/lzw has it with least significant bits first and 8 bits a literal, which is GIF's: codes of 9 to 12 bits, 256
 * clears the table, 257 ends. memberlist compresses with it.
 */

const CLEAR = 256;
const END = 257;
const MAX_WIDTH = 12;
const TABLE = 1 << MAX_WIDTH;
const NONE = 0xffff;

/** A code's bytes, backwards: its last byte and the code of those before. Shared, as nothing here waits. */
const prefix = new Uint16Array(TABLE);
const suffix = new Uint8Array(TABLE);
const reversed = new Uint8Array(TABLE + 1);

export type Unpacked = {readonly bytes: Buffer} | {readonly drop: 'too-large' | 'truncated' | 'malformed'};

/** Unpacks at most `limit` bytes. */
export function unpack(packed: Uint8Array, limit: number): Unpacked {
  let out: Buffer = Buffer.allocUnsafe(Math.min(limit, Math.max(256, 4 * packed.length)));
  let length = 0;
  let bits = 0;
  let held = 0;
  let at = 0;
  let width = 9;
  let highest = END;
  let last = NONE;
  for (;;) {
    while (held < width) {
      const byte = packed[at];
      if (byte === undefined) return {drop: 'truncated'};
      bits |= byte << held;
      held += 8;
      at += 1;
    }
    const code = bits & ((1 << width) - 1);
    bits >>>= width;
    held -= width;
    if (code === END) return {bytes: out.subarray(0, length)};
    if (code === CLEAR) {
      width = 9;
      highest = END;
      last = NONE;
      continue;
    }
    // The code that is about to be made may be used at once; it ends as it begins.
    const fresh = code === highest + 1 && last !== NONE && highest + 1 < TABLE;
    if (code > highest && !fresh) return {drop: 'malformed'};
    let count = 0;
    let walk = fresh ? last : code;
    for (; walk > END; walk = prefix[walk] ?? 0) {
      reversed[count] = suffix[walk] ?? 0;
      count += 1;
    }
    reversed[count] = walk;
    const total = count + 1 + (fresh ? 1 : 0);
    if (length + total > limit) return {drop: 'too-large'};
    if (length + total > out.length) out = grown(out, length, Math.min(limit, Math.max(length + total, 2 * out.length)));
    for (let n = count; n >= 0; n -= 1) out[length + count - n] = reversed[n] ?? 0;
    if (fresh) out[length + total - 1] = walk;
    length += total;
    if (last !== NONE && highest + 1 < TABLE) {
      highest += 1;
      prefix[highest] = last;
      suffix[highest] = walk;
    }
    last = code;
    // Go's writer widens when the next code would not fit; at 12 bits the table stays full until it is cleared.
    if (highest + 1 >= 1 << width && width < MAX_WIDTH) width += 1;
  }
}

function grown(bytes: Buffer, length: number, capacity: number): Buffer {
  const larger = Buffer.allocUnsafe(capacity);
  bytes.copy(larger, 0, 0, length);
  return larger;
}

/** (code before, byte) → code, open addressing: a slot holds key << 12 | code. A key has 20 bits, so a slot is a full uint32. */
const SLOTS = 1 << 14;
const slots = new Uint32Array(SLOTS);

/** Packs in a form that Go unpacks. */
export function pack(bytes: Uint8Array): Buffer {
  const out = new BitWriter(bytes.length + 64);
  let width = 9;
  let highest = END;
  const next = (): boolean => {
    highest += 1;
    if (highest === 1 << width) width += 1;
    if (highest !== TABLE - 1) return true;
    out.put(CLEAR, width);
    slots.fill(0);
    width = 9;
    highest = END;
    return false;
  };
  slots.fill(0);
  out.put(CLEAR, width);
  let code = bytes[0];
  for (let at = 1; at < bytes.length && code !== undefined; at += 1) {
    const byte = bytes[at] ?? 0;
    const key = (code << 8) | byte;
    let slot = (key ^ (key >>> 7)) & (SLOTS - 1);
    let found: number | undefined;
    for (let held = slots[slot]; held; held = slots[slot]) {
      if (held >>> MAX_WIDTH === key) {
        found = held & (TABLE - 1);
        break;
      }
      slot = (slot + 1) & (SLOTS - 1);
    }
    if (found !== undefined) {
      code = found;
      continue;
    }
    out.put(code, width);
    if (next()) slots[slot] = (key << MAX_WIDTH) | highest;
    code = byte;
  }
  if (code !== undefined) {
    out.put(code, width);
    next();
  }
  out.put(END, width);
  return out.done();
}

class BitWriter {
  #bytes: Buffer;
  #length = 0;
  #bits = 0;
  #held = 0;

  constructor(capacity: number) {
    this.#bytes = Buffer.allocUnsafe(capacity);
  }

  put(code: number, width: number): void {
    this.#bits |= code << this.#held;
    this.#held += width;
    while (this.#held >= 8) this.#flush();
  }

  done(): Buffer {
    if (this.#held > 0) this.#flush();
    return this.#bytes.subarray(0, this.#length);
  }

  #flush(): void {
    if (this.#length === this.#bytes.length) this.#bytes = grown(this.#bytes, this.#length, 2 * this.#length);
    this.#bytes[this.#length] = this.#bits & 0xff;
    this.#length += 1;
    this.#bits >>>= 8;
    this.#held -= 8;
  }
}
