/**
 * The bus port: how managers, agents and gateways talk. Messages only wake or ask; the store holds the truth.
 *
 * Subjects are dot-separated tokens; patterns may use `*` (one token) and `>` (the rest). A message is JSON of at most
 * 512 KiB on both drivers; more goes through a stream or pages.
 */

export interface Message {
  readonly subject: string;
  /** Parsed JSON. Typed subjects (`subject.ts`) validate it with zod at both ends. */
  readonly data: unknown;
  readonly headers: Readonly<Record<string, string>>;
}

export interface Subscription {
  unsubscribe(): Promise<void>;
}

export interface SubscribeOptions {
  /** Members of a queue group share the messages: each goes to one of them. */
  readonly queue?: string;
}

export interface RequestOptions {
  /** Deadline of the whole exchange in ms; default 5,000. Past it: BusError `timeout`. */
  readonly timeoutMs?: number;
  readonly signal?: AbortSignal;
  readonly headers?: Readonly<Record<string, string>>;
}

export interface HandlerContext {
  /** Milliseconds since the epoch after which nobody waits for the answer. */
  readonly deadline: number;
  readonly signal: AbortSignal;
}

/**
 * An ordered, flow-controlled, two-way byte stream (logs, exec, files, image builds, backups), on a connection of its own
 * with the NATS driver so that bulk bytes never delay control messages.
 * Each side writes, half-closes with `end()`, or cancels with `destroy(error)`; the error's code crosses the wire.
 */
export interface ByteStream extends AsyncDisposable {
  /** Opening parameters, as the caller gave them (JSON). */
  readonly params: unknown;
  /** Chunks of the other side until it half-closes; throws the error it cancelled with. Reading grants credit. */
  readonly readable: AsyncIterable<Uint8Array>;
  /** Resolves when there is credit for more (back-pressure). Rejects when the other side is gone. */
  write(chunk: Uint8Array): Promise<void>;
  /** Small control messages in order with the bytes of this direction (terminal size, exit code); JSON. */
  send(control: unknown): Promise<void>;
  readonly controls: AsyncIterable<unknown>;
  end(): Promise<void>;
  destroy(error?: Error): void;
  /** Resolves when both directions ended; rejects with the error that cancelled it. */
  readonly closed: Promise<void>;
}

/** Methods reject with a BusError (errors.ts): `timeout`, `no-responders`, `too-large`, `disconnected`, `closed`, `cancelled`, `not-permitted`, or the remote error with its code. */
export interface Bus {
  publish(subject: string, data: unknown, headers?: Readonly<Record<string, string>>): Promise<void>;
  /** Deliveries of one subscription are in order and never overlap with the publisher's call stack. A handler that throws is logged and loses only that message. */
  subscribe(pattern: string, handler: (message: Message) => void | Promise<void>, options?: SubscribeOptions): Promise<Subscription>;
  request(subject: string, data: unknown, options?: RequestOptions): Promise<unknown>;
  /** Serve requests, many at once. What the handler throws reaches the caller with its code, status, detail and field errors. */
  respond(pattern: string, handler: (message: Message, context: HandlerContext) => Promise<unknown>, options?: SubscribeOptions): Promise<Subscription>;
  /** Open a stream to whoever serves `subject`; `no-responders` at once when nobody does. */
  openStream(subject: string, params: unknown, options?: RequestOptions): Promise<ByteStream>;
  serveStreams(pattern: string, handler: (stream: ByteStream, subject: string) => Promise<void>, options?: SubscribeOptions): Promise<Subscription>;
  /** Fires when the connection is lost and found again (embedded: never). */
  onStatus(listener: (status: 'connected' | 'disconnected') => void): () => void;
  /** Stop taking new work, finish what is in hand, close. */
  close(): Promise<void>;
}
