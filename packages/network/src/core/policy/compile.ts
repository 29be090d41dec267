/**
 * Policies to nftables, on one machine: the egress of its containers, and what may come to them.
 *
 * Intuition: a map leads from a container's address to its app's chain, in which the rules of all policies about that app stand
 * one after another. Who a rule speaks of is a set of addresses. So a container that comes or goes changes elements of a map and
 * of some sets, and a policy that changes rewrites the chains of its apps: each in one transaction.
 */
import type {ResolvedPolicy, ResolvedRule} from '@hivemind/contracts';
import {type Chain, type Declaration, hashOf, type Ruleset} from '../nft/ruleset.ts';
import {isOf} from './evaluate.ts';

export const POLICY_TABLE = 'hivemind_policy';

/** A container with an address. */
export interface Member {
  readonly namespace: string;
  readonly app: string;
  readonly address: string;
  /** It is on this machine. */
  readonly isLocal: boolean;
}

/** A rule as the machine keeps it: whom it is about, and what becomes of the packet. */
export interface Line {
  /** Of the other end: a set, or a range; neither: everybody. */
  readonly set?: string;
  readonly cidr?: string;
  readonly ports?: ResolvedRule['ports'];
  readonly action: 'allow' | 'deny';
}

/** What the chain of an app has of one policy. */
export interface Section {
  readonly policy: string;
  readonly mode: 'enforce' | 'audit';
  readonly lines: readonly Line[];
}

export interface Program {
  readonly direction: 'ingress' | 'egress';
  readonly sections: readonly Section[];
}

/** The same for the kernel and for who simulates it. */
export interface PolicyPlan {
  /** By the chain's name. */
  readonly programs: ReadonlyMap<string, Program>;
  /** From addresses of this machine to chains. */
  readonly ingress: ReadonlyMap<string, string>;
  readonly egress: ReadonlyMap<string, string>;
  /** Addresses, by set. */
  readonly sets: ReadonlyMap<string, ReadonlySet<string>>;
}

/** @param policies in the order in which they decide */
export function planPolicies(policies: readonly ResolvedPolicy[], members: readonly Member[]): PolicyPlan {
  const plan = {programs: new Map<string, Program>(), ingress: new Map<string, string>(), egress: new Map<string, string>(), sets: new Map<string, ReadonlySet<string>>()};
  const named = new Map<string, string>();
  const setOf = (group: {readonly namespace: string; readonly apps?: readonly string[] | undefined}): string => {
    const {namespace, apps} = group;
    const key = `${namespace} ${apps?.join(' ')}`;
    const known = named.get(key);
    if (known !== undefined) return known;
    let name = apps === undefined ? `peers/${namespace}` : apps.length === 1 ? `peers/${namespace}/${apps[0]}` : `some/${namespace}/${hashOf(key).toString(16)}`;
    // Two that hash alike are not one.
    while (plan.sets.has(name)) name += 'x';
    named.set(key, name);
    plan.sets.set(name, new Set(members.filter((member) => isOf(member, group)).map(({address}) => address)));
    return name;
  };
  const lineOf = ({action, peer, ports}: ResolvedRule): Line => ({action, ...(ports === undefined ? {} : {ports}), ...(peer.kind === 'cidr' ? {cidr: peer.cidr} : peer.kind === 'group' ? {set: setOf(peer)} : {})});
  for (const member of members) {
    if (!member.isLocal) continue;
    for (const direction of ['ingress', 'egress'] as const) {
      const chain = `${direction === 'ingress' ? 'to' : 'from'}/${member.namespace}/${member.app}`;
      if (!plan.programs.has(chain)) {
        const about = policies.filter(({target, ...rules}) => rules[direction].length > 0 && isOf(member, target));
        plan.programs.set(chain, {direction, sections: about.map((policy) => ({policy: `${policy.namespace}/${policy.name}`, mode: policy.mode, lines: policy[direction].map(lineOf)}))});
      }
      if (plan.programs.get(chain)?.sections.length) plan[direction].set(member.address, chain);
    }
  }
  for (const [chain, {sections}] of plan.programs) if (sections.length === 0) plan.programs.delete(chain);
  return plan;
}

export function rulesetOf({programs, ingress, egress, sets}: PolicyPlan): Ruleset {
  const objects = new Map<string, Declaration>();
  for (const direction of ['egress', 'ingress']) objects.set(direction, {kind: 'map', body: 'type ipv4_addr : verdict;'});
  for (const set of sets.keys()) objects.set(set, {kind: 'set', body: 'type ipv4_addr;'});
  const chains = new Map<string, Chain>([['forward', {hook: {type: 'filter', hook: 'forward', priority: -5}, rules: [
    // Who was let in once, is answered.
    'ct state established,related accept',
    'ip saddr vmap @egress',
    'ip daddr vmap @ingress',
  ]}]]);
  const add = (name: string, rules: readonly string[]): void => void chains.set(name, {rules});
  for (const [name, {direction, sections}] of programs) {
    const rules: string[] = [];
    for (const {policy, mode, lines} of sections) {
      const counter = `${mode === 'enforce' ? 'denied' : 'audited'}/${policy}`;
      objects.set(counter, {kind: 'counter', body: ''});
      if (mode === 'enforce') {
        add(`deny/${policy}`, [`counter name "${counter}"`, 'meta l4proto tcp reject with tcp reset', 'reject with icmp admin-prohibited']);
        rules.push(...lines.map((line) => `${matchText(line, direction)}${line.action === 'allow' ? 'return' : `goto deny/${policy}`}`));
      } else {
        add(`note/${policy}`, [`counter name "${counter}"`, `limit rate 10/second log prefix "hivemind audit ${policy.slice(0, 100)}: "`]);
        add(`audit/${direction}/${policy}`, lines.map((line) => `${matchText(line, direction)}${line.action === 'allow' ? 'return' : `goto note/${policy}`}`));
        rules.push(`jump audit/${direction}/${policy}`);
      }
    }
    add(name, rules);
  }
  const jumps = (map: ReadonlyMap<string, string>): ReadonlyMap<string, string> => new Map([...map].map(([address, chain]) => [address, `jump ${chain}`]));
  return {
    table: POLICY_TABLE, objects, chains,
    elements: new Map([['egress', jumps(egress)], ['ingress', jumps(ingress)], ...[...sets].map(([name, addresses]) => [name, new Map([...addresses].map((address) => [address, '']))] as const)]),
  };
}

function matchText({set, cidr, ports}: Line, direction: Program['direction']): string {
  const end = direction === 'ingress' ? 'saddr' : 'daddr';
  const peer = set !== undefined ? `ip ${end} @${set} ` : cidr !== undefined ? `ip ${end} ${cidr} ` : '';
  return `${peer}${ports === undefined ? '' : `meta l4proto . th dport { ${spans(ports).map(({protocol, port, endPort}) => `${protocol} . ${port}${endPort > port ? `-${endPort}` : ''}`).join(', ')} } `}`;
}

/** nft refuses those that overlap. */
function spans(ports: NonNullable<ResolvedRule['ports']>): readonly {readonly protocol: string; readonly port: number; readonly endPort: number}[] {
  const merged: {protocol: string; port: number; endPort: number}[] = [];
  for (const {protocol, port, endPort = port} of ports.toSorted((a, b) => (a.protocol < b.protocol ? -1 : a.protocol > b.protocol ? 1 : a.port - b.port))) {
    const last = merged.at(-1);
    if (last?.protocol === protocol && port <= last.endPort + 1) last.endPort = Math.max(last.endPort, endPort);
    else merged.push({protocol, port, endPort});
  }
  return merged;
}
