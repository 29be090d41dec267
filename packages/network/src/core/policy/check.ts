/** What is wrong with a policy beyond its form: it would be taken and never do what it says. Pure. */
import type {NetworkPolicySpec, PolicyPeer, PolicyPort} from '@hivemind/contracts';
import {contains, formatCidr, parseAddress, parseCidr, sizeOf} from '../cidr.ts';

export interface Finding {
  /** As in `spec.ingress[1]`. */
  readonly path: string;
  readonly message: string;
}

interface Rule {
  readonly peer: PolicyPeer;
  readonly ports?: readonly PolicyPort[] | undefined;
}

export function findings(spec: NetworkPolicySpec): readonly Finding[] {
  return [
    ...findingsOf('spec.ingress', 'from', spec.ingress.map(({from, ports}) => ({peer: from, ports}))),
    ...findingsOf('spec.egress', 'to', spec.egress.map(({to, ports}) => ({peer: to, ports}))),
  ];
}

function findingsOf(path: string, end: string, rules: readonly Rule[]): readonly Finding[] {
  return rules.flatMap((rule, index): Finding[] => {
    const {cidr} = rule.peer;
    if (cidr !== undefined && parseCidr(cidr) === undefined) return [{path: `${path}[${index}].${end}.cidr`, message: `${cidr} has bits past its prefix: did you mean ${meant(cidr)}?`}];
    const before = rules.slice(0, index).findIndex((earlier) => covers(earlier, rule));
    return before === -1 ? [] : [{path: `${path}[${index}]`, message: `can never decide: rule ${before} before it matches all that it does`}];
  });
}

/** Whether whatever `inner` matches, `outer` does. */
function covers(outer: Rule, inner: Rule): boolean {
  return coversPeer(outer.peer, inner.peer) && coversPorts(outer.ports, inner.ports);
}

function coversPeer(outer: PolicyPeer, inner: PolicyPeer): boolean {
  if (outer.all) return true;
  if (outer.cidr !== undefined) {
    const [wide, narrow] = [parseCidr(outer.cidr), inner.cidr === undefined ? undefined : parseCidr(inner.cidr)];
    return wide !== undefined && (wide.prefix === 0 || (narrow !== undefined && contains(wide, narrow)));
  }
  if (inner.all || inner.cidr !== undefined || outer.namespace !== inner.namespace) return false;
  if (outer.app !== undefined) return outer.app === inner.app;
  if (outer.labels !== undefined) return inner.labels !== undefined && Object.entries(outer.labels).every(([key, value]) => inner.labels?.[key] === value);
  return true;
}

function coversPorts(outer: readonly PolicyPort[] | undefined, inner: readonly PolicyPort[] | undefined): boolean {
  if (outer === undefined) return true;
  return inner !== undefined && inner.every(({port, endPort = port, protocol}) => outer.some((one) => one.protocol === protocol && one.port <= port && (one.endPort ?? one.port) >= endPort));
}

function meant(cidr: string): string {
  const [address = '', prefix = ''] = cidr.split('/');
  const size = sizeOf(Number(prefix));
  return formatCidr({base: Math.floor((parseAddress(address) ?? 0) / size) * size, prefix: Number(prefix)});
}
