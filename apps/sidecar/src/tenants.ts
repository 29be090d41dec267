/**
 * The tenants of the process: each on a thread of its own, so that none can delay or bring down another. One that ends is
 * started again, sooner or later as it keeps failing.
 */
import type {Worker} from 'node:worker_threads';
import type {Logger} from 'pino';

/** What has a thread here, as data. */
export interface Tenant {
  readonly name: string;
  /** Makes its thread. */
  launch(): Worker;
  /** Before its thread ends on purpose; bounded by itself. */
  leave?(): Promise<void>;
  /** Its thread has ended. */
  onEnd?(): void;
}

export interface Tenants {
  /** Whether the thread of each is there, and how often it was started again. */
  status(): Readonly<Record<string, {readonly running: boolean; readonly restarts: number}>>;
  /** Says farewell where a tenant has one, then ends every thread. */
  stop(): Promise<void>;
}

export interface TenantsOptions {
  readonly logger: Pick<Logger, 'error' | 'info'>;
  /** Calls once after `ms`; answers how to cancel. */
  readonly setTimer: (callback: () => void, ms: number) => () => void;
  /** Monotonic ms. */
  readonly now: () => number;
}

const FIRST_PAUSE_MS = 100;
const LONGEST_PAUSE_MS = 30_000;
/** Who lived so long starts from the first pause again. */
const HEALTHY_AFTER_MS = 60_000;

/** How long to wait before the `failures`-th start in a row, from 1. */
export function restartPause(failures: number): number {
  return Math.min(LONGEST_PAUSE_MS, FIRST_PAUSE_MS * 2 ** (Math.min(failures, 20) - 1));
}

/** Starts them all. */
export function keepTenants(tenants: readonly Tenant[], options: TenantsOptions): Tenants {
  const kept = tenants.map((tenant) => new KeptTenant(tenant, options));
  for (const one of kept) one.start();
  return {
    status: () => Object.fromEntries(kept.map(({name, running, restarts}) => [name, {running, restarts}])),
    stop: async () => {
      await Promise.all(kept.map((one) => one.stop()));
    },
  };
}

class KeptTenant {
  restarts = 0;
  readonly #tenant: Tenant;
  readonly #options: TenantsOptions;
  #worker: Worker | undefined;
  #failures = 0;
  #stopping = false;
  #cancelRestart: () => void = () => undefined;

  constructor(tenant: Tenant, options: TenantsOptions) {
    this.#tenant = tenant;
    this.#options = options;
  }

  get name(): string {
    return this.#tenant.name;
  }

  get running(): boolean {
    return this.#worker !== undefined;
  }

  start(): void {
    const startedAt = this.#options.now();
    const worker = this.#tenant.launch();
    this.#worker = worker;
    let reason: unknown = 'its thread ended';
    worker.on('error', (error) => (reason = error));
    worker.once('exit', () => this.#ended(startedAt, reason));
  }

  async stop(): Promise<void> {
    this.#stopping = true;
    this.#cancelRestart();
    await this.#tenant.leave?.().catch((err: unknown) => this.#options.logger.error({err, tenant: this.name}, 'a tenant could not say farewell'));
    await this.#worker?.terminate();
  }

  #ended(startedAt: number, err: unknown): void {
    this.#worker = undefined;
    this.#tenant.onEnd?.();
    if (this.#stopping) return;
    const {logger, now, setTimer} = this.#options;
    this.#failures = now() - startedAt >= HEALTHY_AFTER_MS ? 1 : this.#failures + 1;
    const pauseMs = restartPause(this.#failures);
    logger.error({err, tenant: this.name, pauseMs}, 'a tenant ended; it is started again');
    this.#cancelRestart = setTimer(() => {
      this.restarts += 1;
      this.start();
    }, pauseMs);
  }
}
