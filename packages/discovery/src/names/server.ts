/**
 * The name server: UDP and TCP at every address that it is told of. One that cannot be listened at yet, as that of a bridge that
 * is still to be made, is tried again. Every query that can be read is answered; nothing that comes from the network throws.
 */
import {createSocket, type RemoteInfo, type Socket, type SocketOptions} from 'node:dgram';
import {isIPv6} from 'node:net';
import {limitOf, writeAnswer, writeError} from '../core/body.ts';
import {type Reply, rewriteReply} from '../core/reply.ts';
import {CLASS_IN, DROP, QueryReader, RCODE, TYPE} from '../core/wire.ts';
import type {Zone} from '../core/zone.ts';
import type {Forwarder} from './forwarder.ts';
import {TcpDoor} from './tcp.ts';

export interface ListenAddress {
  readonly address: string;
  readonly port: number;
}

export interface NameServerOptions {
  readonly zone: Pick<Zone, 'lookup'>;
  readonly forwarder: Pick<Forwarder, 'find' | 'ask'>;
  readonly random: () => number;
  readonly setTimer: (callback: () => void, ms: number) => () => void;
  readonly onProblem: (address: string, error: Error) => void;
  readonly onListening: (address: string) => void;
}

/** Counted since the start. */
export interface NameCounters {
  /** Queries, over UDP and TCP. */
  queries: number;
  /** Answered from what the cluster told. */
  own: number;
  /** Answered from what other resolvers said before. */
  kept: number;
  /** Passed on to other resolvers. */
  forwarded: number;
  /** Nobody answered those. */
  failed: number;
  /** Refused, or not readable. */
  refused: number;
  /** Not answered, because they were no queries. */
  dropped: number;
}

const BIND_AGAIN_MS = 1_000;

interface Door {
  close(): void;
  readonly open: boolean;
}

export class NameServer {
  readonly counters: NameCounters = {queries: 0, own: 0, kept: 0, forwarded: 0, failed: 0, refused: 0, dropped: 0};
  readonly #options: NameServerOptions;
  readonly #reader = new QueryReader();
  readonly #doors = new Map<string, Door>();

  constructor(options: NameServerOptions) {
    this.#options = options;
  }

