/** Which requests an ingress claims, and whether another one does so too. Pure. */
import {type FieldError, ingressPorts, type IngressRecord, type IngressRule, type IngressSpec} from '@hivemind/contracts';

type Claimant = Pick<IngressRecord, 'namespace' | 'name' | 'spec' | 'meta'>;

/** Equal for rules that match the same requests. */
export function requestsOf({host = '*', path, match, headers, cookies}: IngressRule): string {
  const sorted = (fields: Readonly<Record<string, string>>): readonly string[] => Object.entries(fields).map(([name, value]) => `${name}=${value}`).toSorted();
  return JSON.stringify([host, match === 'prefix' ? withoutSlash(path) : path, match, sorted(Object.fromEntries(Object.entries(headers).map(([name, value]) => [name.toLowerCase(), value]))), sorted(cookies)]);
}

/** /a/ and /a are the same prefix; that of everything is empty. */
export const withoutSlash = (path: string): string => path.replace(/\/+$/, '');

/** As people write it: host and path. */
export const textOf = ({host = '*', path}: Pick<IngressRule, 'host' | 'path'>): string => `${host}${path}`;

/** Rules of one ingress that can never decide, since one before claims the same. */
export function repeated({rules}: Pick<IngressSpec, 'rules'>): readonly FieldError[] {
  const first = new Map<string, number>();
  return rules.flatMap((rule, index) => {
    const key = requestsOf(rule);
    const before = first.get(key);
    if (before === undefined) first.set(key, index);
    return before === undefined ? [] : [{path: `spec.rules[${index}]`, message: `claims ${textOf(rule)}, as spec.rules[${before}] does`}];
  });
}

export interface Conflict {
  readonly path: string;
  /** What is claimed by both: `host/path`, or a port. */
  readonly what: string;
  readonly owner: Claimant;
}

/** What `claimant` claims of what others have, those that are itself left out. */
export function conflictsOf(claimant: Omit<Claimant, 'meta'>, others: readonly Claimant[]): readonly Conflict[] {
  const own = ingressPorts(claimant.spec);
  const rules = new Map(claimant.spec.rules.map((rule, index) => [requestsOf(rule), {rule, index}]));
  return others.flatMap((owner) => {
    if ((owner.namespace === claimant.namespace && owner.name === claimant.name) || !mayMeet(claimant.spec, owner.spec)) return [];
    const theirs = ingressPorts(owner.spec);
    const ports = own.flatMap(({port, secure, field}): Conflict[] => (theirs.some((other) => other.port === port && other.secure !== secure) ? [{path: `spec.listen.${field}`, what: `port ${port}`, owner}] : []));
    if (!own.some(({port, secure}) => theirs.some((other) => other.port === port && other.secure === secure))) return ports;
    return [...ports, ...owner.spec.rules.flatMap((rule): Conflict[] => {
      const mine = rules.get(requestsOf(rule));
      return mine === undefined ? [] : [{path: `spec.rules[${mine.index}]`, what: textOf(mine.rule), owner}];
    })];
  });
}

/** Not where each names its machines, and none is in both. */
function mayMeet(a: IngressSpec, b: IngressSpec): boolean {
  const theirs = b.nodes.names;
  return a.nodes.names === undefined || theirs === undefined || a.nodes.names.some((name) => theirs.includes(name));
}

/** Of two, which has what both claim: the older one. */
const rank = ({meta, namespace, name}: Claimant): string => `${meta.createdAt} ${namespace}/${name}`;

export interface Settled<T> {
  readonly ingress: T;
  /** What an older one has; nothing of it is in force where that is a port, else all but those rules. */
  readonly lost: readonly Conflict[];
  /** Those of its rules that are in force. */
  readonly rules: readonly IngressRule[];
}

/** Who has what of all that is claimed: two may have been written at the same moment. The older first. */
export function settle<T extends Claimant>(ingresses: readonly T[]): readonly Settled<T>[] {
  const before: Claimant[] = [];
  return ingresses.toSorted((a, b) => (rank(a) < rank(b) ? -1 : 1)).map((ingress) => {
    const lost = conflictsOf(ingress, before);
    const taken = new Set(lost.map(({path}) => path));
    const rules = lost.some(({path}) => path.startsWith('spec.listen')) ? [] : ingress.spec.rules.filter((_, index) => !taken.has(`spec.rules[${index}]`));
    before.push(ingress);
    return {ingress, lost, rules};
  });
}
