/**
 * The part of msgpack that memberlist speaks: maps of small integers, booleans and byte strings. Written out by hand because Go's
 * codec there is of the old specification (a text and bytes are both "raw", there is no `bin`; addresses travel as raw bytes that
 * are no UTF-8), which @msgpack/msgpack does not produce, and because this runs for every packet. Tests hold it against that library.
 *
 * The reader never throws: the first fault sticks, everything read after it is empty, and the caller looks once at the end.
 */
import {isUtf8} from 'node:buffer';
import {MAX_MAP_ENTRIES} from './limits.ts';

const NIL = 0xc0;
const FALSE = 0xc2;
const TRUE = 0xc3;
const EMPTY = Buffer.alloc(0);
/** Values inside values that may be skipped: nothing of the protocol nests. */
const MAX_DEPTH = 4;

export class Reader {
  readonly #bytes: Buffer;
  #offset: number;
  #fault: 'truncated' | 'malformed' | undefined;

  constructor(bytes: Buffer, offset = 0) {
    this.#bytes = bytes;
    this.#offset = offset;
  }

  get offset(): number {
    return this.#offset;
  }

  get fault(): 'truncated' | 'malformed' | undefined {
    return this.#fault;
  }

  /** Marks what was read as wrong, for reasons that only the caller knows. */
  refuse(): void {
    this.#fault ??= 'malformed';
  }

  /** The number of pairs that follow. */
  map(): number {
    const head = this.#byte();
    const count = (head & 0xf0) === 0x80 ? head & 0x0f : head === 0xde ? this.#uint(2) : head === 0xdf ? this.#uint(4) : -1;
    if (count < 0 || count > MAX_MAP_ENTRIES) this.refuse();
    return this.#fault === undefined ? count : 0;
  }

  /** The name of a field; '' for one that cannot be of the protocol. */
  key(): string {
    const bytes = this.raw(64);
    return this.#fault === undefined ? bytes.toString('latin1') : '';
  }

  /** Bytes (a view, not a copy); nil reads as none, as Go writes an empty slice. */
  raw(limit: number): Buffer {
    const head = this.#byte();
    if (head === NIL) return EMPTY;
    const length = this.#rawLength(head);
    if (length < 0 || length > limit) this.refuse();
    return this.#take(length);
  }

  text(limit: number): string {
    const bytes = this.raw(limit);
    if (bytes.length > 0 && !isUtf8(bytes)) this.refuse();
    return this.#fault === undefined ? bytes.toString('utf8') : '';
  }

  /** An integer from 0 to `max`. */
  integer(max: number): number {
    const value = this.#integer(this.#byte());
    if (!(value >= 0 && value <= max)) this.refuse();
    return this.#fault === undefined ? value : 0;
  }

  boolean(): boolean {
    const head = this.#byte();
    if (head !== TRUE && head !== FALSE) this.refuse();
    return head === TRUE;
  }

  /** Passes over a value of a field that is not known here. */
  skip(depth = 0): void {
    const head = this.#byte();
    if (depth > MAX_DEPTH) this.refuse();
    if (this.#fault !== undefined || head < 0x80 || head >= 0xe0 || head === NIL || head === FALSE || head === TRUE) return;
    if (head >= 0xca && head <= 0xd3) {
      if (head <= 0xcb) this.#take(head === 0xca ? 4 : 8);
      else this.#integer(head);
      return;
    }
    const length = this.#rawLength(head);
    if (length >= 0) {
      this.#take(length);
      return;
    }
    const values =
      (head & 0xf0) === 0x80 ? 2 * (head & 0x0f)
      : (head & 0xf0) === 0x90 ? head & 0x0f
      : head === 0xdc ? this.#uint(2)
      : head === 0xde ? 2 * this.#uint(2)
      : -1;
    if (values < 0 || values > 2 * MAX_MAP_ENTRIES) this.refuse();
    for (let n = 0; n < values && this.#fault === undefined; n += 1) this.skip(depth + 1);
  }

  /** Bytes that follow outside of msgpack. */
  rest(length: number): Buffer {
    return this.#take(length);
  }

  /** -1: not a byte string. Takes the newer forms too (str 8, bin), which later versions of the Go codec can be told to write. */
  #rawLength(head: number): number {
    if ((head & 0xe0) === 0xa0) return head & 0x1f;
    if (head === 0xd9 || head === 0xc4) return this.#uint(1);
    if (head === 0xda || head === 0xc5) return this.#uint(2);
    if (head === 0xdb || head === 0xc6) return this.#uint(4);
    return -1;
  }

  #integer(head: number): number {
    if (head < 0x80) return head;
    if (head >= 0xe0) return head - 0x100;
    if (head >= 0xcc && head <= 0xcf) return this.#uint(1 << (head - 0xcc));
    if (head >= 0xd0 && head <= 0xd3) {
      const width = 1 << (head - 0xd0);
      const value = this.#uint(width);
      // Go writes an int of its own as signed, whatever its value. One below zero is of no use here.
      return value >= 2 ** (8 * width - 1) ? -1 : value;
    }
    return -1;
  }

