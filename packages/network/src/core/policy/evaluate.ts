/** Whether a connection may be made, and which rule says so: rule by rule, as it is written down. Pure. */
import type {ResolvedPolicy, ResolvedRule, RuleName} from '@hivemind/contracts';
import {contains, parseAddress, parseCidr} from '../cidr.ts';

/** An end of a connection. A container has all three; what is not of the cluster has an address. */
export interface Party {
  readonly namespace?: string | undefined;
  readonly app?: string | undefined;
  /** IPv4; a container that has none yet is in no range. */
  readonly address?: string | undefined;
}

export interface Flow {
  readonly from: Party;
  readonly to: Party;
  readonly port: number;
  readonly protocol: 'tcp' | 'udp';
}

export interface Decision {
  readonly allowed: boolean;
  readonly decidedBy: RuleName | null;
  readonly wouldDeny: readonly RuleName[];
}

/** Both ends have a say: the egress of who asks, the ingress of who is asked. @param policies in the order in which they decide */
export function evaluate(policies: readonly ResolvedPolicy[], flow: Flow): Decision {
  const wouldDeny: RuleName[] = [];
  let allowedBy: RuleName | null = null;
  for (const [direction, own, peer] of [['egress', flow.from, flow.to], ['ingress', flow.to, flow.from]] as const) {
    const decided = decide(policies, direction, {own, peer, flow}, wouldDeny);
    if (decided?.action === 'deny') return {allowed: false, decidedBy: decided, wouldDeny};
    allowedBy = decided ?? allowedBy;
  }
  return {allowed: true, decidedBy: allowedBy, wouldDeny};
}

function decide(policies: readonly ResolvedPolicy[], direction: 'ingress' | 'egress', {own, peer, flow}: {readonly own: Party; readonly peer: Party; readonly flow: Flow}, wouldDeny: RuleName[]): RuleName | undefined {
  for (const {namespace, name, target, mode, ...rules} of policies) {
    if (!isOf(own, target)) continue;
    const rule = rules[direction].find((one) => isPeer(peer, one.peer) && isPort(flow, one.ports));
    if (rule === undefined) continue;
    const named: RuleName = {namespace, policy: name, direction, rule: rule.rule, action: rule.action};
    if (mode === 'enforce') return named;
    if (rule.action === 'deny') wouldDeny.push(named);
  }
  return undefined;
}

function isPeer(party: Party, peer: ResolvedRule['peer']): boolean {
  if (peer.kind === 'all') return true;
  if (peer.kind === 'group') return isOf(party, peer);
  const [range, address] = [parseCidr(peer.cidr), party.address === undefined ? undefined : parseAddress(party.address)];
  return range !== undefined && address !== undefined && contains(range, address);
}

export function isOf({namespace, app}: Party, group: {readonly namespace: string; readonly apps?: readonly string[] | undefined}): boolean {
  return namespace === group.namespace && app !== undefined && (group.apps === undefined || group.apps.includes(app));
}

function isPort({port, protocol}: Flow, ports: ResolvedRule['ports']): boolean {
  return ports === undefined || ports.some((one) => one.protocol === protocol && port >= one.port && port <= (one.endPort ?? one.port));
}
