/** Lets go of images that nobody uses: by age, and where the disk runs full. Remembers when each was used last. */
import {readFile, statfs} from 'node:fs/promises';
import type {EventRecord} from '@hivemind/contracts';
import {isError} from '@hivemind/contracts';
import type {Clock} from '@hivemind/controller';
import type {Runtime} from '@hivemind/runtime';
import type {Logger} from 'pino';
import * as z from 'zod';
import {parseImageName} from '../../core/image-name.ts';
import {writeAtomically} from '../worker/files.ts';
import {type HeldImage, isOld, removable, type Retention} from './core/retention.ts';

export interface ImageKeeperOptions {
  readonly node: string;
  readonly runtime: Pick<Runtime, 'images' | 'usedImages' | 'removeImage' | 'imageDir'>;
  /** Where it is remembered what was fetched, and when it was used. */
  readonly path: string;
  readonly retention: Retention;
  /** Images of the assignment, as they are written there; undefined: it is not known. */
  readonly wanted: () => readonly string[] | undefined;
  /** For people. */
  readonly tell: (event: EventRecord) => void;
  readonly clock: Clock;
  readonly logger: Logger;
  /** Percent of the disk that is taken; the file system's own answer when absent. */
  readonly fullness?: (dir: string) => Promise<number>;
}

const Remembered = z.object({version: z.literal(1), images: z.record(z.string(), z.object({usedAt: z.number()}))});
const EVERY_MS = 60_000;

export class ImageKeeper {
  readonly #options: ImageKeeperOptions;
  /** When it was last used, or fetched, by its name in full. */
  readonly #fetched = new Map<string, number>();
  #loaded: Promise<void> | undefined;
  #sweeping: Promise<void> = Promise.resolve();
  #cancel: (() => void) | undefined;
  #stopped = false;
  #full = false;
  #written = '';

  constructor(options: ImageKeeperOptions) {
    this.#options = options;
  }

  start(): void {
    this.#schedule();
  }

  /** A sweep that runs is waited for. */
  async stop(): Promise<void> {
    this.#stopped = true;
    this.#cancel?.();
    await this.#sweeping;
  }

  /** An image came from a registry: it can come again. */
  pulled(image: string): void {
    const name = parseImageName(image)?.full;
    if (name === undefined) return;
    const now = this.#options.clock.now();
    this.#sweeping = this.#sweeping.then(async () => {
      await this.#load();
      this.#fetched.set(name, now);
      await this.#remember();
    });
  }

  #schedule(): void {
    if (this.#stopped) return;
    this.#cancel = this.#options.clock.setTimer(() => {
      this.#sweeping = this.#sweeping.then(() => this.#sweep()).catch((err: unknown) => this.#options.logger.debug({err}, 'images could not be looked through; it is tried again')).finally(() => this.#schedule());
    }, EVERY_MS);
  }

  async #sweep(): Promise<void> {
    const {runtime, retention, clock} = this.#options;
    const written = this.#options.wanted();
    if (written === undefined) return;
    await this.#load();
    const [images, used] = await Promise.all([runtime.images(), runtime.usedImages()]);
    const ids = new Map(images.flatMap(({id, tags, digests}) => [...tags, ...digests].map((name) => [parseImageName(name)?.full ?? name, id] as const)));
    const wanted = new Set(written.map((name) => parseImageName(name)?.full ?? name));
    const now = clock.now();
    for (const [name, usedAt] of this.#fetched) {
      const id = ids.get(name);
      if (id === undefined) this.#fetched.delete(name);
      // Coarsely: it is written down each time.
      else if ((used.has(id) || wanted.has(name)) && now - usedAt >= retention.minAgeMs) this.#fetched.set(name, now);
    }
    const held = [...this.#fetched].flatMap(([name, usedAt]) => ({name, id: ids.get(name) ?? '', usedAt}));
    await this.#letGo(removable({images: held, used, wanted}, retention, now), now);
    await this.#remember();
  }

  async #letGo(candidates: readonly HeldImage[], now: number): Promise<void> {
    const {retention} = this.#options;
    const aged = candidates.filter((image) => isOld(image, retention, now));
    for (const image of aged) await this.#remove(image, 'it was not used for long');
    const {disk} = retention;
    const dir = disk === undefined ? undefined : await this.#options.runtime.imageDir();
    if (disk === undefined || dir === undefined) return;
    let taken = await this.#fullness(dir);
    if (taken > disk.high) {
      for (const image of candidates.filter((each) => !aged.includes(each))) {
        if (taken <= disk.low || this.#stopped) break;
        await this.#remove(image, `the disk of ${dir} is ${Math.round(taken)} % full`);
        taken = await this.#fullness(dir);
      }
    }
    const full = taken > disk.high;
    if (full && !this.#full) this.#say('warning', 'ImageDiskFull', `the disk of ${dir} is ${Math.round(taken)} % full, and no image is left that may go: make room, or run less here`);
    this.#full = full;
  }

  async #remove({name}: HeldImage, why: string): Promise<void> {
    try {
      await this.#options.runtime.removeImage(name);
    } catch (error) {
      // Somebody was faster to use it.
      if (isError(error, 'runtime-conflict')) return;
      throw error;
    }
    this.#fetched.delete(name);
    this.#say('normal', 'ImageRemoved', `the image ${name} was removed: ${why}`);
  }

  #say(type: EventRecord['type'], reason: string, message: string): void {
    const {node, clock, tell, logger} = this.#options;
    logger.info({reason}, message);
    tell({time: new Date(clock.now()).toISOString(), namespace: 'default', kind: 'Node', name: node, type, reason, message, node});
  }

  async #fullness(dir: string): Promise<number> {
    return (this.#options.fullness ?? fullnessOf)(dir);
  }

  #load(): Promise<void> {
    return (this.#loaded ??= readFile(this.#options.path, 'utf8').then((text) => {
      const {success, data} = Remembered.safeParse(JSON.parse(text));
      if (success) for (const [name, {usedAt}] of Object.entries(data.images)) this.#fetched.set(name, usedAt);
    }).catch(() => undefined));
  }

  async #remember(): Promise<void> {
    const text = JSON.stringify({version: 1, images: Object.fromEntries([...this.#fetched].map(([name, usedAt]) => [name, {usedAt}]))});
    if (text === this.#written) return;
    this.#written = text;
    await writeAtomically(this.#options.path, text).catch((err: unknown) => this.#options.logger.warn({err}, 'what is known of images could not be written'));
  }
}

/** As df says it. */
async function fullnessOf(dir: string): Promise<number> {
  const {blocks, bfree, bavail} = await statfs(dir);
  const taken = blocks - bfree;
  return (taken / (taken + bavail)) * 100;
}
