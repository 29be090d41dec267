/** Datagrams and streams of one member: bytes in, messages out, and the other way; what is not of the ring ends here. */
import type {Socket as Datagrams} from 'node:dgram';
import type {Address, PacketMessage} from '../core/messages.ts';
import {canonicalAddress, decodePacket, encodePacket, type Framing, type StreamMessage} from '../wire/index.ts';
import {defaultRates, Gate, type Rates} from './rate.ts';
import {openSockets, type Sockets} from './sockets.ts';
import {Streams} from './streams.ts';

export interface TransportOptions {
  /** Port 0: any that is free. */
  readonly bind: Address;
  /** Asked for every packet, as keys change. */
  readonly framing: () => Framing;
  readonly rates?: Partial<Rates>;
  /** Monotonic ms. */
  readonly now: () => number;
  readonly onPacket: (from: Address, messages: readonly PacketMessage[]) => void;
  readonly onStream: (from: Address, message: StreamMessage) => StreamMessage | undefined;
}

export interface Traffic {
  readonly packetsIn: number;
  readonly packetsOut: number;
  /** Datagrams and streams alike. */
  readonly bytesIn: number;
  readonly bytesOut: number;
  readonly dropped: Readonly<Record<string, number>>;
}

export class Transport {
  readonly bound: Address;
  readonly #options: TransportOptions;
  readonly #udp: Datagrams;
  readonly #streams: Streams;
  readonly #gate: Gate;
  readonly #memberHosts = new Map<string, number>();
  readonly #traffic = {packetsIn: 0, packetsOut: 0, bytesIn: 0, bytesOut: 0};
  readonly #dropped: Record<string, number> = {};
  #closed = false;

  /** Errors: `address-in-use` (409). */
  static async open(options: TransportOptions): Promise<Transport> {
    return new Transport(await openSockets(options.bind), options);
  }

  private constructor({udp, tcp, bound}: Sockets, options: TransportOptions) {
    this.bound = bound;
    this.#options = options;
    this.#udp = udp;
    this.#gate = new Gate({...defaultRates, ...options.rates}, options.now());
    this.#streams = new Streams(tcp, {
      framing: options.framing,
      answer: (message, from) => options.onStream(from, message),
      isMember: (host) => this.#memberHosts.has(host),
      dropped: (reason) => this.#drop(reason),
      received: (bytes) => {
        this.#traffic.bytesIn += bytes;
      },
      sent: (bytes) => {
        this.#traffic.bytesOut += bytes;
      },
    });
    udp.on('message', (bytes, from) => this.#receive(bytes, from.address, from.port));
    // What cannot be sent is lost, as what is lost on the way; the protocol asks again.
    udp.on('error', () => this.#drop('send-failed'));
  }

  /** How many datagrams came in, those that were dropped included. */
  get packetsIn(): number {
    return this.#traffic.packetsIn;
  }

  send(to: Address, messages: readonly PacketMessage[]): void {
    if (this.#closed) return;
    // As a forged or replayed packet says that it comes from; to try throws.
    if (to.port === 0) return this.#drop('send-failed');
    const bytes = encodePacket(messages, this.#options.framing());
    this.#traffic.packetsOut += 1;
    this.#traffic.bytesOut += bytes.length;
    this.#udp.send(bytes, to.port, to.host, (error) => {
      if (error) this.#drop('send-failed');
    });
  }

  exchange(to: Address, message: StreamMessage, deadlineMs: number): Promise<StreamMessage> {
    return this.#closed ? Promise.reject(new Error('this member has stopped')) : this.#streams.exchange(to, message, deadlineMs);
  }

  /** A member's address, which has a rate of its own from now on. */
  know(address: Address): void {
    this.#gate.know(`${address.host}:${address.port}`, this.#options.now());
    this.#memberHosts.set(address.host, (this.#memberHosts.get(address.host) ?? 0) + 1);
  }

  forget(address: Address): void {
    this.#gate.forget(`${address.host}:${address.port}`);
    const left = (this.#memberHosts.get(address.host) ?? 0) - 1;
    if (left > 0) this.#memberHosts.set(address.host, left);
    else this.#memberHosts.delete(address.host);
  }

  traffic(): Traffic {
    return {...this.#traffic, dropped: {...this.#dropped}};
  }

  async close(): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    const closed = new Promise<void>((resolve) => {
      this.#udp.close(() => resolve());
    });
    await Promise.all([closed, this.#streams.close()]);
  }

  #receive(bytes: Buffer, host: string, port: number): void {
    this.#traffic.packetsIn += 1;
    this.#traffic.bytesIn += bytes.length;
    if (!this.#gate.pass(`${host}:${port}`, this.#options.now())) {
      this.#drop('rate');
      return;
    }
    const {messages, drops} = decodePacket(bytes, this.#options.framing());
    for (const reason of drops) this.#drop(reason);
    if (messages.length === 0) return;
    this.#options.onPacket({host: host.includes(':') ? (canonicalAddress(host) ?? host) : host, port}, messages);
  }

  #drop(reason: string): void {
    this.#dropped[reason] = (this.#dropped[reason] ?? 0) + 1;
  }
}
