/** The evaluator, rule by rule, and a simulation of what the kernel is given agree. */
import type {NetworkPolicyRecord, PolicyPeer} from '@hivemind/contracts';
import {contains, parseAddress, parseCidr} from '../cidr.ts';
import {type Line, type Member, planPolicies, type PolicyPlan, rulesetOf} from './compile.ts';
import {evaluate} from './evaluate.ts';
import {resolvePolicies} from './resolve.ts';

function randomOf(seed: number): () => number {
  let state = seed >>> 0;
  return () => (state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0) / 2 ** 32;
}

const meta = {uid: 'u', generation: 1, createdAt: '', updatedAt: ''};
const namespaces = ['a', 'b'];
const names = ['web', 'api', 'db'];
const apps = namespaces.flatMap((namespace, at) => names.map((name, index) => ({namespace, name, labels: {tier: index === at ? 'front' : 'back'}})));

/** A packet of a new connection, as a machine's chains decide on it. */
function simulate({programs, ingress, egress, sets}: PolicyPlan, {from, to, port, protocol}: {readonly from: string; readonly to: string; readonly port: number; readonly protocol: string}): {readonly passes: boolean; readonly noted: readonly string[]} {
  const noted: string[] = [];
  const matches = ({set, cidr, ports}: Line, peer: string): boolean =>
    (set === undefined || sets.get(set)!.has(peer)) &&
    (cidr === undefined || contains(parseCidr(cidr)!, parseAddress(peer)!)) &&
    (ports === undefined || ports.some((one) => one.protocol === protocol && one.port <= port && port <= (one.endPort ?? one.port)));
  const run = (chain: string | undefined, peer: string): boolean => {
    for (const {policy, mode, lines} of programs.get(chain ?? '')?.sections ?? []) {
      const line = lines.find((one) => matches(one, peer));
      if (mode === 'enforce' && line !== undefined) return line.action === 'allow';
      if (line?.action === 'deny') noted.push(policy);
    }
    return true;
  };
  return {passes: run(egress.get(from), to) && run(ingress.get(to), from), noted};
}

describe('policies', () => {
  it('are decided alike by who evaluates them and by what the machines of both ends are given', () => {
    const seen = {denied: 0, allowed: 0, audited: 0};
    for (let seed = 1; seed <= 300; seed++) {
      const random = randomOf(seed);
      const pick = <T>(...of: readonly T[]): T => of[Math.floor(random() * of.length)]!;
      const peer = (): PolicyPeer => pick<() => PolicyPeer>(() => ({all: true}), () => ({cidr: pick('10.244.0.0/24', '10.244.1.2/32', '192.0.2.0/24')}), () => ({app: pick(...names)}), () => ({app: pick(...names), namespace: pick(...namespaces)}), () => ({namespace: pick(...namespaces)}), () => ({labels: {tier: pick('front', 'back', 'none')}}))();
      const ports = () => pick(undefined, [{port: 80, protocol: 'tcp' as const}], [{port: 50, endPort: 90, protocol: 'tcp' as const}, {port: 53, protocol: 'udp' as const}, {port: 60, protocol: 'tcp' as const}]);
      const some = <T>(make: () => T): T[] => Array.from({length: Math.floor(random() * 3)}, make);
      const policies: NetworkPolicyRecord[] = Array.from({length: Math.floor(random() * 5)}, (_, index) => ({
        name: `p${index}`, namespace: pick(...namespaces), labels: {}, annotations: {}, meta,
        spec: {
          target: pick({app: pick(...names)}, {labels: {tier: pick('front', 'back')}}, {all: true as const}), isolate: random() < 0.2, mode: pick('enforce', 'enforce', 'audit'),
          ingress: some(() => ({action: pick('allow', 'deny'), from: peer(), ports: ports()})), egress: some(() => ({action: pick('allow', 'deny'), to: peer(), ports: ports()})),
        },
      }));
      const resolved = resolvePolicies(policies, apps);
      const everybody = apps.flatMap(({namespace, name}, index) => [0, 1].map((node) => ({namespace, app: name, node, address: `10.244.${node}.${index + 2}`})));
      const ends: readonly {readonly namespace?: string; readonly app?: string; readonly node: number; readonly address: string}[] = [...everybody, {node: 2, address: '192.0.2.9'}];
      const plans = [0, 1, 2].map((own) => planPolicies(resolved, everybody.map(({node, ...member}): Member => ({...member, isLocal: node === own}))));
      for (let round = 0; round < 20; round++) {
        const [from, to] = [pick(...ends), pick(...ends)];
        const [port, protocol] = [pick(80, 60, 53, 443), pick('tcp' as const, 'udp' as const)];
        const decision = evaluate(resolved, {from, to, port, protocol});
        // A connection passes each machine on its way.
        const ways = [...new Set([from.node, to.node])].map((node) => simulate(plans[node]!, {from: from.address, to: to.address, port, protocol}));
        expect([seed, round, ways.every(({passes}) => passes)]).toEqual([seed, round, decision.allowed]);
        if (decision.allowed) expect(ways.flatMap(({noted}) => noted).toSorted()).toEqual(decision.wouldDeny.map(({namespace, policy}) => `${namespace}/${policy}`).toSorted());
        seen[decision.allowed ? 'allowed' : 'denied']++;
        seen.audited += decision.wouldDeny.length;
      }
      for (const plan of plans) {
        const {chains, objects, elements} = rulesetOf(plan);
        for (const {rules} of chains.values()) {
          for (const rule of rules) {
            for (const [, kind, name] of rule.matchAll(/(?:(@)|(?:goto|jump) )([\w/]+)/g)) expect((kind === '@' ? objects : chains).has(name!)).toBe(true);
          }
        }
        for (const map of ['ingress', 'egress']) for (const verdict of elements.get(map)!.values()) expect(chains.has(verdict.replace('jump ', ''))).toBe(true);
      }
    }
    expect(Math.min(seen.denied, seen.allowed, seen.audited)).toBeGreaterThan(100);
  });

  it('about an app decide before those about its namespace', () => {
    const policy = (name: string, spec: Partial<NetworkPolicyRecord['spec']>): NetworkPolicyRecord => ({name, namespace: 'a', labels: {}, annotations: {}, meta, spec: {target: {all: true}, ingress: [], egress: [], isolate: false, mode: 'enforce', ...spec}});
    const resolved = resolvePolicies([policy('closed', {isolate: true}), policy('open-web', {target: {app: 'web'}, ingress: [{action: 'allow', from: {namespace: 'b'}, ports: [{port: 80, protocol: 'tcp'}]}]})], apps);
    const ask = (app: string, port: number) => evaluate(resolved, {from: {namespace: 'b', app: 'web'}, to: {namespace: 'a', app}, port, protocol: 'tcp'});
    expect(ask('web', 80)).toEqual({allowed: true, decidedBy: {namespace: 'a', policy: 'open-web', direction: 'ingress', rule: 0, action: 'allow'}, wouldDeny: []});
    expect(ask('web', 81)).toEqual({allowed: false, decidedBy: {namespace: 'a', policy: 'closed', direction: 'ingress', rule: null, action: 'deny'}, wouldDeny: []});
    expect(ask('db', 80).allowed).toBe(false);
    expect(evaluate(resolved, {from: {namespace: 'a', app: 'web'}, to: {namespace: 'a', app: 'db'}, port: 1, protocol: 'udp'}).allowed).toBe(true);
  });
});
