/** Follows the engine: its events, and a whole list each time the connection came (back). */
import {isError} from '@hivemind/contracts';
import type {Clock} from '@hivemind/controller';
import type {Runtime, RuntimeContainer, RuntimeEvent} from '@hivemind/runtime';
import type {Logger} from 'pino';

export interface EngineWatchOptions {
  readonly runtime: Runtime;
  readonly clock: Clock;
  readonly logger: Logger;
  /** Before a list is asked for. */
  readonly onListing: () => void;
  /** All that the engine has, as of some moment after `onListing`. */
  readonly onList: (containers: ReadonlyMap<string, RuntimeContainer>) => void;
  readonly onLost: () => void;
  /** Something happened to one container. */
  readonly onEvent: (event: ContainerEvent) => void;
}

export type ContainerEvent = Extract<RuntimeEvent, {readonly id: string}>;

const RETRY_MS = 1_000;
/** A look at everything, as a net under lost events. */
const RELIST_MS = 60_000;

export class EngineWatch {
  readonly #options: EngineWatchOptions;
  readonly #ending = new AbortController();
  #watching: Promise<void> | undefined;
  #listing: Promise<void> | undefined;
  #again = false;
  #cancel: (() => void) | undefined;

  constructor(options: EngineWatchOptions) {
    this.#options = options;
  }

  start(): void {
    this.#watching = this.#watch();
  }

  async stop(): Promise<void> {
    this.#ending.abort();
    this.#cancel?.();
    await Promise.all([this.#watching, this.#listing]);
  }

  /** Ask the engine for all it has, soon. */
  list(): void {
    this.#again = true;
    if (this.#listing || this.#ending.signal.aborted) return;
    this.#listing = this.#listUntilQuiet().finally(() => (this.#listing = undefined));
  }

  async #watch(): Promise<void> {
    const {runtime, logger, onLost, onEvent} = this.#options;
    const {signal} = this.#ending;
    try {
      for await (const event of runtime.events(signal)) {
        if ('id' in event) onEvent(event);
        else if (event.type === 'connected') this.list();
        else onLost();
      }
    } catch (error) {
      if (!signal.aborted) logger.error({err: error}, 'the engine is no longer watched');
    }
  }

  async #listUntilQuiet(): Promise<void> {
    const {runtime, clock, logger, onListing, onList, onLost} = this.#options;
    let delay = RELIST_MS;
    this.#cancel?.();
    try {
      while (this.#again && !this.#ending.signal.aborted) {
        this.#again = false;
        onListing();
        const containers = await runtime.list();
        if (this.#ending.signal.aborted) return;
        onList(new Map(containers.map((container) => [container.id, container])));
      }
    } catch (error) {
      logger.debug({err: error}, 'the containers of the engine could not be listed; trying again');
      // Its connection may stand while it answers nothing more.
      if (isError(error, 'runtime-unavailable')) onLost();
      delay = RETRY_MS;
    }
    if (!this.#ending.signal.aborted) this.#cancel = clock.setTimer(() => this.list(), delay);
  }
}
