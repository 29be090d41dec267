/** Policies as people write them, to what machines know containers by. Pure. */
import type {NetworkPolicyRecord, NetworkPolicySpec, PolicyPeer, ResolvedPolicy, ResolvedRule} from '@hivemind/contracts';

export interface LabelledApp {
  readonly namespace: string;
  readonly name: string;
  readonly labels: Readonly<Record<string, string>>;
}

/**
 * In the order in which they decide: one about an app before those by labels, and these before those about all of a namespace; by
 * name among equals. So a namespace denies by default, and an app's own policy makes an exception.
 */
export function resolvePolicies(policies: readonly NetworkPolicyRecord[], apps: readonly LabelledApp[]): readonly ResolvedPolicy[] {
  return policies.toSorted((a, b) => nearness(a.spec) - nearness(b.spec) || (a.namespace < b.namespace ? -1 : a.namespace > b.namespace ? 1 : a.name < b.name ? -1 : 1)).map((policy) => resolve(policy, apps));
}

/** Names of the apps that it is about; an app that it names need not be there. */
export function targetsOf({namespace, spec: {target}}: Pick<NetworkPolicyRecord, 'namespace' | 'spec'>, apps: readonly LabelledApp[]): readonly string[] {
  return apps.filter((app) => app.namespace === namespace && (target.all === true || target.app === app.name || (target.labels !== undefined && has(app.labels, target.labels)))).map(({name}) => name).toSorted();
}

function resolve({namespace, name, spec}: NetworkPolicyRecord, apps: readonly LabelledApp[]): ResolvedPolicy {
  const {target, ingress, egress, isolate, mode} = spec;
  const rule = (peer: PolicyPeer, {action, ports}: {readonly action: 'allow' | 'deny'; readonly ports?: ResolvedRule['ports']}, index: number): ResolvedRule => ({action, peer: peerOf(peer, namespace, apps), ...(ports === undefined ? {} : {ports}), rule: index});
  const isolation: readonly ResolvedRule[] = isolate ? [{action: 'allow', peer: {kind: 'group', namespace}, rule: null}, {action: 'deny', peer: {kind: 'all'}, rule: null}] : [];
  return {
    namespace, name, mode,
    target: {namespace, ...(target.all === true ? {} : {apps: target.app === undefined ? [...targetsOf({namespace, spec}, apps)] : [target.app]})},
    ingress: [...ingress.map((one, index) => rule(one.from, one, index)), ...isolation],
    egress: egress.map((one, index) => rule(one.to, one, index)),
  };
}

function peerOf({all, cidr, app, namespace, labels}: PolicyPeer, own: string, apps: readonly LabelledApp[]): ResolvedRule['peer'] {
  if (all) return {kind: 'all'};
  if (cidr !== undefined) return {kind: 'cidr', cidr};
  const of = namespace ?? own;
  if (app !== undefined) return {kind: 'group', namespace: of, apps: [app]};
  if (labels === undefined) return {kind: 'group', namespace: of};
  return {kind: 'group', namespace: of, apps: apps.filter((other) => other.namespace === of && has(other.labels, labels)).map(({name}) => name).toSorted()};
}

function has(labels: Readonly<Record<string, string>>, wanted: Readonly<Record<string, string>>): boolean {
  return Object.entries(wanted).every(([key, value]) => labels[key] === value);
}

function nearness({target}: NetworkPolicySpec): number {
  return target.app !== undefined ? 0 : target.labels !== undefined ? 1 : 2;
}
