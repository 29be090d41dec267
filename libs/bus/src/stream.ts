/**
 * One end of a byte stream: a state machine over frames, the same for every driver.
 *
 * Each direction is a sequence of frames that may only be sent within the credit the reader granted, and that ends with
 * `end`. `stop` says that a side is done altogether; `reset` cancels both directions with an error. Frames carry a
 * sequence number, so that loss on the way becomes an error here and never a hole in the bytes.
 */
import {busErrors, errorFromWire, errorToWire} from './errors.ts';
import {ReadQueue} from './read-queue.ts';
import type {ByteStream} from './bus.ts';

/** Bytes that the other side may send before they are read here. */
export const WINDOW_BYTES = 512 * 1024;
/** Control messages that the other side may send before they are read here. */
export const WINDOW_CONTROLS = 64;
const MAX_CHUNK_BYTES = 128 * 1024;
const MAX_CONTROL_BYTES = 64 * 1024;
const SILENT_INTERVALS = 4;

const kinds = {credit: 0, data: 1, control: 2, end: 3, stop: 4, reset: 5, ping: 6} as const;
type Kind = keyof typeof kinds;
const names = Object.keys(kinds).filter((name): name is Kind => name in kinds);

/** A frame is its kind (1 byte), its sequence number (4 bytes, big endian, wrapping) and a payload. */
const HEADER_BYTES = 5;

interface Outgoing {
  readonly kind: 'data' | 'control' | 'end';
  payload: Uint8Array;
  readonly resolve: () => void;
  readonly reject: (error: Error) => void;
}

export interface StreamEndOptions {
  readonly params: unknown;
  readonly send: (frame: Uint8Array) => void;
  /** Called once, when nothing more will be sent or received. */
  readonly onClosed: () => void;
  readonly keepAliveMs: number | undefined;
}

export class StreamEnd implements ByteStream {
  readonly params: unknown;
  readonly closed: Promise<void>;
  readonly readable: ReadQueue<Uint8Array>;
  readonly controls: ReadQueue<unknown>;
  readonly #options: StreamEndOptions;
  readonly #settled = Promise.withResolvers<void>();
  readonly #outgoing: Outgoing[] = [];
  #credit = {bytes: 0, controls: 0};
  #owed = {bytes: 0, controls: 0};
  #granted = {bytes: 0, controls: 0};
  #sequence = {sent: 0, received: 0};
  #ending: Promise<void> | undefined;
  #endSent = false;
  #endReceived = false;
  #error: Error | undefined;
  #open = true;
  #silent = 0;
  #timer: NodeJS.Timeout | undefined;

