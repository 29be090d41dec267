/**
 * The bus over NATS. Messages and requests share one connection; streams have another, made when the first is opened, so
 * that bulk bytes never delay control messages. The library is loaded only when somebody connects.
 *
 * Subjects on the wire: `<prefix>.msg.<subject>`, `<prefix>.req.<subject>`, `<prefix>.stream.<subject>` (an opening), and
 * stream frames go to an inbox of the receiver's stream connection. What a user must be permitted follows from that.
 */
import {randomUUID} from 'node:crypto';
import type * as nats from 'nats';
import type {ConnectionOptions, MsgHdrs, NatsConnection, Subscription as NatsSubscription} from 'nats';
import {createBus, type BusLogger} from '../client.ts';
import {busErrors} from '../errors.ts';
import type {Bus} from '../bus.ts';
import type {Carrier, Delivery, Envelope, Headers, Transport} from '../transport.ts';

/** Anything else that the `nats` library takes (tls, authenticator, token, inboxPrefix, ...) is passed on. */
export interface NatsBusOptions extends Omit<ConnectionOptions, 'servers'> {
  /** `nats://host:port`, or several of one cluster. */
  readonly servers: string | string[];
  /** Shown in the server's list of connections. */
  readonly name: string;
  readonly logger?: BusLogger;
  /** First token of every subject; default `hivemind`. */
  readonly subjectPrefix?: string;
  /** How often (ms) streams prove that both ends live; default 5,000. The other side is given up after four silences. */
  readonly streamKeepAliveMs?: number;
}

/** How long (ms) a closing connection may take to send what is left. */
const DRAIN_MS = 2_000;

/** @throws `disconnected` when no server can be reached or it refuses the credentials */
export async function connectNatsBus(options: NatsBusOptions): Promise<Bus> {
  const {logger, subjectPrefix = 'hivemind', streamKeepAliveMs = 5_000, ...passed} = options;
  const library = await import('nats');
  const connect = async (name: string): Promise<NatsConnection> => {
    const tuned = {maxReconnectAttempts: -1, reconnectTimeWait: 250, reconnectJitter: 100, pingInterval: 10_000, maxPingOut: 2, noAsyncTraces: true};
    try {
      return await library.connect({...tuned, ...passed, name});
    } catch (error) {
      throw translate(error, `NATS at ${String(options.servers)}`);
    }
  };
  const transport = new NatsTransport({
    nats: library,
    connection: await connect(options.name),
    connectStreams: () => connect(`${options.name} streams`),
    prefix: `${subjectPrefix}.`,
    inboxPrefix: options.inboxPrefix,
    streamKeepAliveMs,
    logger,
  });
  return createBus(transport, logger);
}

interface NatsTransportOptions {
  readonly nats: Pick<typeof nats, 'createInbox' | 'headers'>;
  readonly connection: NatsConnection;
  readonly connectStreams: () => Promise<NatsConnection>;
  readonly prefix: string;
  readonly inboxPrefix: string | undefined;
  readonly streamKeepAliveMs: number;
  readonly logger: BusLogger | undefined;
}

class NatsTransport implements Transport {
  readonly #options: NatsTransportOptions;
  readonly #connection: NatsConnection;
  readonly #listeners = new Set<(status: 'connected' | 'disconnected') => void>();
  /** Requests that wait, to be failed when the connection is lost: their answers would be lost too. */
  readonly #pending = new Set<(error: Error) => void>();
  #connected = true;
  #closed = false;
  #streams: Promise<NatsConnection> | undefined;

  constructor(options: NatsTransportOptions) {
    this.#options = options;
    this.#connection = options.connection;
    void this.#follow();
  }

  publish(message: Envelope): void {
    this.#check();
    this.#send(message);
  }

  async subscribe(pattern: string, queue: string | undefined, onDelivery: (delivery: Delivery) => void): Promise<() => Promise<void>> {
    this.#check();
    const {prefix, logger} = this.#options;
    let refusal: Error | undefined;
    const subscription = this.#connection.subscribe(prefix + pattern, {
      queue,
      callback: (error, message) => {
        if (error) {
          refusal = error;
          logger?.error({err: error, pattern}, 'a subscription failed');
          return;
        }
        const delivery = {subject: message.subject.slice(prefix.length), headers: readHeaders(message.headers), body: message.string()};
        const reply = message.reply ? (body: string, headers: Headers) => void message.respond(body, {headers: this.#headers(headers)}) : undefined;
        onDelivery(reply ? {...delivery, reply} : delivery);
      },
    });
    await this.#flush();
    if (refusal) throw translate(refusal, `subscribing to ${pattern}`);
    return () => this.#unsubscribe(subscription);
  }

