/**
 * Opening streams. The opener sends its address with the request, the server answers with its own, and the opener's first
 * frame starts the handler: a server whose answer came too late, or second, starts nothing.
 */
import * as z from 'zod';
import {busErrors} from './errors.ts';
import {StreamEnd} from './stream.ts';
import type {BusLogger} from './client.ts';
import type {ByteStream} from './bus.ts';
import type {Carrier, Transport} from './transport.ts';

const Opening = z.object({address: z.string(), params: z.unknown()});
const Acceptance = z.object({address: z.string()});

export class StreamDoor {
  readonly #transport: Transport;
  readonly #logger: BusLogger;
  readonly #streams = new Set<StreamEnd>();
  #carrier: Promise<Carrier> | undefined;
  #closed = false;

  constructor(transport: Transport, logger: BusLogger) {
    this.#transport = transport;
    this.#logger = logger;
  }

  /** `ask` carries the opening to a server and brings its answer. */
  async open(subject: string, params: unknown, signal: AbortSignal | undefined, ask: (opening: unknown) => Promise<unknown>): Promise<ByteStream> {
    const carrier = await this.#carry();
    let peer = ''; // until the server has answered
    const {address, unbind} = carrier.bind((frame) => stream.receive(frame), subject);
    const stream = this.#create(params, carrier, unbind, () => peer);
    try {
      peer = Acceptance.parse(await ask({address, params: params ?? null})).address;
    } catch (error) {
      unbind();
      this.#streams.delete(stream);
      throw error instanceof z.ZodError ? busErrors['invalid-reply']('The server of the stream answered in a form that cannot be read.') : error;
    }
    const onAbort = (): void => stream.destroy(busErrors.cancelled('The stream was cancelled.', {cause: signal?.reason}));
    signal?.addEventListener('abort', onAbort, {once: true});
    void stream.closed.catch(() => undefined).then(() => signal?.removeEventListener('abort', onAbort));
    stream.start();
    if (signal?.aborted) onAbort();
    return stream;
  }

  /** The answer to an opening. The handler runs once the opener's first frame is here, if that comes within `waitMs`. */
  async accept(subject: string, opening: unknown, waitMs: number, handler: (stream: ByteStream) => Promise<void>): Promise<{address: string}> {
    const parsed = Opening.safeParse(opening);
    if (!parsed.success) throw busErrors['invalid-message']('The opening of a stream cannot be read.');
    const {address: peer, params} = parsed.data;
    const carrier = await this.#carry();
    let started = false;
    const {address, unbind} = carrier.bind((frame) => {
      if (!started) {
        started = true;
        clearTimeout(timer);
        stream.start();
        void this.#serve(stream, handler);
      }
      stream.receive(frame);
    }, subject);
    const stream = this.#create(params, carrier, unbind, () => peer);
    const timer = setTimeout(() => this.#forget(stream, unbind), waitMs).unref();
    return {address};
  }

  close(): void {
    this.#closed = true;
    for (const stream of this.#streams) stream.destroy(busErrors.closed('The bus was closed.'));
  }

  #carry(): Promise<Carrier> {
    if (this.#closed) throw busErrors.closed('The bus was closed.');
    this.#carrier ??= this.#transport.carrier().catch((error: unknown) => {
      this.#carrier = undefined;
      throw error;
    });
    return this.#carrier;
  }

  #create(params: unknown, carrier: Carrier, unbind: () => void, peer: () => string): StreamEnd {
    const stream = new StreamEnd({
      params,
      send: (frame) => {
        if (peer() !== '') carrier.send(peer(), frame);
      },
      onClosed: () => this.#forget(stream, unbind),
      keepAliveMs: carrier.keepAliveMs,
    });
    this.#streams.add(stream);
    return stream;
  }

  #forget(stream: StreamEnd, unbind: () => void): void {
    unbind();
    this.#streams.delete(stream);
  }

  async #serve(stream: StreamEnd, handler: (stream: ByteStream) => Promise<void>): Promise<void> {
    try {
      await handler(stream);
      await stream.finish();
    } catch (error) {
      // After the stream has failed, the handler's error is only its echo.
      if (stream.open) this.#logger.warn({err: error}, 'serving a stream failed');
      stream.destroy(error instanceof Error ? error : new Error(String(error)));
    }
  }
}
