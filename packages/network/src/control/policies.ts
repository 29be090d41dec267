/** Network policies, as people read, write and try them. */
import {type NetworkPolicy, type NetworkPolicyBody, type NetworkPolicyRecord, type PolicyParty, type PolicyTest, type PolicyVerdict, resourceKey, type RuleName} from '@hivemind/contracts';
import {checkMatch, type ManagerContext, recordEvent} from '@hivemind/service';
import type {Stored} from '@hivemind/store';
import type * as z from 'zod';
import {findings} from '../core/policy/check.ts';
import {evaluate, type Party} from '../core/policy/evaluate.ts';
import {resolvePolicies, targetsOf} from '../core/policy/resolve.ts';
import {networkErrors} from '../errors.ts';
import {appsOf} from './policy-views.ts';
import {policies, specOf, type Tables} from './tables.ts';

/** Of an app with thousands of containers, these stand for all. */
const MOST_ADDRESSES = 100;

export class Policies {
  readonly #context: Pick<ManagerContext, 'store' | 'now' | 'uid' | 'logger'>;
  readonly #tables: Tables;

  constructor(context: Pick<ManagerContext, 'store' | 'now' | 'uid' | 'logger'>, tables: Tables) {
    this.#context = context;
    this.#tables = tables;
  }

  list(): readonly NetworkPolicy[] {
    return this.#tables.policies.list().map((stored) => this.present(stored));
  }

  find(namespace: string, name: string): Promise<Stored<NetworkPolicyRecord> | undefined> {
    return policies.in(this.#context.store).get(resourceKey(namespace, name));
  }

  /** @throws `policy-not-found` 404 */
  async read(namespace: string, name: string): Promise<Stored<NetworkPolicyRecord>> {
    const stored = await this.find(namespace, name);
    if (!stored) throw networkErrors['policy-not-found'](`There is no network policy ${name} in namespace ${namespace}: GET /network-policies lists what there is.`);
    return stored;
  }

  /** @throws `policy-unusable`, `policies-unenforced` 422 */
  async write(namespace: string, {name, labels, annotations, spec}: z.output<typeof NetworkPolicyBody>, before: Stored<NetworkPolicyRecord> | undefined): Promise<Stored<NetworkPolicyRecord>> {
    const errors = findings(spec);
    const [first] = errors;
    if (first !== undefined) throw networkErrors['policy-unusable'](`${first.path} ${first.message}`, {errors: [...errors]});
    if (specOf(this.#tables).backend === 'none') throw networkErrors['policies-unenforced']('Containers are on networks of the engine\'s own, where nothing would enforce the policy: give the cluster a network first (PATCH /networks/cluster {"backend": "auto"}).');
    const at = new Date(this.#context.now()).toISOString();
    const moved = JSON.stringify(before?.value.spec) !== JSON.stringify(spec);
    const meta = before ? {...before.value.meta, generation: before.value.meta.generation + (moved ? 1 : 0), updatedAt: at} : {uid: this.#context.uid(), generation: 1, createdAt: at, updatedAt: at};
    const stored = await policies.in(this.#context.store).put(resourceKey(namespace, name), {name, namespace, labels, annotations, spec, meta}, {expect: before ?? 0});
    await this.#tables.policies.waitForRevision(stored.version);
    if (moved) this.#record(namespace, name, before ? 'Changed' : 'Created', `network policy ${name} ${spec.mode === 'audit' ? 'counts and logs what it would deny' : 'is in force'}`);
    return stored;
  }

  async remove({key, version, value: {namespace, name}}: Stored<NetworkPolicyRecord>, expected: number | undefined): Promise<void> {
    checkMatch(expected, version, `Network policy ${name}`);
    await policies.in(this.#context.store).delete(key, {expect: version});
    this.#record(namespace, name, 'Deleted', `network policy ${name} holds no more`);
  }

  present({value, version}: Stored<NetworkPolicyRecord>): NetworkPolicy {
    const {name, namespace, labels, annotations, spec, meta} = value;
    const apps = targetsOf(value, appsOf(this.#tables));
    const since = meta.updatedAt;
    const isEnforced = specOf(this.#tables).backend !== 'none';
    return {
      kind: 'NetworkPolicy', name, namespace, labels, annotations, spec, meta: {...meta, version},
      status: {apps: [...apps], conditions: [
        ...(apps.length > 0 ? [] : [{type: 'Selecting', status: 'false' as const, reason: 'NothingSelected', message: 'no app is its target now: it will hold for one that comes', since}]),
        ...(isEnforced ? [] : [{type: 'Enforced', status: 'false' as const, reason: 'NoNetwork', message: 'containers are on networks of the engine\'s own: nothing enforces it (PATCH /networks/cluster {"backend": "auto"})', since}]),
      ]},
    };
  }

  /** Of apps with several containers: denied where one of them is, as rules about ranges tell containers apart. */
  test(namespace: string, {from, to, port, protocol}: PolicyTest): PolicyVerdict {
    const resolved = resolvePolicies(this.#tables.policies.list().map(({value}) => value), appsOf(this.#tables));
    const [sources, targets] = [this.#parties(namespace, from), this.#parties(namespace, to)];
    const decisions = sources.flatMap((source) => targets.map((target) => evaluate(resolved, {from: source, to: target, port, protocol})));
    const {allowed, decidedBy} = decisions.find((decision) => !decision.allowed) ?? decisions[0]!;
    const wouldDeny = [...new Map(decisions.flatMap((decision) => decision.wouldDeny).map((rule) => [ruleText(rule), rule])).values()];
    const flow = `${textOf(namespace, from)} ${allowed ? 'may' : 'may not'} reach ${textOf(namespace, to)} on ${protocol} ${port}`;
    return {allowed, decidedBy, wouldDeny, message: `${flow}: ${decidedBy === null ? 'no rule denies it' : `${ruleText(decidedBy)} says so`}${wouldDeny.length === 0 ? '' : `; in audit, ${wouldDeny.map(ruleText).join(' and ')} would deny it`}`};
  }

  /** An address of the cluster is the app's that has it. */
  #parties(namespace: string, party: PolicyParty): readonly Party[] {
    const all = this.#tables.endpoints.list().map(({value}) => value);
    if ('address' in party) {
      const owner = all.find(({address}) => address === party.address);
      return [{address: party.address, ...(owner ? {namespace: owner.namespace, app: owner.service} : {})}];
    }
    const of = {namespace: party.namespace ?? namespace, app: party.app};
    const addresses = all.filter((one) => one.namespace === of.namespace && one.service === of.app).slice(0, MOST_ADDRESSES);
    return addresses.length === 0 ? [of] : addresses.map(({address}) => ({...of, address}));
  }

  #record(namespace: string, name: string, reason: string, message: string): void {
    recordEvent(this.#context, {namespace, kind: 'NetworkPolicy', name, type: 'normal', reason, message});
  }
}

function textOf(namespace: string, party: PolicyParty): string {
  return 'address' in party ? party.address : `${party.namespace ?? namespace}/${party.app}`;
}

function ruleText({namespace, policy, direction, rule}: RuleName): string {
  return rule === null ? `isolate of ${namespace}/${policy}` : `${direction}[${rule}] of ${namespace}/${policy}`;
}
