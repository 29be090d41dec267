/** What the service of an app is, and who is behind it, from what the store says. Pure. */
import {type AppRecord, type Balancing, type ContainerRecord, type ContainerStatus, type EndpointRecord, type NodeVerdict, type PortSpec, type Rollout, type ServicePort, type ServiceRecord, statusUnder, type TrafficShare} from '@hivemind/contracts';
import type {Publishing} from './published.ts';

/** A container with what its machine reported, and what was ruled of the machine. */
export interface Observed {
  readonly record: ContainerRecord;
  readonly status: ContainerStatus | undefined;
  readonly verdict: NodeVerdict | undefined;
}

/** One that has no address yet is nothing that could be reached: undefined. */
export function endpointOf({record, status, verdict}: Observed): EndpointRecord | undefined {
  const address = status?.ip;
  if (status === undefined || address === undefined || address === '' || !runs(status)) return undefined;
  const {ready, reason} = standing(record, status, verdict);
  return {container: record.id, namespace: record.namespace, service: record.app, node: record.node, address, ports: portsOf(record.template.ports), revision: record.revision, ready, reason};
}

/** One that ended may have lost its address to another. */
function runs({phase}: ContainerStatus): boolean {
  return phase === 'starting' || phase === 'running' || phase === 'stopping';
}

function standing(record: ContainerRecord, status: ContainerStatus, verdict: NodeVerdict | undefined): {readonly ready: boolean; readonly reason: string} {
  if (record.removedAt !== undefined) return {ready: false, reason: 'Removing'};
  const {ready, phase, reason} = statusUnder(verdict, status);
  if (ready && phase === 'running') return {ready: true, reason: 'Ready'};
  return {ready: false, reason: phase === 'lost' ? reason : 'NotReady'};
}

/** In the order of the spec, each once. */
export function portsOf(ports: readonly PortSpec[]): ServicePort[] {
  const found = new Map<string, ServicePort>();
  for (const {name, container, protocol} of ports) {
    const key = `${protocol}/${container}`;
    const before = found.get(key);
    if (!before || (before.name === undefined && name !== undefined)) found.set(key, {...(name === undefined ? {} : {name}), port: container, protocol});
  }
  return [...found.values()];
}

/** The shares of an app's newest rollout. */
export function trafficOf(rollouts: readonly Rollout[]): TrafficShare[] {
  const newest = rollouts.reduce<Rollout | undefined>((best, rollout) => (best && best.revision >= rollout.revision ? best : rollout), undefined);
  return (newest?.counts ?? []).map(({revision, weight}) => ({revision, weight}));
}

/** Of apps that ask for one domain, the oldest has it. */
export function domainOwner(claimants: readonly AppRecord[]): AppRecord | undefined {
  const rank = ({meta, namespace, name}: AppRecord): string => `${meta.createdAt} ${namespace}/${name}`;
  return claimants.reduce<AppRecord | undefined>((first, app) => (first && rank(first) <= rank(app) ? first : app), undefined);
}

export interface ServiceInput {
  readonly app: AppRecord;
  readonly traffic: readonly TrafficShare[];
  /** The app that has the domain that this one asks for. */
  readonly domainOwner: AppRecord | undefined;
  /** undefined: there is none left, or none is wanted. */
  readonly virtualIp: string | undefined;
  /** undefined: the engines publish, or there is nothing to. */
  readonly publishing?: Publishing | undefined;
  /** Of which they are taken, for people. */
  readonly range: string;
  /** Machines deliver virtual IPs. */
  readonly delivered: boolean;
  readonly before: ServiceRecord | undefined;
  /** RFC 3339. */
  readonly now: string;
  readonly uid: string;
}

export const isHeadless = ({spec}: Pick<AppRecord, 'spec'>): boolean => spec.service?.headless === true;

/** The record as it should be; `before` itself where nothing is otherwise. */
export function serviceOf({app, traffic, domainOwner: owner, virtualIp, publishing, range, delivered, before, now, uid}: ServiceInput): ServiceRecord {
  const {name, namespace, labels, spec} = app;
  const headless = isHeadless(app);
  const domain = spec.service?.domain;
  const taken = domain !== undefined && owner !== undefined && owner.meta.uid !== app.meta.uid;
  const balancing = balancingOf(app);
  const problems = [
    ...(taken ? [{type: 'Domain', reason: 'DomainTaken', message: `${domain} belongs to app ${owner.namespace}/${owner.name}, which asked for it first`}] : []),
    ...(headless || virtualIp !== undefined ? [] : [{type: 'VirtualIp', reason: 'Exhausted', message: `every address of ${range} is taken: its names give its containers' own addresses. Widen virtualIps (PATCH /discovery/settings), or delete apps`}]),
    ...(publishing?.problems ?? []).map(({reason, message}) => ({type: 'Published', reason, message})),
    ...(balancing === undefined || delivered ? [] : [{type: 'Balancing', reason: 'NoNetwork', message: `${Object.keys(balancing).join(' and ')} cannot be acted upon while containers are on networks of the engines' own: hivemind network set --backend auto`}]),
  ];
  const published = publishing?.published ?? [];
  const next: Omit<ServiceRecord, 'meta'> = {
    name, namespace, labels, appUid: app.meta.uid, headless,
    ...(domain === undefined || taken ? {} : {domain}),
    aliases: [...new Set(spec.aliases)].filter((alias) => alias !== name),
    ports: portsOf(spec.ports),
    ...(virtualIp === undefined ? {} : {virtualIp}),
    ...(published.length === 0 ? {} : {published: [...published]}),
    ...(balancing === undefined ? {} : {balancing}),
    traffic: [...traffic],
    conditions: problems.map(({type, reason, message}) => ({type, status: 'false' as const, reason, message, since: before?.conditions.find((known) => known.reason === reason)?.since ?? now})),
  };
  if (before === undefined) return {...next, meta: {uid, generation: 1, createdAt: now, updatedAt: now}};
  const {meta, ...known} = before;
  if (same(known, next)) return before;
  const specChanged = !same(facts(known), facts(next));
  return {...next, meta: {...meta, generation: meta.generation + (specChanged ? 1 : 0), updatedAt: now}};
}

function balancingOf({spec: {service}}: AppRecord): Balancing | undefined {
  const strategy = service?.strategy === 'least-connections' ? undefined : service?.strategy;
  const affinity = service?.affinity === 'client' ? service.affinity : undefined;
  return strategy === undefined && affinity === undefined ? undefined : {...(strategy === undefined ? {} : {strategy}), ...(affinity === undefined ? {} : {affinity})};
}

function facts({headless, domain, aliases, ports, balancing}: Omit<ServiceRecord, 'meta'>): unknown {
  return {headless, domain, aliases, ports, balancing};
}

/** Whether two records say the same, in whatever order of fields. */
export function same(a: unknown, b: unknown): boolean {
  if (Object.is(a, b)) return true;
  if (typeof a !== 'object' || typeof b !== 'object' || a === null || b === null) return false;
  const [left, right] = [entries(a), entries(b)];
  return left.length === right.length && left.every(([key, value]) => same(value, Reflect.get(b, key)));
}

const entries = (value: object): [string, unknown][] => Object.entries(value).filter(([, field]) => field !== undefined);
