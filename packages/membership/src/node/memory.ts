/**
 * What a member remembers for its next life: whom to ask when the whole ring was restarted and nobody else knows anyone either, and
 * how far its incarnation had come. A file of mode 0600, replaced whole. Losing it costs the rejoining, nothing else.
 */
import {mkdir, open, readFile, rename} from 'node:fs/promises';
import {join} from 'node:path';
import type {Logger} from 'pino';
import type {Address} from '../core/messages.ts';
import {canonicalAddress} from '../wire/index.ts';

export interface Remembered {
  readonly incarnation: number;
  readonly members: readonly Address[];
}

const FILE = 'membership.json';
const VERSION = 1;
/** Enough that some of them are there after the ring was restarted elsewhere. */
export const MAX_REMEMBERED = 64;

export class Memory {
  readonly #dir: string;
  readonly #name: string;
  readonly #logger: Logger;
  #writing: Promise<void> = Promise.resolve();
  #written = '';

  constructor(dir: string, name: string, logger: Logger) {
    this.#dir = dir;
    this.#name = name;
    this.#logger = logger;
  }

  /** What was remembered; nothing where there is no file, where it is of another name, or where it cannot be read (that is logged). */
  async read(): Promise<Remembered> {
    await mkdir(this.#dir, {recursive: true, mode: 0o700});
    let text: string;
    try {
      text = await readFile(join(this.#dir, FILE), 'utf8');
    } catch (error) {
      if (isObject(error) && error.code === 'ENOENT') return {incarnation: 0, members: []};
      throw error;
    }
    const remembered = parse(text, this.#name);
    if (!remembered) this.#logger.warn({file: join(this.#dir, FILE)}, 'what was remembered of the ring cannot be read, and is replaced');
    return remembered ?? {incarnation: 0, members: []};
  }

  /** Writes after what is being written; the same again is not written. A failure is logged: the ring goes on without. */
  write({incarnation, members}: Remembered): Promise<void> {
    const text = JSON.stringify({version: VERSION, name: this.#name, incarnation, members});
    if (text === this.#written) return this.#writing;
    this.#written = text;
    this.#writing = this.#writing.then(() => this.#replace(text)).catch((error: unknown) => {
      this.#written = '';
      this.#logger.warn({err: error, dir: this.#dir}, 'what to remember of the ring could not be written');
    });
    return this.#writing;
  }

  async #replace(text: string): Promise<void> {
    const file = join(this.#dir, FILE);
    const fresh = await open(`${file}.new`, 'w', 0o600);
    try {
      await fresh.writeFile(text);
      await fresh.sync();
    } finally {
      await fresh.close();
    }
    await rename(`${file}.new`, file);
  }
}

function parse(text: string, name: string): Remembered | undefined {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    // Cut short by a crash, or written by someone else.
    return undefined;
  }
  if (!isObject(value) || value.version !== VERSION || !Array.isArray(value.members)) return undefined;
  const {incarnation} = value;
  if (typeof incarnation !== 'number' || !Number.isInteger(incarnation) || incarnation < 0) return undefined;
  const members = value.members.slice(0, MAX_REMEMBERED).map(toAddress).filter((address) => address !== undefined);
  return {incarnation: value.name === name ? incarnation : 0, members};
}

function toAddress(value: unknown): Address | undefined {
  if (!isObject(value) || typeof value.host !== 'string' || typeof value.port !== 'number') return undefined;
  const host = canonicalAddress(value.host);
  const {port} = value;
  return host !== undefined && Number.isInteger(port) && port > 0 && port < 65_536 ? {host, port} : undefined;
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null;
}
