/**
 * What a driver must bring: moving text between subjects, and frames between addresses. Everything else (JSON, limits,
 * deadlines, errors, order, streams) is written once, in `client.ts` and `stream.ts`, so the drivers cannot differ in it.
 */

export type Headers = Readonly<Record<string, string>>;

export interface Envelope {
  readonly subject: string;
  readonly headers: Headers;
  /** JSON text. */
  readonly body: string;
}

export interface Delivery extends Envelope {
  /** Present on requests. May be called late or twice: the first answer counts. */
  readonly reply?: (body: string, headers: Headers) => void;
}

/** Moves stream frames, in order for each pair of addresses. A lost frame is noticed by its sequence number. */
export interface Carrier {
  /** A fresh, unguessable address at which the frames of a stream on `subject` arrive. */
  bind(onFrame: (frame: Uint8Array) => void, subject: string): {readonly address: string; unbind(): void};
  send(address: string, frame: Uint8Array): void;
  /** Pings this often (ms) and gives the other side up after four silent intervals; undefined where it cannot vanish unnoticed. */
  readonly keepAliveMs: number | undefined;
}

/** Methods reject or throw BusErrors: `timeout`, `no-responders`, `disconnected`, `closed`, `cancelled`. */
export interface Transport {
  publish(message: Envelope): void;
  /** Resolves when messages published from then on will be delivered; never calls back on the caller's stack. */
  subscribe(pattern: string, queue: string | undefined, onDelivery: (delivery: Delivery) => void): Promise<() => Promise<void>>;
  request(message: Envelope, timeoutMs: number, signal: AbortSignal | undefined): Promise<{readonly body: string; readonly headers: Headers}>;
  /** On a connection of its own where there are connections. */
  carrier(): Promise<Carrier>;
  onStatus(listener: (status: 'connected' | 'disconnected') => void): () => void;
  close(): Promise<void>;
}
