/** The bus over any transport: JSON, limits, deadlines, errors, order of delivery. */
import type {Logger} from 'pino';
import {HivemindError} from '@hivemind/contracts';
import {busErrors, errorFromWire, errorToWire} from './errors.ts';
import {Mailbox} from './mailbox.ts';
import {checkPattern, checkSubject} from './pattern.ts';
import {StreamDoor} from './stream-door.ts';
import type {Bus, ByteStream, HandlerContext, Message, RequestOptions, SubscribeOptions, Subscription} from './bus.ts';
import type {Delivery, Envelope, Headers, Transport} from './transport.ts';

export type BusLogger = Pick<Logger, 'error' | 'warn' | 'debug'>;

/** The most bytes of JSON that one message may be. */
export const MAX_MESSAGE_BYTES = 512 * 1024;
export const DEFAULT_TIMEOUT_MS = 5_000;
/** How long `close()` waits (ms) for handlers that run. */
const CLOSE_GRACE_MS = 10_000;

/** Headers of the bus itself begin with this, and are not shown to handlers. */
const OWN_HEADER = 'hm-';
const TIMEOUT_HEADER = 'hm-timeout-ms';
const ERROR_HEADER = 'hm-error';

const silent: BusLogger = {error: () => undefined, warn: () => undefined, debug: () => undefined};

export function createBus(transport: Transport, logger: BusLogger = silent): Bus {
  return new BusClient(transport, logger);
}

class BusClient implements Bus {
  readonly #transport: Transport;
  readonly #logger: BusLogger;
  readonly #streams: StreamDoor;
  readonly #subscriptions = new Set<Subscription>();
  readonly #mailboxes = new Set<Mailbox<Message>>();
  readonly #answering = new Set<Promise<void>>();
  readonly #closing = new AbortController();
  #closed: Promise<void> | undefined;

  constructor(transport: Transport, logger: BusLogger) {
    this.#transport = transport;
    this.#logger = logger;
    this.#streams = new StreamDoor(transport, logger);
  }

  async publish(subject: string, data: unknown, headers: Headers = {}): Promise<void> {
    checkSubject(subject);
    checkHeaders(headers);
    this.#transport.publish({subject: `msg.${subject}`, headers, body: encode(subject, data)});
  }

