/**
 * Sees to it that machines which were removed are out of the bus. Nothing is remembered: an identity whose node was there and
 * is gone is revoked, and the servers of the bus are told the newest claims whenever those change or the bus is back.
 */
import type {BusRevocationsRecord} from '@hivemind/contracts';
import type {ManagerContext} from '@hivemind/service';
import {informer} from '@hivemind/store';
import {identities, type Identities, revocations, REVOCATIONS_KEY} from './join-identities.ts';
import {nodes} from './tables.ts';

export interface RevokerOptions {
  readonly context: Pick<ManagerContext, 'store' | 'bus' | 'logger'>;
  readonly identities: Identities;
  readonly push: (claims: BusRevocationsRecord) => Promise<void>;
}

const RETRY_MS = 2_000;

export class Revoker {
  readonly #options: RevokerOptions;
  readonly #ending = new AbortController();
  #tables: ReturnType<typeof follow> | undefined;
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
    const tables = follow(this.#options.context, this.#ending.signal);
    this.#tables = tables;
    for (const table of [tables.identities, tables.nodes, tables.revocations]) table.onChange(() => this.#wake());
    this.#unlisten = this.#options.context.bus.onStatus((status) => {
      // A server that was put up anew may not know them.
      if (status === 'connected') this.#told = 0;
      this.#wake();
    });
    await Promise.all(Object.values(tables).map((table) => table.ready()));
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
    const tables = this.#tables;
    if (!tables) return;
    for (const {key, value} of tables.identities.list()) {
      const isThere = tables.nodes.get(key) !== undefined;
      if (isThere && !value.registered) await this.#options.identities.markRegistered(key);
      if (!isThere && value.registered && !tables.nodes.unreadable.has(key)) {
        await this.#options.identities.revoke(key);
        this.#options.context.logger.info({node: key}, 'the credentials of a node that was removed are void');
      }
    }
    const claims = tables.revocations.get(REVOCATIONS_KEY)?.value;
    if (!claims || claims.issuedAt <= this.#told) return;
    await this.#options.push(claims);
    this.#told = claims.issuedAt;
  }
}

function follow({store, logger}: RevokerOptions['context'], signal: AbortSignal) {
  const options = {store, signal, onError: (err: unknown) => logger.warn({err}, 'the store could not be followed')};
  return {
    identities: informer({...options, collection: identities}),
    revocations: informer({...options, collection: revocations}),
    nodes: informer({...options, collection: nodes}),
  };
}