  /** Addresses, as given, at which it can be asked. */
  get listening(): readonly string[] {
    return [...this.#doors].filter(([, {open}]) => open).map(([name]) => name);
  }

  /** Listens there and nowhere else from now on; doors that stay are not touched. */
  listen(addresses: readonly ListenAddress[]): void {
    const wanted = new Map(addresses.map((address) => [textOf(address), address]));
    for (const [name, door] of this.#doors) {
      if (wanted.has(name)) continue;
      door.close();
      this.#doors.delete(name);
    }
    for (const [name, address] of wanted) if (!this.#doors.has(name)) this.#doors.set(name, this.#open(name, address));
  }

  close(): void {
    this.listen([]);
  }

  /**
   * @param packet is not changed by others afterwards
   * @param send takes the answer, at once or later
   * @returns whether there will be one: none is due to what is no query
   */
  handle(packet: Buffer, from: string, overTcp: boolean, send: (answer: Buffer) => void): boolean {
    const query = this.#reader;
    const {counters} = this;
    counters.queries += 1;
    const rcode = query.read(packet);
    if (rcode === DROP) {
      counters.dropped += 1;
      return false;
    }
    const refusal = rcode === 0 ? refusalOf(query) : rcode;
    if (refusal !== 0) {
      counters.refused += 1;
      send(writeError(query, packet, refusal));
      return true;
    }
    const {zone, random} = this.#options;
    const body = zone.lookup(query.key, from);
    if (body === undefined) this.#forward(packet, overTcp, send);
    else {
      counters.own += 1;
      send(writeAnswer(query, packet, body, limitOf(query, overTcp), random));
    }
    return true;
  }

  #forward(packet: Buffer, overTcp: boolean, send: (answer: Buffer) => void): void {
    const query = this.#reader;
    const {counters} = this;
    const {forwarder} = this.#options;
    const kept = forwarder.find(query);
    if (kept) {
      counters.kept += 1;
      return send(rewriteReply(kept.reply, query, packet, limitOf(query, overTcp), kept.age));
    }
    if (!query.recursionDesired) {
      counters.refused += 1;
      return send(writeError(query, packet, RCODE.REFUSED));
    }
    counters.forwarded += 1;
    // The packet is its own copy, as datagrams and frames come; the reader goes on to the next one.
    const answer = (reply: Reply | undefined): void => {
      const own = new QueryReader();
      own.read(packet);
      if (reply) return send(rewriteReply(reply, own, packet, limitOf(own, overTcp), 0));
      counters.failed += 1;
      send(writeError(own, packet, RCODE.SERVFAIL));
    };
    forwarder.ask(query, packet, overTcp).then(answer, () => answer(undefined));
  }

  #open(name: string, {address, port}: ListenAddress): Door {
    const {setTimer, onProblem, onListening} = this.#options;
    let closed = false;
    let open = false;
    let parts: readonly {close(): void}[] = [];
    let cancel = (): void => undefined;
    const again = (error: Error): void => {
      for (const part of parts.toReversed()) part.close();
      parts = [];
      open = false;
      if (closed) return;
      onProblem(name, error);
      cancel();
      cancel = setTimer(attempt, BIND_AGAIN_MS);
    };
    const attempt = (): void => {
      const tcp = new TcpDoor({address, port, handle: (packet, from, send) => this.handle(packet, from, true, send)});
      const udp = this.#datagrams(address);
      parts = [udp, tcp];
      Promise.all([bound(udp.socket, address, port), tcp.listening]).then(() => {
        if (closed) return;
        open = true;
        onListening(name);
        udp.socket.on('error', again);
        tcp.onError(again);
      }, again);
    };
    attempt();
    return {
      get open() {
        return open;
      },
      close() {
        closed = true;
        open = false;
        cancel();
        for (const part of parts) part.close();
      },
    };
  }

  #datagrams(address: string): {readonly socket: Socket; close(): void} {
    // Addresses to answer to are never names: nothing is looked up, nor waited for.
    const family = isIPv6(address) ? 6 : 4;
    const lookup: SocketOptions['lookup'] = (host, _options, callback) => callback(null, host, family);
    const socket = createSocket({type: `udp${family}`, lookup, recvBufferSize: 1 << 20, sendBufferSize: 1 << 20});
    let closed = false;
    socket.on('message', (packet: Buffer, {address: from, port}: RemoteInfo) => {
      // Nobody can be answered there, and to try throws.
      if (port === 0) return;
      this.handle(packet, from, false, (answer) => {
        // What cannot be sent is asked for again.
        if (!closed) socket.send(answer, port, from);
      });
    });
    return {
      socket,
      close() {
        if (closed) return;
        closed = true;
        socket.removeAllListeners('message');
        socket.close();
      },
    };
  }
}

function bound(socket: Socket, address: string, port: number): Promise<void> {
  return new Promise((resolve, reject) => {
    socket.once('error', reject);
    socket.bind({address, port, exclusive: true}, () => {
      socket.off('error', reject);
      resolve();
    });
  });
}

/** The code of the error that a query which could be read is answered with; 0: it is to be answered. */
function refusalOf({class: klass, type, edns, ednsVersion}: QueryReader): number {
  if (edns && ednsVersion > 0) return RCODE.BADVERS;
  if (type === TYPE.OPT) return RCODE.FORMERR;
  return klass === CLASS_IN && type !== TYPE.AXFR && type !== TYPE.IXFR ? 0 : RCODE.REFUSED;
}

function textOf({address, port}: ListenAddress): string {
  return isIPv6(address) ? `[${address}]:${port}` : `${address}:${port}`;
}
