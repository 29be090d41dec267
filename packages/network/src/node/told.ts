/** What the control plane says of the network: asked for, heard of changes, and kept on disk for when it is away (law 8). */
import {readFile} from 'node:fs/promises';
import {type Bus, call, listen, type Subscription} from '@hivemind/bus';
import {getNetwork, type HivemindError, isError, networkChanged, NetworkPeer, NetworkView} from '@hivemind/contracts';
import type {Clock} from '@hivemind/controller';
import type {Logger} from 'pino';
import * as z from 'zod';
import type {InForce} from '../core/force.ts';
import {writeAtomically} from './addresses.ts';

const Kept = z.object({
  version: z.literal(1),
  cluster: z.string(),
  latest: NetworkView,
  inForce: z.object({view: NetworkView.pick({spec: true, peers: true, virtualIps: true}), self: NetworkPeer}).optional(),
});
export type Kept = z.infer<typeof Kept>;

/** Without news. */
const REFRESH_MS = 30_000;
const RETRY_MS = 1_000;

export interface ToldOptions {
  readonly bus: Bus;
  readonly node: string;
  readonly cluster: string;
  readonly path: string;
  readonly session: {current(): number | undefined; onRegistered(listener: () => void): () => void};
  /** The part that containers have addresses of. */
  readonly holds: () => string | undefined;
  /** Undefined: the machine can have none. */
  readonly wireguardKey: () => Promise<string | undefined>;
  readonly onView: (view: NetworkView) => void;
  /** The control plane refuses to give addresses. */
  readonly onRefused: (error: HivemindError) => void;
  readonly clock: Clock;
  readonly logger: Logger;
}

export class Told {
  readonly #options: ToldOptions;
  readonly #first = Promise.withResolvers<void>();
  #subscription: Subscription | undefined;
  #unlisten = (): void => undefined;
  #cancel = (): void => undefined;
  #asking: Promise<void> | undefined;
  #again = false;
  #stopped = false;
  #saved = '';

  constructor(options: ToldOptions) {
    this.#options = options;
  }

  /** What is on disk of this cluster. */
  async kept(): Promise<Kept | undefined> {
    const text = await readFile(this.#options.path, 'utf8').catch(() => '');
    try {
      const kept = Kept.safeParse(JSON.parse(text === '' ? 'null' : text));
      return kept.success && kept.data.cluster === this.#options.cluster ? kept.data : undefined;
    } catch {
      return undefined;
    }
  }

  async keep(latest: NetworkView, inForce: InForce | undefined): Promise<void> {
    const {cluster, path, logger} = this.#options;
    const content = JSON.stringify({version: 1, cluster, latest, ...(inForce ? {inForce} : {})});
    if (content === this.#saved) return;
    this.#saved = content;
    await writeAtomically(path, content).catch((err: unknown) => {
      this.#saved = '';
      logger.warn({err}, 'what is known of the network could not be kept on disk; without the control plane a restarted agent will not know it');
    });
  }

  async start(): Promise<void> {
    const {bus, session} = this.#options;
    this.#subscription = await listen(bus, networkChanged, {}, () => this.#refresh());
    this.#unlisten = session.onRegistered(() => this.#refresh());
    this.#refresh();
  }

  /** Resolves when the control plane has said something, or was found to be away, or not to know of networks. */
  first(): Promise<void> {
    return this.#first.promise;
  }

  async stop(): Promise<void> {
    this.#stopped = true;
    this.#cancel();
    this.#unlisten();
    await this.#subscription?.unsubscribe();
    await this.#asking;
  }

  #refresh(): void {
    this.#again = true;
    if (this.#asking || this.#stopped) return;
    this.#asking = this.#ask().finally(() => {
      this.#asking = undefined;
    });
  }

  async #ask(): Promise<void> {
    const {bus, node, session, holds, wireguardKey, onView, onRefused, clock, logger} = this.#options;
    let delay = RETRY_MS;
    while (this.#again && !this.#stopped) {
      this.#again = false;
      const number = session.current();
      if (number === undefined) {
        // The control plane is away. Where nothing was kept of a network either, this machine has never had one.
        this.#first.resolve();
        break;
      }
      try {
        const held = holds();
        const key = await wireguardKey();
        onView(await call(bus, getNetwork, {node}, {session: number, ...(held === undefined ? {} : {holds: held}), ...(key === undefined ? {} : {wireguardKey: key})}));
        this.#first.resolve();
        delay = REFRESH_MS;
      } catch (error) {
        if (isError(error, 'subnets-exhausted')) {
          onRefused(error);
          this.#first.resolve();
        } else if (isError(error, 'no-responders')) {
          // A control plane of an earlier release: networks are the engine's.
          this.#first.resolve();
        }
        logger.debug({err: error}, 'the network manager does not answer; going on with what is known');
      }
    }
    this.#cancel();
    if (!this.#stopped) this.#cancel = clock.setTimer(() => this.#refresh(), delay);
  }
}
