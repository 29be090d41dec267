/** Which instances of each service are there, and whose turn it is. */
import type {ServiceInstanceRecord} from '@hivemind/contracts';
import {serviceInstances} from '@hivemind/service';
import {informer, type Informer, type Store} from '@hivemind/store';
import type {Logger} from 'pino';
import {gatewayErrors} from './errors.ts';

/** ms for which an instance that did not answer is asked last. */
const SUSPECT_MS = 5_000;

export class Directory {
  readonly #instances: Informer<ServiceInstanceRecord, 'service'>;
  readonly #now: () => number;
  readonly #turns = new Map<string, number>();
  /** Instance → when it did not answer. */
  readonly #suspects = new Map<string, number>();

  constructor({store, logger, now, signal}: {readonly store: Store; readonly logger: Pick<Logger, 'warn'>; readonly now: () => number; readonly signal: AbortSignal}) {
    this.#now = now;
    this.#instances = informer({
      store, signal,
      collection: serviceInstances,
      indexes: {service: ({service}) => [service]},
      onError: (err) => logger.warn({err}, 'the registrations of services could not be followed'),
    });
    this.#instances.onChange((_key, before, after) => {
      if (before && !after) this.#suspects.delete(before.value.instance);
    });
  }

  ready(): Promise<void> {
    return this.#instances.ready();
  }

  all(): readonly ServiceInstanceRecord[] {
    return this.#instances.list().map(({value}) => value).toSorted((a, b) => a.service.localeCompare(b.service) || a.startedAt.localeCompare(b.startedAt));
  }

  /** The next in turn that is not among `tried`; those that lately did not answer come last. @throws `no-instance` */
  next(service: string, tried: ReadonlySet<string> = new Set()): ServiceInstanceRecord {
    const there = this.#instances.byIndex('service', service).map(({value}) => value).toSorted((a, b) => a.instance.localeCompare(b.instance));
    const untried = there.filter(({instance}) => !tried.has(instance));
    const steady = untried.filter(({instance}) => !this.#isSuspect(instance));
    const candidates = steady.length > 0 ? steady : untried;
    const turn = this.#turns.get(service) ?? 0;
    this.#turns.set(service, turn + 1);
    const chosen = candidates[turn % Math.max(1, candidates.length)];
    if (chosen) return chosen;
    const why = there.length === 0 ? `No instance of the ${service} manager is registered: start one with hivemind service ${service}.` : `None of the ${there.length} registered instances of the ${service} manager can be reached.`;
    throw gatewayErrors['no-instance'](why, {retryAfterMs: 1000});
  }

  suspect(instance: string): void {
    this.#suspects.set(instance, this.#now());
  }

  #isSuspect(instance: string): boolean {
    const since = this.#suspects.get(instance);
    return since !== undefined && this.#now() - since < SUSPECT_MS;
  }
}
