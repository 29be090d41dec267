/**
 * What of a container's past the engine does not know, kept on disk: how often it was started again, and that it is over.
 * A job that gave up is not tried again because its agent was started anew.
 */
import {readFile} from 'node:fs/promises';
import type {Clock} from '@hivemind/controller';
import type {Logger} from 'pino';
import * as z from 'zod';
import type {Memory} from './core/memory.ts';
import {writeAtomically} from './files.ts';

const Past = z.object({
  restarts: z.number().int().nonnegative(),
  outcome: z.object({phase: z.enum(['exited', 'failed']), reason: z.string(), message: z.string()}).optional(),
  exitCode: z.number().int().optional(),
  finishedAt: z.string().optional(),
});
export type Past = z.infer<typeof Past>;
const Ledgers = z.object({version: z.literal(1), containers: z.record(z.string(), Past)});

/** Changes are gathered for so long (ms). */
const GATHER_MS = 200;

export class Ledger {
  readonly #path: string;
  readonly #clock: Clock;
  readonly #logger: Logger;
  #containers = new Map<string, Past>();
  #writing: Promise<void> = Promise.resolve();
  #cancel: (() => void) | undefined;

  constructor(path: string, clock: Clock, logger: Logger) {
    this.#path = path;
    this.#clock = clock;
    this.#logger = logger;
  }

  async load(): Promise<void> {
    const text = await readFile(this.#path, 'utf8').catch(() => '');
    try {
      const parsed = Ledgers.safeParse(JSON.parse(text === '' ? 'null' : text));
      if (parsed.success) this.#containers = new Map(Object.entries(parsed.data.containers));
    } catch (error) {
      this.#logger.warn({err: error}, 'what is known of past restarts could not be read');
    }
  }

  past(id: string): Past | undefined {
    return this.#containers.get(id);
  }

  note(id: string, {restarts, outcome, exitCode, finishedAt}: Memory): void {
    const known = this.#containers.get(id);
    if (restarts === 0 && outcome === undefined && known === undefined) return;
    if (known?.restarts === restarts && known.outcome?.reason === outcome?.reason && known.exitCode === exitCode) return;
    this.#containers.set(id, {restarts, ...(outcome ? {outcome} : {}), ...(exitCode === undefined ? {} : {exitCode}), ...(finishedAt === undefined ? {} : {finishedAt})});
    this.#gather();
  }

  forget(id: string): void {
    if (this.#containers.delete(id)) this.#gather();
  }

  /** Forget all others: they went while no agent ran. */
  retain(ids: ReadonlySet<string>): void {
    for (const id of this.#containers.keys()) if (!ids.has(id)) this.forget(id);
  }

  async stop(): Promise<void> {
    if (this.#cancel) {
      this.#cancel();
      this.#write();
    }
    await this.#writing;
  }

  #gather(): void {
    this.#cancel ??= this.#clock.setTimer(() => this.#write(), GATHER_MS);
  }

  #write(): void {
    this.#cancel = undefined;
    const content = JSON.stringify({version: 1, containers: Object.fromEntries(this.#containers)});
    this.#writing = this.#writing
      .then(() => writeAtomically(this.#path, content))
      .catch((error: unknown) => this.#logger.warn({err: error}, 'what is known of past restarts could not be written'));
  }
}
