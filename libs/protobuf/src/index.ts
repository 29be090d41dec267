/**
 * Protocol Buffers (proto3) by tables: as much of it as the sidecar's socket and containerd's use. A general library costs
 * the sidecar a sixth of its memory. Beside each set of tables, a test holds them to their .proto files.
 */

type WireType = 0 | 1 | 2 | 5;

/** One kind of value: how it is written after its tag, and read. */
interface Kind<T> {
  readonly wireType: WireType;
  readonly initial: T;
  write(out: Writer, value: T): void;
  read(input: Reader): T;
}

/** One field of a message. */
interface Field<T> {
  readonly number: number;
  readonly wireType: WireType;
  initial(): T;
  write(out: Writer, value: T | undefined): void;
  /** `before`: what the message holds so far. */
  read(input: Reader, before: T): T;
}

export interface MessageType<T> {
  /** What is left out is not written, and reads as its initial value. */
  encode(value: Partial<T>): Buffer;
  /** @throws RangeError where the bytes are not such a message. Unknown fields are skipped. */
  decode(bytes: Uint8Array): T;
}

/** What a message type encodes and decodes. */
export type Decoded<M> = M extends MessageType<infer T> ? T : never;

class Writer {
  readonly #parts: Uint8Array[] = [];

  varint(value: number): void {
    const bytes: number[] = [];
    let rest = value;
    for (; rest > 0x7f; rest = Math.floor(rest / 128)) bytes.push((rest % 128) | 0x80);
    bytes.push(rest);
    this.raw(Uint8Array.from(bytes));
  }

  /** Two's complement in 64 bits, as int32 and int64 are written. */
  signed(value: number): void {
    if (value >= 0) return this.varint(value);
    const bytes: number[] = [];
    let rest = BigInt.asUintN(64, BigInt(value));
    for (; rest > 0x7fn; rest >>= 7n) bytes.push(Number(rest & 0x7fn) | 0x80);
    bytes.push(Number(rest));
    this.raw(Uint8Array.from(bytes));
  }

  tag(number: number, wireType: WireType): void {
    this.varint(number * 8 + wireType);
  }

  raw(bytes: Uint8Array): void {
    this.#parts.push(bytes);
  }

  delimited(bytes: Uint8Array): void {
    this.varint(bytes.length);
    this.raw(bytes);
  }

  finish(): Buffer {
    return Buffer.concat(this.#parts);
  }
}

class Reader {
  readonly #bytes: Buffer;
  #at = 0;

