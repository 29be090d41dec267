/**
 * What a machine knows of services: facts by their keys, with the containers of each service beside it. Fed with what the control
 * plane tells; asked by the names (in the sidecar) and by those who balance (in the agent). Pure.
 */
import type {EndpointFacts, NameItem, ReadyEndpoint, ServiceFacts, ServiceView} from '../model.ts';
import {weightsOf} from './weights.ts';

/** A service, its key `namespace/name`. */
export interface Entry {
  readonly namespace: string;
  readonly name: string;
  facts: ServiceFacts | undefined;
  /** By container. */
  readonly endpoints: Map<string, EndpointFacts>;
}

/** Keys of services, and names of machines, that an application touched. */
export interface Touched {
  readonly services: ReadonlySet<string>;
  readonly nodes: ReadonlySet<string>;
}

export class Registry {
  readonly #services = new Map<string, Entry>();
  readonly #homes = new Map<string, string>();
  readonly #nodes = new Map<string, string>();

  /** Machines' addresses by their names. */
  get nodes(): ReadonlyMap<string, string> {
    return this.#nodes;
  }

  /** Those with facts of their own. */
  *keys(): Generator<string> {
    for (const [key, {facts}] of this.#services) if (facts) yield key;
  }

  /** Also one that is known by its containers alone, as long as its own facts are still to come. */
  get(key: string): Entry | undefined {
    return this.#services.get(key);
  }

  /** `whole`: what is not among `items` is gone. Idempotent, and any order of items within one application ends alike. */
  apply(items: readonly NameItem[], whole = false): Touched {
    const services = new Set<string>();
    const nodes = new Set<string>();
    if (whole) {
      for (const key of this.#services.keys()) services.add(key);
      for (const node of this.#nodes.keys()) nodes.add(node);
      this.#services.clear();
      this.#homes.clear();
      this.#nodes.clear();
    }
    for (const item of items) {
      if (item.kind === 'node') {
        if (item.value) this.#nodes.set(item.key, item.value.address);
        else this.#nodes.delete(item.key);
        nodes.add(item.key);
      } else if (item.kind === 'service') {
        this.#entry(item.key).facts = item.value;
        services.add(item.key);
        this.#forgetEmpty(item.key);
      } else this.#applyEndpoint(item.key, item.value, services);
    }
    return {services, nodes};
  }

  /** As it is to be balanced; undefined where there is no such service. */
  view(key: string): ServiceView | undefined {
    const entry = this.#services.get(key);
    if (!entry?.facts) return undefined;
    const {headless, virtualIp, ports, published, balancing} = entry.facts;
    return {namespace: entry.namespace, name: entry.name, headless, ...(virtualIp === undefined ? {} : {virtualIp}), ports, ...(published === undefined ? {} : {published}), ...(balancing === undefined ? {} : {balancing}), endpoints: rotation(entry), addresses: [...entry.endpoints.values()].map(({address}) => address)};
  }

  /** Everything, as one application would bring it. */
  *items(): Generator<NameItem> {
    for (const [key, address] of this.#nodes) yield {kind: 'node', key, value: {address}};
    for (const [key, {facts, endpoints}] of this.#services) {
      if (facts) yield {kind: 'service', key, value: facts};
      for (const [container, value] of endpoints) yield {kind: 'endpoint', key: container, value};
    }
  }

  #applyEndpoint(container: string, value: EndpointFacts | undefined, touched: Set<string>): void {
    const before = this.#homes.get(container);
    const home = value && `${value.namespace}/${value.service}`;
    if (before !== undefined) {
      touched.add(before);
      if (before !== home) {
        this.#services.get(before)?.endpoints.delete(container);
        this.#homes.delete(container);
        this.#forgetEmpty(before);
      }
    }
    if (value === undefined || home === undefined) return;
    this.#homes.set(container, home);
    this.#entry(home).endpoints.set(container, value);
    touched.add(home);
  }

  #entry(key: string): Entry {
    let entry = this.#services.get(key);
    if (!entry) {
      const slash = key.indexOf('/');
      this.#services.set(key, (entry = {namespace: key.slice(0, slash), name: key.slice(slash + 1), facts: undefined, endpoints: new Map()}));
    }
    return entry;
  }

  #forgetEmpty(key: string): void {
    const entry = this.#services.get(key);
    if (entry && !entry.facts && entry.endpoints.size === 0) this.#services.delete(key);
  }
}

/**
 * Those of a service that take traffic, by container: ready, and of a revision that has a share. Where no revision of the ready
 * ones has a share, all ready ones do.
 */
export function rotation({facts, endpoints}: Pick<Entry, 'facts' | 'endpoints'>): readonly ReadyEndpoint[] {
  const ready = [...endpoints].filter(([, endpoint]) => endpoint.ready);
  const counts = new Map<number, number>();
  for (const [, {revision}] of ready) counts.set(revision, (counts.get(revision) ?? 0) + 1);
  const weight = weightsOf(facts?.traffic ?? [], counts);
  return ready
    .map(([container, {node, address, ports, revision}]) => ({container, node, address, ports, weight: weight(revision)}))
    .filter((endpoint) => endpoint.weight > 0)
    .sort((a, b) => (a.container < b.container ? -1 : 1));
}