  constructor(options: StreamEndOptions) {
    this.#options = options;
    this.params = options.params;
    this.closed = this.#settled.promise;
    this.closed.catch(() => undefined);
    this.readable = new ReadQueue((chunk) => this.#grant(chunk.byteLength, 0));
    this.controls = new ReadQueue(() => this.#grant(0, 1));
  }

  /** Whether anything can still be sent or received. */
  get open(): boolean {
    return this.#open;
  }

  /** Grants the first credit: from here on the other side may send. */
  start(): void {
    this.#grant(WINDOW_BYTES, WINDOW_CONTROLS);
    const {keepAliveMs} = this.#options;
    if (keepAliveMs !== undefined) this.#timer = setInterval(() => this.#tick(), keepAliveMs).unref();
  }

  write(chunk: Uint8Array): Promise<void> {
    if (chunk.byteLength === 0) return this.#refusal() ?? Promise.resolve();
    return this.#enqueue('data', chunk);
  }

  send(control: unknown): Promise<void> {
    const payload = Buffer.from(JSON.stringify(control) ?? 'null');
    if (payload.byteLength > MAX_CONTROL_BYTES) {
      return Promise.reject(busErrors['too-large'](`A control message is over ${MAX_CONTROL_BYTES} bytes.`));
    }
    return this.#enqueue('control', payload);
  }

  end(): Promise<void> {
    if (!this.#ending) this.#ending = this.#open || this.#error ? this.#enqueue('end', new Uint8Array()) : Promise.resolve();
    return this.#ending;
  }

  /** Ends this direction, reads no more of the other, and tells the other side so: what a handler that returned means. */
  async finish(): Promise<void> {
    await this.end();
    if (!this.#open) return;
    this.#send('stop');
    this.#settle();
  }

  destroy(error?: Error): void {
    if (!this.#open) return;
    this.#send('reset', Buffer.from(JSON.stringify(errorToWire(error ?? busErrors.cancelled('The stream was cancelled.')))));
    this.readable.clear();
    this.controls.clear();
    this.#settle(error ?? busErrors.cancelled('The stream was cancelled.'));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.destroy();
    await this.closed.catch(() => undefined);
  }

  receive(frame: Uint8Array): void {
    if (!this.#open) return;
    this.#silent = 0;
    const view = new DataView(frame.buffer, frame.byteOffset, frame.byteLength);
    const kind = names[frame[0] ?? names.length];
    if (frame.byteLength < HEADER_BYTES || kind === undefined) return this.#protocolError('A frame of the stream cannot be read.');
    if (view.getUint32(1) !== this.#sequence.received) return this.#fail('Frames of the stream were lost on the way.');
    this.#sequence.received = (this.#sequence.received + 1) >>> 0;
    this.#handle(kind, frame.subarray(HEADER_BYTES), view);
  }

  #handle(kind: Kind, payload: Uint8Array, view: DataView): void {
    switch (kind) {
      case 'credit':
        if (payload.byteLength < 8) return this.#protocolError('A frame of the stream cannot be read.');
        this.#credit.bytes += view.getUint32(HEADER_BYTES);
        this.#credit.controls += view.getUint32(HEADER_BYTES + 4);
        return this.#pump();
      case 'data':
        if ((this.#granted.bytes -= payload.byteLength) < 0) return this.#protocolError('The other side sent more than it was granted.');
        return this.readable.push(payload);
      case 'control':
        if (--this.#granted.controls < 0) return this.#protocolError('The other side sent more than it was granted.');
        return this.#receiveControl(payload);
      case 'end':
        this.#endReceived = true;
        this.readable.end();
        this.controls.end();
        return this.#settleWhenDone();
      case 'stop':
        return this.#settle();
      case 'reset':
        return this.#settle(errorFromWire(parseJson(payload)));
      case 'ping':
        return;
    }
  }

  #receiveControl(payload: Uint8Array): void {
    const control = parseJson(payload);
    if (control === undefined) this.#protocolError('A control message of the stream is not JSON.');
    else this.controls.push(control);
  }

  #refusal(): Promise<never> | undefined {
    if (this.#error) return Promise.reject(this.#error);
    if (!this.#open || this.#ending) return Promise.reject(busErrors.closed('The stream has ended.'));
    return undefined;
  }

  #enqueue(kind: Outgoing['kind'], payload: Uint8Array): Promise<void> {
    const refusal = this.#refusal();
    if (refusal) return refusal;
    const {promise, resolve, reject} = Promise.withResolvers<void>();
    // Whoever does not wait for a write learns of the failure from `closed`; it must not end the process.
    promise.catch(() => undefined);
    this.#outgoing.push({kind, payload, resolve, reject});
    this.#pump();
    return promise;
  }

  /** Sends what the credit allows, in order. */
  #pump(): void {
    for (let next = this.#outgoing[0]; next && this.#open; next = this.#outgoing[0]) {
      if (next.kind === 'data') {
        const size = Math.min(next.payload.byteLength, this.#credit.bytes, MAX_CHUNK_BYTES);
        if (size === 0) return;
        this.#credit.bytes -= size;
        this.#send('data', next.payload.subarray(0, size));
        next.payload = next.payload.subarray(size);
        if (next.payload.byteLength > 0) continue;
      } else if (next.kind === 'control') {
        if (this.#credit.controls === 0) return;
        this.#credit.controls--;
        this.#send('control', next.payload);
      } else {
        this.#endSent = true;
        this.#send('end');
      }
      this.#outgoing.shift();
      next.resolve();
    }
    this.#settleWhenDone();
  }

  /** Credit goes back in quarters of the window, so that it costs few frames. */
  #grant(bytes: number, controls: number): void {
    this.#owed.bytes += bytes;
    this.#owed.controls += controls;
    if (!this.#open || this.#endReceived) return;
    if (this.#owed.bytes < WINDOW_BYTES / 4 && this.#owed.controls < WINDOW_CONTROLS / 4) return;
    const payload = Buffer.alloc(8);
    payload.writeUInt32BE(this.#owed.bytes, 0);
    payload.writeUInt32BE(this.#owed.controls, 4);
    this.#granted.bytes += this.#owed.bytes;
    this.#granted.controls += this.#owed.controls;
    this.#owed = {bytes: 0, controls: 0};
    this.#send('credit', payload);
  }

  #send(kind: Kind, payload: Uint8Array = new Uint8Array()): void {
    const frame = Buffer.allocUnsafe(HEADER_BYTES + payload.byteLength);
    frame[0] = kinds[kind];
    frame.writeUInt32BE(this.#sequence.sent, 1);
    frame.set(payload, HEADER_BYTES);
    this.#sequence.sent = (this.#sequence.sent + 1) >>> 0;
    this.#options.send(frame);
  }

  /** Counted in ticks and not in time: a process that was stalled must not take its own silence for the other's. */
  #tick(): void {
    if (++this.#silent > SILENT_INTERVALS) this.#fail('The other side of the stream fell silent.');
    else this.#send('ping');
  }

  #fail(detail: string): void {
    this.#abandon(busErrors.disconnected(detail));
  }

  #protocolError(detail: string): void {
    this.#abandon(busErrors['invalid-message'](detail));
  }

  #abandon(error: Error): void {
    this.#send('reset', Buffer.from(JSON.stringify(errorToWire(error))));
    this.#settle(error);
  }

  #settleWhenDone(): void {
    if (this.#endSent && this.#endReceived) this.#settle();
  }

  #settle(error?: Error): void {
    if (!this.#open) return;
    this.#open = false;
    this.#error = error;
    clearInterval(this.#timer);
    this.readable.end(error);
    this.controls.end(error);
    for (const waiting of this.#outgoing.splice(0)) {
      if (waiting.kind === 'end' && !error) waiting.resolve();
      else waiting.reject(error ?? busErrors.closed('The other side has finished.'));
    }
    if (error) this.#settled.reject(error);
    else this.#settled.resolve();
    this.#options.onClosed();
  }
}

/** The value, or undefined (which JSON cannot say) when it is not JSON. */
function parseJson(payload: Uint8Array): unknown {
  try {
    return JSON.parse(Buffer.from(payload.buffer, payload.byteOffset, payload.byteLength).toString('utf8'));
  } catch {
    return undefined;
  }
}
