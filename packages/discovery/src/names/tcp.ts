/** Queries over TCP: each behind its length, many on one connection, answered in any order. */
import {createServer, type Server, type Socket} from 'node:net';

export interface TcpDoorOptions {
  readonly address: string;
  readonly port: number;
  /** Answers whether there will be an answer. */
  readonly handle: (packet: Buffer, from: string, send: (answer: Buffer) => void) => boolean;
}

/** A connection that is quiet for so long (ms) is closed. */
const QUIET_MS = 10_000;
const MOST_CONNECTIONS = 256;
/** Queries of one connection that are under way at most; it is not read from meanwhile. */
const MOST_UNDER_WAY = 64;

export class TcpDoor {
  /** Resolves when it listens; rejects as `listen` does. */
  readonly listening: Promise<void>;
  readonly #server: Server;
  readonly #sockets = new Set<Socket>();

  constructor({address, port, handle}: TcpDoorOptions) {
    this.#server = createServer({noDelay: true}, (socket) => this.#serve(socket, handle));
    this.#server.maxConnections = MOST_CONNECTIONS;
    this.listening = new Promise((resolve, reject) => {
      this.#server.once('error', reject);
      this.#server.listen({host: address, port}, () => {
        this.#server.off('error', reject);
        resolve();
      });
    });
    this.listening.catch(() => undefined);
  }

  onError(listener: (error: Error) => void): void {
    this.#server.on('error', listener);
  }

  close(): void {
    this.#server.close();
    for (const socket of this.#sockets) socket.destroy();
  }

  #serve(socket: Socket, handle: TcpDoorOptions['handle']): void {
    this.#sockets.add(socket);
    const from = socket.remoteAddress ?? '';
    let received: Buffer = Buffer.alloc(0);
    let underWay = 0;
    const take = (): void => {
      while (underWay < MOST_UNDER_WAY && received.length >= 2 && received.length >= 2 + received.readUInt16BE(0)) {
        const end = 2 + received.readUInt16BE(0);
        const packet = Buffer.from(received.subarray(2, end));
        received = received.subarray(end);
        underWay += 1;
        const due = handle(packet, from, (answer) => {
          const length = Buffer.alloc(2);
          length.writeUInt16BE(answer.length);
          if (!socket.destroyed) socket.write(Buffer.concat([length, answer]));
          underWay -= 1;
          if (socket.isPaused()) {
            socket.resume();
            take();
          }
        });
        // What is no query gets no answer, and this connection has no business here.
        if (!due) return void socket.destroy();
      }
      if (underWay >= MOST_UNDER_WAY) socket.pause();
    };
    socket.setTimeout(QUIET_MS, () => socket.destroy());
    socket.on('data', (part: Buffer) => {
      received = received.length === 0 ? part : Buffer.concat([received, part]);
      take();
    });
    socket.on('error', () => socket.destroy());
    socket.on('close', () => this.#sockets.delete(socket));
  }
}
