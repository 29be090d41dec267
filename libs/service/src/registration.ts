/**
 * A service's registration: a record in `service-instances` that lives with this process. It is renewed while the store is
 * reached, made anew where the lease or the record was lost (the store was away, or put back from an older copy), and removed
 * at stop.
 */
import {collections, isError, type ServiceInstanceRecord} from '@hivemind/contracts';
import {collection, type Store} from '@hivemind/store';
import type {Logger} from 'pino';

export const serviceInstances = collection(collections.serviceInstances);

/** A service that is not heard for so long is no longer asked. */
const LEASE_MS = 10_000;
const RETRY_MS = 500;

export interface Registration {
  /** Resolves when others can find it. */
  readonly registered: Promise<void>;
  /** Removes the record; resolves when nothing more is written. */
  stop(): Promise<void>;
}

export interface RegistrationOptions {
  readonly store: Store;
  readonly record: ServiceInstanceRecord;
  readonly logger: Pick<Logger, 'info' | 'warn'>;
  /** ms; default 10,000. */
  readonly leaseMs?: number;
}

export const instanceKey = ({service, instance}: Pick<ServiceInstanceRecord, 'service' | 'instance'>): string => `${service}/${instance}`;

/** Registers from now on until stopped. */
export function registerInstance(options: RegistrationOptions): Registration {
  const {store, record, logger, leaseMs = LEASE_MS} = options;
  const stopping = new AbortController();
  const first = Promise.withResolvers<void>();
  const records = serviceInstances.in(store);
  const key = instanceKey(record);
  let lease: string | undefined;

  async function hold(): Promise<void> {
    if (lease !== undefined) await store.keepAlive(lease);
    // Also when the lease holds: a store put back from an older copy may know the one without the other.
    if (lease !== undefined && (await store.get(serviceInstances.name, key))?.lease === lease) return;
    lease ??= (await store.grantLease(leaseMs)).id;
    await records.put(key, record, {lease});
    logger.info({service: record.service, instance: record.instance, url: record.url}, 'registered');
    first.resolve();
  }

  async function run(): Promise<void> {
    while (!stopping.signal.aborted) {
      let pauseMs = leaseMs / 3;
      try {
        await hold();
      } catch (err) {
        if (isError(err, 'lease-expired')) {
          lease = undefined;
          pauseMs = 0;
        } else {
          logger.warn({err, service: record.service}, 'the registration of this service could not be renewed; it will be tried again');
          pauseMs = RETRY_MS;
        }
      }
      await pause(pauseMs, stopping.signal);
    }
    // Where the store is not reached, both go when the lease lapses.
    if (lease !== undefined) await store.revokeLease(lease).catch(() => undefined);
  }

  const done = run();
  return {
    registered: first.promise,
    async stop() {
      stopping.abort();
      first.resolve();
      await done;
    },
  };
}

function pause(ms: number, signal: AbortSignal): Promise<void> {
  if (signal.aborted) return Promise.resolve();
  return new Promise((resolve) => {
    const end = (): void => {
      clearTimeout(timer);
      signal.removeEventListener('abort', end);
      resolve();
    };
    const timer = setTimeout(end, ms);
    signal.addEventListener('abort', end, {once: true});
  });
}