  async subscribe(pattern: string, handler: (message: Message) => void | Promise<void>, options: SubscribeOptions = {}): Promise<Subscription> {
    const mailbox = new Mailbox<Message>({
      handle: handler,
      onError: (err, {subject}) => this.#logger.error({err, subject}, 'a handler failed; its message is lost'),
      onOverflow: ({subject}) => this.#logger.warn({subject, pattern}, 'a handler is too slow; a message was dropped'),
    });
    const subscription = await this.#subscribe('msg', pattern, options.queue, (delivery) => {
      const message = this.#read('msg', delivery);
      if (message) mailbox.deliver(message);
    });
    this.#mailboxes.add(mailbox);
    return {
      unsubscribe: async () => {
        await subscription.unsubscribe();
        mailbox.clear();
        this.#mailboxes.delete(mailbox);
      },
    };
  }

  async request(subject: string, data: unknown, options: RequestOptions = {}): Promise<unknown> {
    checkSubject(subject);
    checkHeaders(options.headers ?? {});
    const timeoutMs = options.timeoutMs ?? DEFAULT_TIMEOUT_MS;
    const message = {subject: `req.${subject}`, headers: {...options.headers, [TIMEOUT_HEADER]: String(timeoutMs)}, body: encode(subject, data)};
    const reply = await this.#ask(message, timeoutMs, options.signal);
    const body = decode(reply.body);
    if (reply.headers[ERROR_HEADER] !== undefined) throw errorFromWire(body);
    return body;
  }

  async respond(
    pattern: string,
    handler: (message: Message, context: HandlerContext) => Promise<unknown>,
    options: SubscribeOptions = {},
  ): Promise<Subscription> {
    return this.#subscribe('req', pattern, options.queue, (delivery) => {
      const answering = this.#answer(delivery, handler).finally(() => this.#answering.delete(answering));
      this.#answering.add(answering);
    });
  }

  async openStream(subject: string, params: unknown, options: RequestOptions = {}): Promise<ByteStream> {
    checkSubject(subject);
    checkHeaders(options.headers ?? {});
    const timeoutMs = options.timeoutMs ?? DEFAULT_TIMEOUT_MS;
    return this.#streams.open(subject, params, options.signal, async (body) => {
      const headers = {...options.headers, [TIMEOUT_HEADER]: String(timeoutMs)};
      const reply = await this.#ask({subject: `stream.${subject}`, headers, body: encode(subject, body)}, timeoutMs, options.signal);
      const answer = decode(reply.body);
      if (reply.headers[ERROR_HEADER] !== undefined) throw errorFromWire(answer);
      return answer;
    });
  }

  async serveStreams(
    pattern: string,
    handler: (stream: ByteStream, subject: string) => Promise<void>,
    options: SubscribeOptions = {},
  ): Promise<Subscription> {
    return this.#subscribe('stream', pattern, options.queue, (delivery) => {
      const accept = async (message: Message, {deadline}: HandlerContext): Promise<unknown> =>
        this.#streams.accept(message.subject, message.data, deadline - Date.now(), (stream) => handler(stream, message.subject));
      void this.#answer(delivery, accept);
    });
  }

  onStatus(listener: (status: 'connected' | 'disconnected') => void): () => void {
    return this.#transport.onStatus(listener);
  }

  close(): Promise<void> {
    return (this.#closed ??= this.#close());
  }

  async #close(): Promise<void> {
    await Promise.all([...this.#subscriptions].map((subscription) => subscription.unsubscribe()));
    for (const mailbox of this.#mailboxes) mailbox.clear();
    const inHand = Promise.all([...this.#answering, ...[...this.#mailboxes].map((mailbox) => mailbox.idle())]);
    let timer: NodeJS.Timeout | undefined;
    await Promise.race([inHand, new Promise((resolve) => (timer = setTimeout(resolve, CLOSE_GRACE_MS)))]);
    clearTimeout(timer);
    this.#closing.abort(busErrors.closed('The bus was closed.'));
    this.#streams.close();
    await this.#transport.close();
  }

  async #ask(message: Envelope, timeoutMs: number, signal: AbortSignal | undefined): Promise<{body: string; headers: Headers}> {
    if (this.#closing.signal.aborted) throw busErrors.closed('The bus was closed.');
    if (signal?.aborted) throw busErrors.cancelled('Cancelled before it was asked.', {cause: signal.reason});
    return this.#transport.request(message, timeoutMs, signal);
  }

  async #subscribe(
    channel: 'msg' | 'req' | 'stream',
    pattern: string,
    queue: string | undefined,
    onDelivery: (delivery: Delivery) => void,
  ): Promise<Subscription> {
    checkPattern(pattern);
    if (this.#closed) throw busErrors.closed('The bus was closed.');
    const stop = await this.#transport.subscribe(`${channel}.${pattern}`, queue, onDelivery);
    const subscription: Subscription = {
      unsubscribe: async () => {
        if (this.#subscriptions.delete(subscription)) await stop();
      },
    };
    this.#subscriptions.add(subscription);
    return subscription;
  }

  /** The message of a delivery, or undefined (and logged) when it cannot be read. */
  #read(channel: string, delivery: Delivery): Message | undefined {
    const subject = delivery.subject.slice(channel.length + 1);
    try {
      return {subject, data: decode(delivery.body), headers: withoutOwn(delivery.headers)};
    } catch (err) {
      this.#logger.warn({err, subject}, 'a message that is not JSON was dropped');
      return undefined;
    }
  }

  async #answer(delivery: Delivery, handler: (message: Message, context: HandlerContext) => Promise<unknown>): Promise<void> {
    const subject = delivery.subject.slice(delivery.subject.indexOf('.') + 1);
    const context = new Context(Number(delivery.headers[TIMEOUT_HEADER] ?? DEFAULT_TIMEOUT_MS), this.#closing.signal);
    try {
      const message = {subject, data: decode(delivery.body), headers: withoutOwn(delivery.headers)};
      delivery.reply?.(encode(subject, await handler(message, context)), {});
    } catch (err) {
      // A failure that trying again does not cure is somebody's bug.
      if (!(err instanceof HivemindError) || (err.status >= 500 && !err.retryable)) this.#logger.error({err, subject}, 'answering a request failed');
      else this.#logger.debug({code: err.code, detail: err.message, subject}, 'a request was refused');
      this.#refuse(subject, delivery, err);
    } finally {
      context.done();
    }
  }

  #refuse(subject: string, delivery: Delivery, error: unknown): void {
    try {
      delivery.reply?.(encode(subject, errorToWire(error)), {[ERROR_HEADER]: '1'});
    } catch (err) {
      this.#logger.warn({err, subject}, 'an answer could not be sent');
    }
  }
}

/** The timer behind `signal` is only made for handlers that look at it. */
class Context implements HandlerContext {
  readonly deadline: number;
  readonly #closing: AbortSignal;
  #timer: NodeJS.Timeout | undefined;
  #signal: AbortSignal | undefined;

  constructor(timeoutMs: number, closing: AbortSignal) {
    this.deadline = Date.now() + timeoutMs;
    this.#closing = closing;
  }

  get signal(): AbortSignal {
    if (this.#signal) return this.#signal;
    const expired = new AbortController();
    const fail = (): void => expired.abort(busErrors.timeout('The caller no longer waits.'));
    this.#timer = setTimeout(fail, Math.max(0, this.deadline - Date.now()));
    this.#signal = AbortSignal.any([expired.signal, this.#closing]);
    return this.#signal;
  }

  done(): void {
    clearTimeout(this.#timer);
  }
}

/** @throws `too-large` */
function encode(subject: string, data: unknown): string {
  const body = JSON.stringify(data) ?? 'null';
  // A UTF-16 unit is at most three bytes: most messages need no counting.
  if (body.length * 3 > MAX_MESSAGE_BYTES && Buffer.byteLength(body) > MAX_MESSAGE_BYTES) {
    throw busErrors['too-large'](`A message on ${subject} is over ${MAX_MESSAGE_BYTES} bytes; send it in pages, or over a stream.`);
  }
  return body;
}

/** @throws `invalid-message` */
function decode(body: string): unknown {
  try {
    return JSON.parse(body);
  } catch (cause) {
    throw busErrors['invalid-message']('The message is not JSON.', {cause});
  }
}

/** What NATS can carry: visible ASCII, no spaces at the ends. */
function checkHeaders(headers: Headers): void {
  for (const [name, value] of Object.entries(headers)) {
    if (!/^[\w-]+$/.test(name) || name.startsWith(OWN_HEADER) || !/^[!-~]([ -~]*[!-~])?$/.test(value)) {
      throw busErrors['invalid-message'](`The header "${name}" is not valid: ASCII, no control characters, not beginning with "${OWN_HEADER}".`);
    }
  }
}

function withoutOwn(headers: Headers): Headers {
  return Object.fromEntries(Object.entries(headers).filter(([name]) => !name.startsWith(OWN_HEADER)));
}