  #uint(width: number): number {
    const at = this.#advance(width);
    if (at < 0) return 0;
    if (width === 1) return this.#bytes[at] ?? 0;
    if (width === 2) return this.#bytes.readUInt16BE(at);
    if (width === 4) return this.#bytes.readUInt32BE(at);
    return this.#bytes.readUInt32BE(at) * 2 ** 32 + this.#bytes.readUInt32BE(at + 4);
  }

  #byte(): number {
    const at = this.#advance(1);
    return at < 0 ? NIL : (this.#bytes[at] ?? NIL);
  }

  #take(length: number): Buffer {
    const at = this.#advance(length);
    return at < 0 ? EMPTY : this.#bytes.subarray(at, at + length);
  }

  /** Where `length` bytes start, or -1 when they are not there. */
  #advance(length: number): number {
    if (this.#fault !== undefined) return -1;
    if (this.#offset + length > this.#bytes.length) {
      this.#fault = 'truncated';
      return -1;
    }
    const at = this.#offset;
    this.#offset += length;
    return at;
  }
}

export class Writer {
  #bytes: Buffer;
  #length = 0;

  constructor(capacity = 256) {
    this.#bytes = Buffer.allocUnsafe(capacity);
  }

  get length(): number {
    return this.#length;
  }

  clear(): this {
    this.#length = 0;
    return this;
  }

  /** What was written; a view that is good until the next write. */
  done(): Buffer {
    return this.#bytes.subarray(0, this.#length);
  }

  byte(value: number): this {
    this.#room(1);
    this.#length = this.#bytes.writeUInt8(value, this.#length);
    return this;
  }

  uint32(value: number): this {
    this.#room(4);
    this.#length = this.#bytes.writeUInt32BE(value, this.#length);
    return this;
  }

  /** Over what was written at `offset`. */
  uint16At(offset: number, value: number): void {
    this.#bytes.writeUInt16BE(value, offset);
  }

  /** At most 15 pairs, as every map of the protocol has. */
  map(pairs: number): this {
    return this.byte(0x80 | pairs);
  }

  /** A field's name, ASCII, at most 31 letters. */
  key(name: string): this {
    this.#room(1 + name.length);
    this.#bytes[this.#length] = 0xa0 | name.length;
    this.#length += 1 + this.#bytes.write(name, this.#length + 1, 'latin1');
    return this;
  }

  text(value: string): this {
    const length = Buffer.byteLength(value);
    this.#rawHead(length);
    this.#length += this.#bytes.write(value, this.#length);
    return this;
  }

  raw(value: Uint8Array): this {
    this.#rawHead(value.length);
    return this.plain(value);
  }

  /** Bytes without a head. */
  plain(value: Uint8Array): this {
    this.#room(value.length);
    this.#bytes.set(value, this.#length);
    this.#length += value.length;
    return this;
  }

  /** A uint32. */
  integer(value: number): this {
    this.#room(5);
    const bytes = this.#bytes;
    let at = this.#length;
    if (value < 0x80) at = bytes.writeUInt8(value, at);
    else if (value < 0x100) at = bytes.writeUInt8(value, bytes.writeUInt8(0xcc, at));
    else if (value < 0x10000) at = bytes.writeUInt16BE(value, bytes.writeUInt8(0xcd, at));
    else at = bytes.writeUInt32BE(value, bytes.writeUInt8(0xce, at));
    this.#length = at;
    return this;
  }

  boolean(value: boolean): this {
    return this.byte(value ? TRUE : FALSE);
  }

  #rawHead(length: number): void {
    this.#room(5 + length);
    const bytes = this.#bytes;
    let at = this.#length;
    if (length < 32) at = bytes.writeUInt8(0xa0 | length, at);
    else if (length < 0x10000) at = bytes.writeUInt16BE(length, bytes.writeUInt8(0xda, at));
    else at = bytes.writeUInt32BE(length, bytes.writeUInt8(0xdb, at));
    this.#length = at;
  }

  #room(more: number): void {
    const needed = this.#length + more;
    if (needed <= this.#bytes.length) return;
    const larger = Buffer.allocUnsafe(Math.max(needed, 2 * this.#bytes.length));
    this.#bytes.copy(larger, 0, 0, this.#length);
    this.#bytes = larger;
  }
}