  async request(message: Envelope, timeoutMs: number, signal: AbortSignal | undefined): Promise<{body: string; headers: Headers}> {
    this.#check();
    const {subject, headers, body} = message;
    const interrupted = Promise.withResolvers<never>();
    const onAbort = (): void => interrupted.reject(busErrors.cancelled(`The request to ${subject} was cancelled.`, {cause: signal?.reason}));
    this.#pending.add(interrupted.reject);
    signal?.addEventListener('abort', onAbort, {once: true});
    try {
      const options = {timeout: Math.max(1, Math.ceil(timeoutMs)), headers: this.#headers(headers)};
      const answer = await Promise.race([this.#connection.request(this.#options.prefix + subject, body, options), interrupted.promise]);
      return {body: answer.string(), headers: readHeaders(answer.headers)};
    } catch (error) {
      throw translate(error, subject);
    } finally {
      this.#pending.delete(interrupted.reject);
      signal?.removeEventListener('abort', onAbort);
    }
  }

  async carrier(): Promise<Carrier> {
    const {nats, connectStreams, inboxPrefix, streamKeepAliveMs} = this.#options;
    if (this.#closed) throw busErrors.closed('The bus was closed.');
    this.#streams = connectStreams();
    const connection = await this.#streams;
    const inbox = nats.createInbox(inboxPrefix);
    const receivers = new Map<string, (frame: Uint8Array) => void>();
    connection.subscribe(`${inbox}.*`, {
      callback: (error, {subject, data}) => {
        if (!error) receivers.get(subject)?.(data);
      },
    });
    await connection.flush();
    return {
      bind: (onFrame) => {
        const address = `${inbox}.${randomUUID()}`;
        receivers.set(address, onFrame);
        return {address, unbind: () => void receivers.delete(address)};
      },
      // While the connection is away, frames wait for it, bounded by the streams' credit.
      send: (address, frame) => {
        if (!connection.isClosed()) connection.publish(address, frame);
      },
      keepAliveMs: streamKeepAliveMs,
    };
  }

  onStatus(listener: (status: 'connected' | 'disconnected') => void): () => void {
    this.#listeners.add(listener);
    return () => void this.#listeners.delete(listener);
  }

  async close(): Promise<void> {
    for (const fail of this.#pending) fail(busErrors.closed('The bus was closed.'));
    this.#closed = true;
    // Also a connection that is only being made.
    const streams = this.#streams?.then(drain, () => undefined);
    await Promise.all([drain(this.#connection), streams]);
  }

  #check(): void {
    if (this.#connection.isClosed()) throw busErrors.closed('The bus was closed.');
    if (!this.#connected) throw busErrors.disconnected('NATS is not reachable now.');
  }

  #send({subject, headers, body}: Envelope): void {
    try {
      this.#connection.publish(this.#options.prefix + subject, body, {headers: this.#headers(headers)});
    } catch (error) {
      throw translate(error, subject);
    }
  }

  async #flush(): Promise<void> {
    try {
      await this.#connection.flush();
    } catch (error) {
      throw translate(error, 'A subscription');
    }
  }

  /** What was on its way is still delivered, so that a member leaving its queue group loses no request. */
  async #unsubscribe(subscription: NatsSubscription): Promise<void> {
    if (subscription.isClosed()) return;
    if (this.#connected) await subscription.drain().catch(() => undefined);
    else subscription.unsubscribe();
  }

  async #follow(): Promise<void> {
    for await (const {type, data} of this.#connection.status()) {
      if (type === 'disconnect') this.#lost();
      else if (type === 'reconnect') this.#setConnected(true);
      else if (type === 'error') this.#options.logger?.error({detail: String(data)}, 'NATS reports an error');
    }
    this.#lost();
  }

  #lost(): void {
    this.#setConnected(false);
    for (const fail of this.#pending) fail(busErrors.disconnected('The connection to NATS was lost before the answer came.'));
  }

  #setConnected(connected: boolean): void {
    if (connected === this.#connected) return;
    this.#connected = connected;
    this.#options.logger?.warn({connected}, connected ? 'connected to NATS again' : 'the connection to NATS was lost');
    for (const listener of this.#listeners) listener(connected ? 'connected' : 'disconnected');
  }

  #headers(headers: Headers): MsgHdrs | undefined {
    const entries = Object.entries(headers);
    if (entries.length === 0) return undefined;
    const wire = this.#options.nats.headers();
    for (const [name, value] of entries) wire.set(name, value);
    return wire;
  }
}

async function drain(connection: NatsConnection): Promise<void> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<void>((resolve) => (timer = setTimeout(resolve, DRAIN_MS)));
  await Promise.race([connection.drain().catch(() => undefined), late]);
  clearTimeout(timer);
  await connection.close();
}

function readHeaders(headers: MsgHdrs | undefined): Headers {
  return headers ? Object.fromEntries(headers.keys().map((name) => [name, headers.get(name)])) : {};
}

/** NATS's errors as the bus's. */
function translate(error: unknown, what: string): unknown {
  const code = error instanceof Error && 'code' in error ? error.code : undefined;
  switch (code) {
    case '503':
      return busErrors['no-responders'](`Nobody serves ${what} now.`);
    case 'TIMEOUT':
      return busErrors.timeout(`${what} did not answer in time.`, {cause: error});
    case 'CONNECTION_CLOSED':
    case 'CONNECTION_DRAINING':
      return busErrors.closed('The bus was closed.', {cause: error});
    case 'MAX_PAYLOAD_EXCEEDED':
      return busErrors['too-large'](`${what} is more than the NATS server takes (max_payload).`, {cause: error});
    case 'PERMISSIONS_VIOLATION':
      return busErrors['not-permitted'](`The credentials of this connection do not permit ${what}.`, {cause: error});
    case 'AUTHORIZATION_VIOLATION':
    case 'AUTHENTICATION_EXPIRED':
      return busErrors['not-permitted'](`${what} refuses the credentials.`, {cause: error});
    case 'CONNECTION_REFUSED':
    case 'CONNECTION_TIMEOUT':
    case 'DISCONNECT':
      return busErrors.disconnected(`${what} cannot be reached.`, {cause: error});
    default:
      return error;
  }
}
