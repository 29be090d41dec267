/** One other resolver: asked over UDP from ports and with ids that nobody guesses, over TCP where its answer was cut off. */
import {randomInt} from 'node:crypto';
import {createSocket, type Socket} from 'node:dgram';
import {createConnection, isIPv6} from 'node:net';
import {type Reply, readReply} from '../core/reply.ts';

export interface UpstreamAddress {
  readonly address: string;
  readonly port: number;
}

export interface UpstreamOptions {
  /** ms for an answer. */
  readonly timeoutMs: number;
  /** Calls once after `ms`; answers how to cancel. */
  readonly setTimer: (callback: () => void, ms: number) => () => void;
}

interface Waiting {
  readonly question: Buffer;
  settle(reply: Reply | undefined): void;
}

/** Sockets, each with a port of its own. */
const SOCKETS = 4;
/** Queries after which a socket is made anew, with another port. */
const SOCKET_QUERIES = 2_000;

export class Upstream {
  readonly address: UpstreamAddress;
  readonly #options: UpstreamOptions;
  readonly #sockets: (Line | undefined)[] = Array.from({length: SOCKETS}, () => undefined);
  #next = 0;

  constructor(address: UpstreamAddress, options: UpstreamOptions) {
    this.address = address;
    this.#options = options;
  }

  /** `write` makes the query with the id that is asked of it. undefined: it does not answer, or what it answers is none. */
  async ask(write: (id: number) => Buffer, overTcp: boolean): Promise<Reply | undefined> {
    const reply = await this.#askUdp(write);
    return reply?.truncated && overTcp ? this.#askTcp(write(randomInt(65_536))) : reply;
  }

  close(): void {
    for (const line of this.#sockets.splice(0)) line?.close();
  }

  #askUdp(write: (id: number) => Buffer): Promise<Reply | undefined> {
    const index = this.#next++ % SOCKETS;
    let line = this.#sockets[index];
    if (line?.spent !== false) {
      line?.closeWhenIdle();
      this.#sockets[index] = line = new Line(this.address);
    }
    return line.ask(write, this.#options);
  }

  #askTcp(question: Buffer): Promise<Reply | undefined> {
    return new Promise((resolve) => {
      const socket = createConnection({host: this.address.address, port: this.address.port});
      let received = Buffer.alloc(0);
      const settle = (reply: Reply | undefined): void => {
        cancel();
        socket.destroy();
        resolve(reply);
      };
      const cancel = this.#options.setTimer(() => settle(undefined), this.#options.timeoutMs);
      socket.on('connect', () => {
        const length = Buffer.alloc(2);
        length.writeUInt16BE(question.length);
        socket.write(Buffer.concat([length, question]));
      });
      socket.on('data', (part: Buffer) => {
        received = Buffer.concat([received, part]);
        const size = received.length < 2 ? Number.POSITIVE_INFINITY : received.readUInt16BE(0);
        if (received.length >= size + 2) settle(readReply(received.subarray(2, size + 2), question));
      });
      socket.on('error', () => settle(undefined));
      socket.on('end', () => settle(undefined));
    });
  }
}

/** One connected socket: what comes from elsewhere never reaches it, and that nobody listens there is told at once. */
class Line {
  readonly #socket: Socket;
  readonly #waiting = new Map<number, Waiting>();
  readonly #connected: Promise<boolean>;
  #asked = 0;
  #broken = false;
  #retired = false;

  constructor({address, port}: UpstreamAddress) {
    this.#socket = createSocket(isIPv6(address) ? 'udp6' : 'udp4');
    this.#socket.on('message', (answer) => this.#take(answer));
    this.#connected = new Promise((resolve) => {
      this.#socket.on('error', () => {
        this.close();
        resolve(false);
      });
      this.#socket.connect(port, address, () => resolve(true));
    });
  }

  get spent(): boolean {
    return this.#broken || this.#asked >= SOCKET_QUERIES;
  }

  async ask(write: (id: number) => Buffer, {timeoutMs, setTimer}: UpstreamOptions): Promise<Reply | undefined> {
    this.#asked += 1;
    if (!(await this.#connected) || this.#broken) return undefined;
    let id = randomInt(65_536);
    while (this.#waiting.has(id)) id = (id + 1) & 0xffff;
    const question = write(id);
    return new Promise((resolve) => {
      const settle = (reply: Reply | undefined): void => {
        cancel();
        this.#waiting.delete(id);
        resolve(reply);
        if (this.#retired && this.#waiting.size === 0) this.close();
      };
      const cancel = setTimer(() => settle(undefined), timeoutMs);
      this.#waiting.set(id, {question, settle});
      this.#socket.send(question, (error) => {
        if (error) this.close();
      });
    });
  }

  closeWhenIdle(): void {
    this.#retired = true;
    if (this.#waiting.size === 0) this.close();
  }

  close(): void {
    if (!this.#broken) this.#socket.close();
    this.#broken = true;
    for (const {settle} of [...this.#waiting.values()]) settle(undefined);
  }

  /** A forged or late answer changes nothing: the right one is waited for. */
  #take(answer: Buffer): void {
    const waiting = answer.length < 2 ? undefined : this.#waiting.get(answer.readUInt16BE(0));
    const reply = waiting && readReply(answer, waiting.question);
    if (reply) waiting.settle(reply);
  }
}
