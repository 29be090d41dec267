/**
 * Addresses of this machine's containers, kept on disk: a container has one from its first creation to its removal, whatever
 * becomes of agent, engine and machine meanwhile.
 */
import {mkdir, open, readFile, rename} from 'node:fs/promises';
import {dirname} from 'node:path';
import * as z from 'zod';
import {nextAddress} from '../core/addresses.ts';
import {contains, parseAddress, parseCidr} from '../core/cidr.ts';
import {networkErrors} from '../errors.ts';

const Kept = z.object({version: z.literal(1), last: z.string().optional(), addresses: z.record(z.string(), z.string())});

export class Addresses {
  readonly #path: string;
  readonly #seen: () => Promise<readonly {readonly id: string; readonly address: string}[]>;
  readonly #addresses = new Map<string, string>();
  /** By this process. */
  readonly #asked = new Set<string>();
  #last: string | undefined;
  #loaded: Promise<void> | undefined;
  #saving: Promise<void> = Promise.resolve();
  #waiting: Promise<void> | undefined;

  /** @param seen what the engine knows: asked where the file is missing or cannot be read */
  constructor(path: string, seen: () => Promise<readonly {readonly id: string; readonly address: string}[]>) {
    this.#path = path;
    this.#seen = seen;
  }

  /** @throws what the engine says where it has to be asked: another call tries again */
  load(): Promise<void> {
    this.#loaded ??= this.#load().catch((error: unknown) => {
      this.#loaded = undefined;
      throw error;
    });
    return this.#loaded;
  }

  /** Known only after `load`. */
  get all(): ReadonlyMap<string, string> {
    return this.#addresses;
  }

  /** The container's own, or a free one; on disk when it resolves. @throws `addresses-exhausted` 422 */
  async take(id: string, subnet: string): Promise<string> {
    this.#asked.add(id);
    await this.load();
    const range = parseCidr(subnet);
    const known = this.#addresses.get(id);
    const value = known === undefined ? undefined : parseAddress(known);
    if (known !== undefined && value !== undefined && range !== undefined && contains(range, value)) {
      await this.#saving;
      return known;
    }
    const address = range && nextAddress(range, new Set(this.#addresses.values()), this.#last);
    if (address === undefined) throw networkErrors['addresses-exhausted'](`All addresses of ${subnet} are taken by ${this.#addresses.size} containers: a machine takes no more.`);
    this.#addresses.set(id, address);
    this.#last = address;
    await this.#save();
    return address;
  }

  async free(id: string): Promise<void> {
    await this.load();
    this.#asked.delete(id);
    if (this.#addresses.delete(id)) await this.#save();
  }

  /** Frees those of containers that went while no agent ran: what is asked for by now is made again. @param there ids of the containers that the engine has */
  async retain(there: ReadonlySet<string>): Promise<void> {
    await this.load();
    const gone = [...this.#addresses.keys()].filter((id) => !there.has(id) && !this.#asked.has(id));
    for (const id of gone) this.#addresses.delete(id);
    if (gone.length > 0) await this.#save();
  }

  async #load(): Promise<void> {
    const text = await readFile(this.#path, 'utf8').catch(() => '');
    const kept = Kept.safeParse(parseJson(text));
    if (kept.success) {
      for (const [id, address] of Object.entries(kept.data.addresses)) this.#addresses.set(id, address);
      this.#last = kept.data.last;
      return;
    }
    for (const {id, address} of await this.#seen()) this.#addresses.set(id, address);
    await this.#save();
  }

  /** One write at a time; what is asked for while one waits goes with it. */
  #save(): Promise<void> {
    this.#waiting ??= this.#saving.catch(() => undefined).then(() => {
      this.#waiting = undefined;
      return writeAtomically(this.#path, JSON.stringify({version: 1, ...(this.#last === undefined ? {} : {last: this.#last}), addresses: Object.fromEntries(this.#addresses)}));
    });
    this.#saving = this.#waiting;
    return this.#saving;
  }
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

/** The file is the old one or the new one, whenever the power goes. */
export async function writeAtomically(path: string, content: string): Promise<void> {
  await mkdir(dirname(path), {recursive: true, mode: 0o700});
  {
    await using file = await open(`${path}.new`, 'w', 0o600);
    await file.writeFile(content);
    await file.sync();
  }
  await rename(`${path}.new`, path);
}
