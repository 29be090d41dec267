/**
 * The bus over NATS. Messages and requests share one connection; streams have another, made when the first is opened, so
 * that bulk bytes never delay control messages. The library is loaded only when somebody connects.
 *
 * Subjects on the wire: `<prefix>.msg.<subject>`, `<prefix>.req.<subject>`, `<prefix>.stream.<subject>` (an opening), and
 * stream frames go to an inbox of the receiver's stream connection: `<inbox>.<random>.<subject of the stream>`, so that a
 * user can be permitted the frames of its own streams only. What a user must be permitted follows from that.
 */
import {randomUUID} from 'node:crypto';
import {isError} from '@hivemind/contracts';
import type * as nats from 'nats';
import type {ConnectionOptions, Msg, MsgHdrs, NatsConnection, Subscription as NatsSubscription} from 'nats';
import {createBus, type BusLogger} from '../client.ts';
import {busErrors} from '../errors.ts';
import {LateTransport} from '../late-transport.ts';
import type {Bus} from '../bus.ts';
import type {Carrier, Delivery, Envelope, Headers, Transport} from '../transport.ts';
import {jwtAuthenticator} from './nats-authenticator.ts';
import {translate} from './nats-errors.ts';
import {Patience} from './nats-patience.ts';
import {checkedTls} from './nats-tls.ts';

/** Credentials that are replaced while the bus is used. */
export interface CredentialSource {
  /** The newest; asked at every connect. Must not throw. */
  current(): {readonly jwt: string; readonly seed: string};
  /** Calls when there are newer ones, in good time: connections are then made anew, at a moment when nothing waits on them. */
  onRenewed(listener: () => void): () => void;
  /** Called each time a server refuses what `current` gave; less and less often while that lasts. Must not throw. */
  onRefused?(): void;
}

/** Anything else that the `nats` library takes (tls, token, ...) is passed on. */
export interface NatsBusOptions extends Omit<ConnectionOptions, 'servers'> {
  /** `nats://host:port`, or several of one cluster. */
  readonly servers: string | string[];
  /** Shown in the server's list of connections. */
  readonly name: string;
  readonly logger?: BusLogger;
  readonly credentials?: CredentialSource;
  /** First token or tokens of this user's inboxes, `_INBOX_<name>`; default `_INBOX`. */
  readonly inboxPrefix?: string;
  /** Resolve also while no server can be reached: the bus is `disconnected` until one can. */
  readonly mayBeAway?: boolean;
  /** First token of every subject; default `hivemind`. */
  readonly subjectPrefix?: string;
  /** How often (ms) streams prove that both ends live; default 5,000. The other side is given up after four silences. */
  readonly streamKeepAliveMs?: number;
}

/** How long (ms) a closing connection may take to send what is left. */
const DRAIN_MS = 2_000;

/** How the library names a server's refusal. */
const REFUSED = 'AUTHORIZATION_VIOLATION';

/** How every inbox begins. */
const INBOX = '_INBOX';
/** How long (ms) new credentials wait for questions and answers in hand. */
const QUIET_MS = 60_000;

/** @throws `disconnected` when no server can be reached, `not-permitted` when it refuses the credentials */
export async function connectNatsBus(options: NatsBusOptions): Promise<Bus> {
  const {logger, mayBeAway = false} = options;
  if (!mayBeAway) return createBus(await connectTransport(options), logger);
  const transport = new LateTransport(() => connectTransport(options), logger);
  await transport.tried();
  return createBus(transport, logger);
}

async function connectTransport(options: NatsBusOptions): Promise<NatsTransport> {
  const {logger, credentials, mayBeAway: _, subjectPrefix = 'hivemind', streamKeepAliveMs = 5_000, tls, ...passed} = options;
  const {default: library} = await import('nats');
  const connect = async (name: string): Promise<NatsConnection> => {
    const patience = new Patience(Math.random);
    const tuned = {maxReconnectAttempts: -1, reconnectDelayHandler: patience.waitMs, pingInterval: 10_000, maxPingOut: 2, noAsyncTraces: true};
    try {
      const connection = await library.connect({...tuned, ...passed, ...checkedTls(tls, options.servers), ...(credentials ? authentication(credentials) : {}), name});
      void heed(connection, {patience, credentials, logger});
      return connection;
    } catch (error) {
      const failure = translate(error, `NATS at ${String(options.servers)}`);
      if (isError(failure, 'not-permitted')) credentials?.onRefused?.();
      throw failure;
    }
  };
  return new NatsTransport({
    nats: library,
    connection: await connect(options.name),
    connectStreams: () => connect(`${options.name} streams`),
    credentials,
    prefix: `${subjectPrefix}.`,
    inboxPrefix: options.inboxPrefix,
    streamKeepAliveMs,
    logger,
  });
}

/** Refused credentials are no reason to give up: the next try may have newer ones. */
function authentication(credentials: CredentialSource): Partial<ConnectionOptions> {
  return {authenticator: jwtAuthenticator(() => credentials.current()), ignoreAuthErrorAbort: true};
}

