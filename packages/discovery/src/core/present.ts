/** Services and endpoints as the API answers them, and what a name gives and why. Pure. */
import type {Endpoint, EndpointRecord, NodeVerdict, Resolution, Service, ServiceRecord} from '@hivemind/contracts';
import {namesOf, replicaName, serviceName} from './names.ts';
import {rotation} from './registry.ts';
import {weightsOf} from './weights.ts';
import {TTL} from './zone.ts';

/** A record with the version it is at. */
export interface Versioned<T> {
  readonly value: T;
  readonly version: number;
}

export function presentService({value, version}: Versioned<ServiceRecord>, endpoints: readonly EndpointRecord[]): Service {
  const {name, namespace, labels, headless, domain, aliases, ports, virtualIp, published, balancing = {}, conditions, meta} = value;
  const ready = endpoints.filter((endpoint) => endpoint.ready).length;
  return {
    kind: 'Service', name, namespace, labels, annotations: {},
    spec: {app: name, headless, ...(domain === undefined ? {} : {domain}), aliases, ports, ...balancing},
    status: {
      phase: ready > 0 ? 'ready' : endpoints.length > 0 ? 'unready' : 'empty',
      ...(virtualIp === undefined ? {} : {virtualIp}),
      ...(published === undefined ? {} : {published}),
      endpoints: {total: endpoints.length, ready},
      names: [...namesOf(value)],
      conditions,
    },
    meta: {...meta, version},
  };
}

/** By the names of containers. `version`: of the store's record of each. */
export function presentEndpoints({value: {traffic, meta}}: Versioned<ServiceRecord>, endpoints: readonly Versioned<EndpointRecord>[]): readonly Endpoint[] {
  const weight = weightsOf(traffic, readyByRevision(endpoints.map(({value}) => value)));
  return endpoints.map(({value: {container, namespace, service, node, address, ports, revision, ready, reason}, version}) => ({
    kind: 'Endpoint' as const, name: container, namespace, labels: {}, annotations: {},
    spec: {service, node, address, ports, revision, weight: ready ? weight(revision) : 0},
    status: {ready, reason},
    meta: {...meta, uid: container, generation: 1, version},
  }));
}

/** What every name of a service gives where packets to virtual IPs are delivered, and where they are not. */
export function resolve(service: ServiceRecord, endpoints: readonly EndpointRecord[], verdicts: (node: string) => NodeVerdict | undefined): Resolution {
  const {namespace, name, headless, virtualIp, ports} = service;
  const inRotation = rotation({facts: service, endpoints: new Map(endpoints.map((endpoint) => [endpoint.container, endpoint]))});
  const chosen = new Set(inRotation.map(({container}) => container));
  const addresses = inRotation.map(({address}) => address);
  const because = headless ? 'it is headless: each address in rotation, in an order of chance' :
    virtualIp === undefined ? 'it has no virtual IP (see its conditions): each address in rotation, in an order of chance' :
    addresses.length === 0 ? 'its virtual IP, behind which nobody is in rotation' :
    `its virtual IP, behind which ${addresses.length} are in rotation; on a machine that does not carry virtual IPs, their own addresses: ${addresses.join(', ')}`;
  const own = !headless && virtualIp !== undefined ? [virtualIp] : addresses;
  const targets = !headless && virtualIp !== undefined ? [serviceName(namespace, name)] : inRotation.map(({container}) => replicaName(namespace, name, container));
  return {
    kind: 'Resolution', name, namespace,
    answers: [
      ...namesOf(service).map((one) => ({name: one, type: 'A' as const, answer: [...own], ttl: TTL, because: one.includes('.') ? because : `within namespace ${namespace}: ${because}`})),
      ...ports.map((port) => ({name: `_${port.name ?? port.port}._${port.protocol}.${serviceName(namespace, name)}`, type: 'SRV' as const, answer: targets.map((target) => `${target}:${port.port}`), ttl: TTL, because: `port ${port.port} of ${headless || virtualIp === undefined ? 'each in rotation' : 'its virtual IP'}`})),
      ...endpoints.map((endpoint) => ({name: replicaName(namespace, name, endpoint.container), type: 'A' as const, answer: [endpoint.address], ttl: TTL, because: 'this very container, ready or not'})),
    ],
    endpoints: endpoints.map(({container, node, address, ready, reason}) => ({
      container, node, address, inRotation: chosen.has(container),
      because: chosen.has(container) ? 'it is ready' : ready ? 'it is ready, and its revision has no share of the traffic' : whyNot(reason, node, verdicts(node)),
    })),
  };
}

function whyNot(reason: string, node: string, verdict: NodeVerdict | undefined): string {
  if (reason === 'Removing') return 'it is being removed';
  if (reason === 'NotReady') return 'it is not ready';
  return `its machine ${node} is ${reason === 'NodeDead' ? 'dead' : 'not reached'}${verdict ? `: ${verdict.message}` : ''}`;
}

function readyByRevision(endpoints: readonly EndpointRecord[]): ReadonlyMap<number, number> {
  const counts = new Map<number, number>();
  for (const {ready, revision} of endpoints) if (ready) counts.set(revision, (counts.get(revision) ?? 0) + 1);
  return counts;
}
