/** Messages over TCP: one each way a connection, within a deadline. */
import {connect, type Server, type Socket} from 'node:net';
import type {Address} from '../core/messages.ts';
import {canonicalAddress, encodeStream, type Framing, StreamDecoder, type StreamMessage, type StreamResult} from '../wire/index.ts';

export interface StreamHandlers {
  /** Under which keys and label, now. */
  framing(): Framing;
  /** What to answer, if anything. */
  answer(message: StreamMessage, from: Address): StreamMessage | undefined;
  /** Whether connections from this host may take the last places. */
  isMember(host: string): boolean;
  dropped(reason: string): void;
  received(bytes: number): void;
  sent(bytes: number): void;
}

/** What became of a connection: a message, why it could not be read, or what happened to the connection, with the system's code. */
type Outcome = StreamResult | {readonly failed: string; readonly code?: string | undefined};

export class StreamFailed extends Error {
  override readonly name = 'StreamFailed';
  /** The system's, as ECONNREFUSED; absent where the other side answered, or did not in time. */
  readonly code: string | undefined;

  constructor(to: Address, what: string, code?: string) {
    super(`${to.host}:${to.port}: ${what}`);
    this.code = code;
  }
}

/** ms from the first byte to the last of a connection that was accepted. */
const ACCEPTED_FOR = 10_000;
/** Connections at a time; strangers leave some for members. */
const MAX_CONNECTIONS = 128;
const MAX_STRANGERS = 96;
/** Bytes held for messages that are not whole yet, over all connections. */
const MAX_HELD = 32 * 1024 * 1024;

export class Streams {
  readonly #server: Server;
  readonly #handlers: StreamHandlers;
  readonly #open = new Set<Socket>();
  #accepted = 0;
  #held = 0;

  constructor(server: Server, handlers: StreamHandlers) {
    this.#server = server;
    this.#handlers = handlers;
    server.on('connection', (socket) => this.#accept(socket));
  }

  /** Sends a message and answers what came back. Rejects (StreamFailed) when nothing did within `deadlineMs`, or what did was no message. */
  exchange(to: Address, message: StreamMessage, deadlineMs: number): Promise<StreamMessage> {
    return new Promise((resolve, reject) => {
      const bytes = encodeStream(message, this.#handlers.framing(), true);
      const socket = connect({host: to.host, port: to.port});
      socket.write(bytes);
      this.#handlers.sent(bytes.length);
      this.#read(socket, false, deadlineMs, (result) => {
        socket.destroy();
        if ('failed' in result) reject(new StreamFailed(to, result.failed, result.code));
        else if ('drop' in result) reject(new StreamFailed(to, `it answered what cannot be read: ${result.drop}`));
        else if (result.message.type === 'error') reject(new StreamFailed(to, `it refused: ${result.message.message}`));
        else resolve(result.message);
      });
    });
  }

  async close(): Promise<void> {
    const closed = new Promise<void>((resolve) => {
      this.#server.close(() => resolve());
    });
    for (const socket of this.#open) socket.destroy();
    await closed;
  }

  #accept(socket: Socket): void {
    const host = canonicalAddress(socket.remoteAddress ?? '') ?? '';
    if (this.#accepted >= (this.#handlers.isMember(host) ? MAX_CONNECTIONS : MAX_STRANGERS)) {
      this.#handlers.dropped('connections');
      socket.on('error', () => undefined);
      socket.destroy();
      return;
    }
    const from: Address = {host, port: socket.remotePort ?? 0};
    this.#accepted += 1;
    socket.once('close', () => {
      this.#accepted -= 1;
    });
    this.#read(socket, true, ACCEPTED_FOR, (result) => {
      const answer = this.#answer(result, from);
      if (!answer) {
        socket.destroy();
        return;
      }
      const bytes = encodeStream(answer, this.#handlers.framing(), false);
      this.#handlers.sent(bytes.length);
      socket.end(bytes);
    });
  }

  #answer(result: Outcome, from: Address): StreamMessage | undefined {
    if ('failed' in result) return undefined;
    if ('message' in result) return this.#handlers.answer(result.message, from);
    this.#handlers.dropped(result.drop);
    return {type: 'error', message: `the message was dropped: ${result.drop}`};
  }

  /** Tells once how it came out. The connection's time runs on until it is closed. */
  #read(socket: Socket, opening: boolean, deadlineMs: number, tell: (result: Outcome) => void): void {
    const decoder = new StreamDecoder(this.#handlers.framing(), opening);
    let held = 0;
    let told = false;
    const finish = (result: Outcome): void => {
      if (told) return;
      told = true;
      this.#held -= held;
      held = 0;
      tell(result);
    };
    const timer = setTimeout(() => {
      finish({failed: `no answer within ${deadlineMs} ms`});
      socket.destroy();
    }, deadlineMs);
    this.#open.add(socket);
    socket.on('data', (chunk: Buffer) => {
      this.#handlers.received(chunk.length);
      if (told) return;
      const result = this.#held + chunk.length > MAX_HELD ? ({drop: 'too-large'} as const) : decoder.push(chunk);
      this.#held += decoder.held - held;
      held = decoder.held;
      if (result) finish(result);
    });
    socket.on('error', (error: NodeJS.ErrnoException) => finish({failed: error.message, code: error.code}));
    socket.on('close', () => {
      clearTimeout(timer);
      this.#open.delete(socket);
      finish({failed: 'the connection ended before a whole message'});
    });
  }
}
