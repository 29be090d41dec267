/** Names as a part of the process: there only where they are to be answered, from the moment on that this is known. */
import {commonErrors} from '@hivemind/contracts/define-errors';
import {keptListen} from '@hivemind/discovery/names/kept';
import type {Logger} from 'pino';
import type {Answering, AnsweringOptions} from './answering.ts';
import type {NamesPart, NamesPoint, NamesVitals} from './parts.ts';

export interface NamesOptions extends Pick<AnsweringOptions, 'file' | 'now' | 'random' | 'setTimer'> {
  readonly logger: Pick<Logger, 'info' | 'warn'>;
}

export class Names {
  readonly #options: NamesOptions;
  /** Undefined: names are not answered here. */
  #answering: Promise<Answering> | undefined;

  constructor(options: NamesOptions) {
    this.#options = options;
  }

  /** Goes on where the process before this one was. */
  async start(): Promise<void> {
    const {file} = this.#options;
    if (file !== undefined && (await keptListen(file)).length > 0) await this.#launch();
  }

  /** From the agent. Where names are not to be answered nothing is kept of it. @throws `invalid-input` 422 */
  async apply(part: NamesPart): Promise<NamesPoint> {
    if (part.listen.length === 0) {
      await this.stop();
      return {epoch: part.epoch, n: part.n};
    }
    const answering = await this.#launch();
    try {
      return await answering.apply(part);
    } catch (error) {
      throw commonErrors['invalid-input'](`These are no names: ${String(error)}`, {cause: error});
    }
  }

  /** undefined: names are not answered here. */
  async vitals(): Promise<NamesVitals | undefined> {
    return (await this.#answering)?.vitals();
  }

  async stop(): Promise<void> {
    const answering = this.#answering;
    this.#answering = undefined;
    (await answering)?.close();
  }

  #launch(): Promise<Answering> {
    if (this.#answering) return this.#answering;
    const answering = (this.#answering = this.#answer());
    answering.catch(() => {
      if (this.#answering === answering) this.#answering = undefined;
    });
    return answering;
  }

  async #answer(): Promise<Answering> {
    const {logger, ...options} = this.#options;
    const {Answering: Server} = await import('./answering.ts');
    const answering = new Server({...options, log: (level, fields, text) => logger[level](fields, text)});
    await answering.start();
    return answering;
  }
}
