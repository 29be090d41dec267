/** A transport whose other side may not be there yet: `disconnected` until it is, and from then on that transport. */
import {setTimeout as sleep} from 'node:timers/promises';
import {isError} from '@hivemind/contracts';
import type {BusLogger} from './client.ts';
import {busErrors} from './errors.ts';
import type {Carrier, Delivery, Envelope, Headers, Transport} from './transport.ts';

/** ms. Who is refused would be refused a moment later too. */
const RETRY_MS = {first: 250, most: 5_000, refused: 30_000};
/** How long (ms) the first try may take before it is no longer waited for. */
const FIRST_TRY_MS = 3_000;

/** A subscription that waits for the connection. */
type Waiting = (transport: Transport) => Promise<void>;

export class LateTransport implements Transport {
  readonly #logger: BusLogger | undefined;
  readonly #ending = new AbortController();
  readonly #tried = Promise.withResolvers<void>();
  readonly #waiting = new Set<Waiting>();
  readonly #listeners = new Set<(status: 'connected' | 'disconnected') => void>();
  #transport: Transport | undefined;

  constructor(connect: () => Promise<Transport>, logger: BusLogger | undefined) {
    this.#logger = logger;
    void this.#connect(connect);
  }

  /** Resolves when the first try is over, whether or not it worked. */
  async tried(): Promise<void> {
    const timer = setTimeout(() => this.#tried.resolve(), FIRST_TRY_MS);
    await this.#tried.promise;
    clearTimeout(timer);
  }

  publish(message: Envelope): void {
    this.#there().publish(message);
  }

  /**
   * What is published while there is no connection reaches nobody: there is nothing to wait for. So one that the connection was
   * lost under is not refused either: it begins when there is one again.
   */
  async subscribe(pattern: string, queue: string | undefined, onDelivery: (delivery: Delivery) => void): Promise<() => Promise<void>> {
    let stop: (() => Promise<void>) | undefined;
    let stopped = false;
    const waiting: Waiting = async (transport) => {
      stop = await transport.subscribe(pattern, queue, onDelivery);
      if (stopped) await stop();
    };
    try {
      if (this.#transport) await waiting(this.#transport);
      else this.#waiting.add(waiting);
    } catch (error) {
      if (!isError(error, 'disconnected')) throw error;
      this.#waiting.add(waiting);
    }
    return async () => {
      stopped = true;
      this.#waiting.delete(waiting);
      await stop?.();
    };
  }

  async request(message: Envelope, timeoutMs: number, signal: AbortSignal | undefined): Promise<{readonly body: string; readonly headers: Headers}> {
    return this.#there().request(message, timeoutMs, signal);
  }

  async carrier(): Promise<Carrier> {
    return this.#there().carrier();
  }

  onStatus(listener: (status: 'connected' | 'disconnected') => void): () => void {
    this.#listeners.add(listener);
    return () => void this.#listeners.delete(listener);
  }

  async close(): Promise<void> {
    this.#ending.abort();
    await this.#transport?.close();
  }

  #there(): Transport {
    if (this.#transport) return this.#transport;
    throw this.#ending.signal.aborted ? busErrors.closed('The bus was closed.') : busErrors.disconnected('The bus has not been reached yet.');
  }

  async #connect(connect: () => Promise<Transport>): Promise<void> {
    const {signal} = this.#ending;
    for (let delayMs = RETRY_MS.first, most = RETRY_MS.most; !signal.aborted; delayMs = Math.min(delayMs * 2, most)) {
      try {
        const transport = await connect();
        if (signal.aborted) return await transport.close();
        await this.#begin(transport);
        return;
      } catch (err) {
        most = isError(err, 'not-permitted') ? RETRY_MS.refused : RETRY_MS.most;
        this.#logger?.debug({err}, 'the bus cannot be reached; trying again');
        this.#tried.resolve();
        await sleep(delayMs, undefined, {signal, ref: false}).catch(() => undefined);
      }
    }
  }

  async #begin(transport: Transport): Promise<void> {
    this.#transport = transport;
    transport.onStatus((status) => {
      this.#tell(status);
      if (status === 'connected') void this.#subscribeWaiting(transport);
    });
    await this.#subscribeWaiting(transport);
    this.#tried.resolve();
    this.#tell('connected');
  }

  async #subscribeWaiting(transport: Transport): Promise<void> {
    for (const subscribe of [...this.#waiting]) {
      this.#waiting.delete(subscribe);
      await subscribe(transport).catch((err: unknown) => {
        if (isError(err, 'disconnected')) this.#waiting.add(subscribe);
        else this.#logger?.error({err}, 'a subscription failed');
      });
    }
  }

  #tell(status: 'connected' | 'disconnected'): void {
    for (const listener of this.#listeners) listener(status);
  }
}
