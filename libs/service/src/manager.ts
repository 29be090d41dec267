/** What a manager is to whoever hosts it: a service of its own, or the standalone process. */
import type {Bus} from '@hivemind/bus';
import type {Store} from '@hivemind/store';
import type {Logger} from 'pino';
import type {Registry} from 'prom-client';
import type {HttpServer} from './http.ts';

/** Time and chance, injected so that what decides can be replayed. */
export interface Effects {
  /** ms since the epoch. */
  now(): number;
  /** Unique for ever (UUID). */
  uid(): string;
  /** In [0, 1). */
  random(): number;
}

export interface ManagerContext extends Effects {
  readonly bus: Bus;
  readonly store: Store;
  readonly logger: Logger;
  readonly metrics: Registry;
  /** The cluster's id, the value of the engine label `hivemind.cluster`. */
  readonly cluster: string;
  /** Where keys and caches of this process are, mode 0700. */
  readonly dataDir: string;
  /** Who this process is in elections. */
  readonly instance: string;
  /** The key that all control services of the cluster share; absent where one process is all of them. */
  readonly clusterKey?: () => Promise<Buffer>;
  /** Where machines reach the bus: `tls://host:port`, or `nats://` on loopback; absent where it is inside this process. */
  readonly busUrls?: readonly string[];
  /** What decides how containers of a cluster that is new reach each other. */
  readonly network?: FirstNetwork;
}

export interface FirstNetwork {
  /** The back-end that was asked for. */
  readonly backend?: string | undefined;
  /** Else: why the machine that the cluster begins with can have no network of it; undefined where it can. */
  readonly unable?: () => Promise<string | undefined>;
}

export interface Manager {
  readonly name: string;
  /** Mounts its routes; the prefix /api/v1 is already there. */
  routes(app: HttpServer): void | Promise<void>;
  /** Serves its subjects and starts its reconcilers. Resolves when it can do its work (readyz). */
  start(): Promise<void>;
  /** Finishes what is in hand. Safe without start. */
  stop(): Promise<void>;
}

export type CreateManager = (context: ManagerContext) => Manager;
