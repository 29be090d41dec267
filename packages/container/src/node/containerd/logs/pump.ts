/**
 * From the pipes of containers into their log files. A pipe is open for as long as the container's task runs; its shim holds
 * both ends, so that whoever reads may come and go, and what is not read yet waits in the pipe.
 */
import {constants, open} from 'node:fs';
import {Socket} from 'node:net';
import {promisify} from 'node:util';
import {errnoOf} from '../errno.ts';
import {markReader, unmarkReader} from './reader-mark.ts';
import {LogWriter} from './writer.ts';

export interface Pipes {
  /** The directory of its log. */
  readonly log: string;
  readonly stdout: string;
  /** Absent with a terminal. */
  readonly stderr?: string;
}

export class LogPump {
  readonly #open = new Map<string, {readonly drained: Promise<void>; readonly sockets: Socket[]}>();
  readonly #mark: (() => string) | undefined;
  #marked: Promise<void> | undefined;
  #released = false;

  /** @param mark where it says that this process reads, for who would do it in its absence */
  constructor(mark?: () => string) {
    this.#mark = mark;
  }

  /** Reads from now on; resolves when both pipes are open. Once is enough until it is drained. */
  async open(id: string, {log, stdout, stderr}: Pipes): Promise<void> {
    if (this.#open.has(id)) return;
    const drained = Promise.withResolvers<void>();
    const sockets: Socket[] = [];
    this.#open.set(id, {drained: drained.promise, sockets});
    try {
      if (this.#mark) await (this.#marked ??= markReader(this.#mark()));
      const writer = await LogWriter.open(log);
      for (const path of stderr === undefined ? [stdout] : [stdout, stderr]) sockets.push(await openPipe(path));
      const ended = sockets.map((socket, at) => {
        const name = at === 0 ? 'stdout' : 'stderr';
        socket.on('data', (chunk: Buffer) => writer.write(name, chunk));
        return new Promise<void>((resolve) => {
          socket.once('close', resolve);
          socket.on('error', () => socket.destroy());
        });
      });
      void Promise.all(ended).then(() => {
        writer.close(!this.#released);
        this.#open.delete(id);
        drained.resolve();
      });
    } catch (error) {
      this.#open.delete(id);
      drained.resolve();
      throw error;
    }
  }

  /** Resolves when all that it wrote is in its log. */
  async drained(id: string): Promise<void> {
    await this.#open.get(id)?.drained;
  }

  /** Nobody will write: its task did not come to be. */
  abandon(id: string): void {
    for (const socket of this.#open.get(id)?.sockets ?? []) socket.destroy();
  }

  /** Reads no more, for good. What is not read stays in the pipes, for who comes next. Resolves when all that was read is in the logs. */
  async release(): Promise<void> {
    this.#released = true;
    const open = [...this.#open];
    for (const [id] of open) this.abandon(id);
    await Promise.all(open.map(([, {drained}]) => drained));
    if (this.#mark && this.#marked) await unmarkReader(this.#mark());
  }
}

/** To read without waiting for a writer; it ends once there was one and it has gone. */
export async function openPipe(path: string): Promise<Socket> {
  // A plain descriptor: the socket closes it.
  const fd = await promisify(open)(path, constants.O_RDONLY | constants.O_NONBLOCK);
  return new Socket({fd, readable: true, writable: false});
}

/** To write. undefined: nobody reads it any more. */
export async function openPipeToWrite(path: string): Promise<Socket | undefined> {
  try {
    const fd = await promisify(open)(path, constants.O_WRONLY | constants.O_NONBLOCK);
    const socket = new Socket({fd, readable: false, writable: true});
    socket.on('error', () => socket.destroy());
    return socket;
  } catch (error) {
    if (errnoOf(error) === 'ENXIO') return undefined;
    throw error;
  }
}