/** What the server says on a connection that was made: errors, and whether it takes the credentials when it is made again. */
async function heed(connection: NatsConnection, {patience, credentials, logger}: {readonly patience: Patience; readonly credentials: CredentialSource | undefined; readonly logger: BusLogger | undefined}): Promise<void> {
  for await (const {type, data} of connection.status()) {
    if (type === 'reconnect') patience.accepted();
    if (type !== 'error') continue;
    const refused = data === REFUSED;
    // Once is enough: it goes on until there are others.
    if (!refused || patience.refusals === 0) logger?.error({detail: String(data)}, refused ? 'NATS refuses the credentials; it is asked again, less and less often' : 'NATS reports an error');
    if (!refused) continue;
    patience.refused();
    credentials?.onRefused?.();
  }
}

interface NatsTransportOptions {
  readonly nats: Pick<typeof nats, 'createInbox' | 'headers'>;
  readonly connection: NatsConnection;
  readonly connectStreams: () => Promise<NatsConnection>;
  readonly credentials: CredentialSource | undefined;
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
  /** Streams that are open. */
  readonly #receivers = new Map<string, (frame: Uint8Array) => void>();
  #streamsAreStale = false;
  /** Questions of others that this side has not answered yet. */
  #owed = 0;
  /** Present while new credentials wait for a quiet moment. */
  #renewal: NodeJS.Timeout | undefined;
  readonly #unlisten: (() => void) | undefined;

  constructor(options: NatsTransportOptions) {
    this.#options = options;
    this.#connection = options.connection;
    this.#unlisten = options.credentials?.onRenewed(() => this.#renewWhenQuiet());
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
        const reply = this.#answerTo(message);
        onDelivery(reply ? {...delivery, reply} : delivery);
      },
    });
    try {
      await this.#flush();
    } catch (error) {
      // Else it would begin with the next connection, though it was refused.
      subscription.unsubscribe();
      throw error;
    }
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
      this.#renewIfQuiet();
      signal?.removeEventListener('abort', onAbort);
    }
  }

  async carrier(): Promise<Carrier> {
    const {nats, connectStreams, inboxPrefix, streamKeepAliveMs} = this.#options;
    if (this.#closed) throw busErrors.closed('The bus was closed.');
    this.#streams = connectStreams();
    const connection = await this.#streams;
    const inbox = nats.createInbox(inboxPrefix);
    const receivers = this.#receivers;
    connection.subscribe(`${inbox}.>`, {
      callback: (error, {subject, data}) => {
        if (!error) receivers.get(subject)?.(data);
      },
    });
    await connection.flush();
    return {
      bind: (onFrame, subject) => {
        const address = `${inbox}.${randomUUID()}.${subject}`;
        receivers.set(address, onFrame);
        return {address, unbind: () => void receivers.delete(address)};
      },
      // While the connection is away, frames wait for it, bounded by the streams' credit.
      send: (address, frame) => {
        if (!connection.isClosed() && address.startsWith(INBOX)) connection.publish(address, frame);
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
    this.#unlisten?.();
    clearTimeout(this.#renewal);
    this.#renewal = undefined;
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

  /** How to answer; undefined for what is no question, or would have the answer go where the asker may not read. */
  #answerTo(message: Msg): Delivery['reply'] {
    const {reply: address, subject} = message;
    if (!address) return undefined;
    if (!mayAnswer(address, subject)) {
      this.#options.logger?.warn({subject, address}, 'a question asks for its answer to go elsewhere; it gets none');
      return undefined;
    }
    let open = true;
    this.#owed += 1;
    return (body, headers) => {
      message.respond(body, {headers: this.#headers(headers)});
      if (!open) return;
      open = false;
      this.#owed -= 1;
      this.#renewIfQuiet();
    };
  }

  /** A connection lives as long as the credentials it was made with. */
  #renewWhenQuiet(): void {
    this.#renewal ??= setTimeout(() => this.#renew(), QUIET_MS).unref();
    this.#renewIfQuiet();
  }

  #renewIfQuiet(): void {
    if (this.#renewal && this.#owed === 0 && this.#pending.size === 0) this.#renew();
  }

  #renew(): void {
    clearTimeout(this.#renewal);
    this.#renewal = undefined;
    void this.#connection.reconnect();
    // Streams may run until the next renewal: they would lose what is on its way.
    this.#streamsAreStale = this.#receivers.size > 0 && !this.#streamsAreStale;
    if (!this.#streamsAreStale) void this.#streams?.then((connection) => connection.reconnect(), () => undefined);
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
    for await (const {type} of this.#connection.status()) {
      if (type === 'disconnect') this.#lost();
      else if (type === 'reconnect') this.#setConnected(true);
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

/**
 * Whether an answer may go there: to a service's inbox, or to that of the machine which the subject names. Else a machine
 * could have those who answer it publish where it may not itself.
 */
function mayAnswer(address: string, subject: string): boolean {
  const [inbox = ''] = address.split('.', 1);
  return inbox === INBOX || (inbox.startsWith(`${INBOX}_`) && subject.split('.').includes(inbox.slice(INBOX.length + 1)));
}
