/** Tells the servers of the bus whose keys are void: whenever that changes, and whenever the bus is back. */
import type {BusRevocationsRecord} from '@hivemind/contracts';
import type {ManagerContext} from '@hivemind/service';
import {informer, type Informer} from '@hivemind/store';
import {revocations, REVOCATIONS_KEY} from './join-identities.ts';

export interface RevokerOptions {
  readonly context: Pick<ManagerContext, 'store' | 'bus' | 'logger'>;
  readonly push: (claims: BusRevocationsRecord) => Promise<void>;
}

const RETRY_MS = 2_000;

export class Revoker {
  readonly #options: RevokerOptions;
  readonly #ending = new AbortController();
  #claims: Informer<BusRevocationsRecord> | undefined;
  #unlisten: (() => void) | undefined;
  #working: Promise<void> | undefined;
  #again = false;
  #retry: NodeJS.Timeout | undefined;
  /** What the bus was last told. */
  #told = 0;

  constructor(options: RevokerOptions) {
    this.#options = options;
  }

  async start(): Promise<void> {
    const {store, bus, logger} = this.#options.context;
    this.#claims = informer({store, collection: revocations, signal: this.#ending.signal, onError: (err) => logger.warn({err}, 'the store could not be followed')});
    this.#claims.onChange(() => this.#wake());
    this.#unlisten = bus.onStatus((status) => {
      if (status !== 'connected') return;
      // A server that was put up anew may not know them.
      this.#told = 0;
      this.#wake();
    });
    await this.#claims.ready();
    this.#wake();
  }

  async stop(): Promise<void> {
    this.#ending.abort();
    this.#unlisten?.();
    clearTimeout(this.#retry);
    await this.#working;
  }

  #wake(): void {
    this.#again = true;
    if (this.#ending.signal.aborted) return;
    this.#working ??= this.#work().finally(() => (this.#working = undefined));
  }

  async #work(): Promise<void> {
    while (this.#again && !this.#ending.signal.aborted) {
      this.#again = false;
      try {
        await this.#look();
      } catch (err) {
        this.#options.context.logger.warn({err}, 'the bus could not be told whose credentials are void; it will be tried again');
        clearTimeout(this.#retry);
        this.#retry = setTimeout(() => this.#wake(), RETRY_MS).unref();
      }
    }
  }

  async #look(): Promise<void> {
    const claims = this.#claims?.get(REVOCATIONS_KEY)?.value;
    if (!claims || claims.issuedAt <= this.#told) return;
    await this.#options.push(claims);
    this.#told = claims.issuedAt;
    this.#options.context.logger.info({issuedAt: claims.issuedAt, keys: Object.keys(claims.revoked).length}, 'the bus knows whose keys are void');
  }
}