  constructor(bytes: Uint8Array) {
    this.#bytes = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  }

  get done(): boolean {
    return this.#at >= this.#bytes.length;
  }

  varint(): number {
    let value = 0;
    for (let factor = 1, length = 1; ; factor *= 128, length++) {
      const byte = this.take(1)[0] ?? 0;
      value += (byte & 0x7f) * factor;
      if (byte < 0x80) break;
      if (length === 10) throw new RangeError('a varint of more than 10 bytes');
    }
    if (!Number.isSafeInteger(value)) throw new RangeError('a number beyond 2^53');
    return value;
  }

  signed(): number {
    let value = 0n;
    for (let shift = 0n; ; shift += 7n) {
      const byte = this.take(1)[0] ?? 0;
      value |= BigInt(byte & 0x7f) << shift;
      if (byte < 0x80) break;
      if (shift >= 63n) throw new RangeError('a varint of more than 10 bytes');
    }
    const number = Number(BigInt.asIntN(64, value));
    if (!Number.isSafeInteger(number)) throw new RangeError('a number beyond 2^53');
    return number;
  }

  take(length: number): Buffer {
    if (length > this.#bytes.length - this.#at) throw new RangeError('the message is cut off');
    return this.#bytes.subarray(this.#at, (this.#at += length));
  }

  delimited(): Buffer {
    return this.take(this.varint());
  }

  skip(wireType: number): void {
    if (wireType === 0) this.#skipVarint();
    else if (wireType === 1) this.take(8);
    else if (wireType === 2) this.delimited();
    else if (wireType === 5) this.take(4);
    else throw new RangeError(`wire type ${wireType}`);
  }

  /** Whatever its value: fields of a later release may be anything. */
  #skipVarint(): void {
    for (let length = 1; (this.take(1)[0] ?? 0) >= 0x80; length++) if (length === 10) throw new RangeError('a varint of more than 10 bytes');
  }
}

export const text: Kind<string> = {wireType: 2, initial: '', write: (out, value) => out.delimited(Buffer.from(value)), read: (input) => input.delimited().toString('utf8')};
export const bytes: Kind<Uint8Array> = {wireType: 2, initial: new Uint8Array(), write: (out, value) => out.delimited(value), read: (input) => Uint8Array.from(input.delimited())};
/** Bytes as they came, in parts: they are copied once, as the message is made. */
export const parts: Kind<readonly Uint8Array[]> = {
  wireType: 2, initial: [],
  write(out, value) {
    out.varint(value.reduce((sum, {length}) => sum + length, 0));
    for (const part of value) out.raw(part);
  },
  read: (input) => [Uint8Array.from(input.delimited())],
};
/** uint32 and uint64, up to 2^53. */
export const unsigned: Kind<number> = {wireType: 0, initial: 0, write: (out, value) => out.varint(value), read: (input) => input.varint()};
/** int32 and int64, up to 2^53 either way. */
export const signed: Kind<number> = {wireType: 0, initial: 0, write: (out, value) => out.signed(value), read: (input) => input.signed()};
export const flag: Kind<boolean> = {wireType: 0, initial: false, write: (out, value) => out.varint(value ? 1 : 0), read: (input) => input.varint() !== 0};
export const double: Kind<number> = {
  wireType: 1, initial: 0,
  write(out, value) {
    const eight = Buffer.alloc(8);
    eight.writeDoubleLE(value);
    out.raw(eight);
  },
  read: (input) => input.take(8).readDoubleLE(),
};

/** The names of an enum from number 1 on; a number that is not known reads as ''. */
export function oneOf<const N extends string>(...names: readonly N[]): Kind<N | ''> {
  return {wireType: 0, initial: '', write: (out, value) => out.varint(value === '' ? 0 : names.indexOf(value) + 1), read: (input) => names[input.varint() - 1] ?? ''};
}

/** A field that is left out where it has its initial value. */
export function field<T>(number: number, kind: Kind<T>): Field<T> {
  return {
    number, wireType: kind.wireType,
    initial: () => kind.initial,
    write(out, value) {
      if (value === undefined || value === kind.initial || (value instanceof Uint8Array && value.length === 0)) return;
      out.tag(number, kind.wireType);
      kind.write(out, value);
    },
    read: (input) => kind.read(input),
  };
}

/** A field that may be absent. */
export function optional<T>(number: number, kind: Pick<Kind<T>, 'wireType' | 'write' | 'read'>): Field<T | undefined> {
  return {
    number, wireType: kind.wireType,
    initial: () => undefined,
    write(out, value) {
      if (value === undefined) return;
      out.tag(number, kind.wireType);
      kind.write(out, value);
    },
    read: (input) => kind.read(input),
  };
}

/** Of kinds that are not packed: texts and messages. */
export function repeated<T>(number: number, kind: Pick<Kind<T>, 'wireType' | 'write' | 'read'>): Field<readonly T[]> {
  return {
    number, wireType: kind.wireType,
    initial: () => [],
    write(out, values) {
      for (const value of values ?? []) {
        out.tag(number, kind.wireType);
        kind.write(out, value);
      }
    },
    read(input, before) {
      // Its own, from `initial`: a list of thousands is not copied for each.
      (before as T[]).push(kind.read(input));
      return before;
    },
  };
}

/** With texts as keys. */
export function mapOf<T>(number: number, kind: Kind<T>): Field<Readonly<Record<string, T>>> {
  const entry = messageType({key: field(1, text), value: field(2, kind)});
  return {
    number, wireType: 2,
    initial: () => ({}),
    write(out, values) {
      for (const [key, value] of Object.entries(values ?? {})) {
        out.tag(number, 2);
        out.delimited(entry.encode({key, value}));
      }
    },
    read(input, before) {
      const {key, value} = entry.decode(input.delimited());
      // A key like `__proto__` is a key.
      return Object.defineProperty({...before}, key, {value, enumerable: true, writable: true, configurable: true});
    },
  };
}

/** A message within another. */
export function nested<T>(type: MessageType<T>): Pick<Kind<T>, 'wireType' | 'write' | 'read'> {
  return {wireType: 2, write: (out, value) => out.delimited(type.encode(value)), read: (input) => type.decode(input.delimited())};
}

/** @example const Greeting = messageType({name: field(1, text)}); Greeting.decode(Greeting.encode({name: 'x'})) */
export function messageType<T extends object>(fields: {readonly [K in keyof T]: Field<T[K]>}): MessageType<T> {
  const names = Object.keys(fields) as (keyof T)[];
  const byNumber = new Map(names.map((name) => [fields[name].number, name]));
  return {
    encode(value) {
      const out = new Writer();
      for (const name of names) fields[name].write(out, value[name]);
      return out.finish();
    },
    decode(bytes) {
      const input = new Reader(bytes);
      // Complete once every field has its initial value.
      const message = Object.fromEntries(names.map((name) => [name, fields[name].initial()])) as T;
      while (!input.done) {
        const tag = input.varint();
        const name = byNumber.get(Math.floor(tag / 8));
        if (name === undefined || fields[name].wireType !== tag % 8) input.skip(tag % 8);
        else message[name] = fields[name].read(input, message[name]);
      }
      return message;
    },
  };
}
