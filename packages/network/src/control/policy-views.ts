/** What machines are told of policies: who may reach whom, and the addresses of those that rules speak of. */
import {createHash} from 'node:crypto';
import {emit} from '@hivemind/bus';
import {type getPolicies, policiesChanged, type PolicyMembers, type ResolvedPolicy} from '@hivemind/contracts';
import {createController} from '@hivemind/controller';
import type {ManagerContext} from '@hivemind/service';
import type * as z from 'zod';
import {type LabelledApp, resolvePolicies} from '../core/policy/resolve.ts';
import {networkErrors} from '../errors.ts';
import {type Tables, whenReady} from './tables.ts';

type Page = z.infer<typeof getPolicies.reply>;
/** Addresses of a page: well below what a message of the bus holds. */
const PAGE = 10_000;
/** Many containers come and go together: they are told together. */
const GATHER_MS = 20;
const RESYNC_MS = 60_000;

interface Whole {
  readonly version: string;
  readonly policies: readonly ResolvedPolicy[];
  /** By key. */
  readonly members: readonly (PolicyMembers & {readonly key: string})[];
}

export class PolicyViews {
  readonly #tables: Tables;
  #whole: Whole | undefined;
  /** Which state of the tables that is. */
  #at = '';

  constructor(tables: Tables) {
    this.#tables = tables;
  }

  get version(): string {
    return this.#now().version;
  }

  /** @param after the last key of the page before. @throws `policies-held` 503 */
  async page(after: string | undefined): Promise<Page> {
    // Too little would let through what is denied.
    await whenReady(this.#tables);
    if (this.#tables.cluster.get('adoption')?.value.held) throw networkErrors['policies-held']('The store does not count until what runs is adopted (hivemind cluster adopt): machines go by the policies that they know.');
    const {version, policies, members} = this.#now();
    const page: PolicyMembers[] = [];
    let [count, last] = [0, ''];
    for (const {key, ...one} of members) {
      if (after !== undefined && key <= after) continue;
      if (count > 0 && count + one.addresses.length > PAGE) return {version, policies: after === undefined ? [...policies] : [], members: page, next: last};
      page.push(one);
      [count, last] = [count + one.addresses.length, key];
    }
    return {version, policies: after === undefined ? [...policies] : [], members: page, next: null};
  }

  /** Computed once for each state of the tables; without policies nobody is asked for. */
  #now(): Whole {
    const {policies, services, endpoints} = this.#tables;
    const records = policies.list().map(({value}) => value);
    const at = records.length === 0 ? 'none' : JSON.stringify([policies.revision, services.revision, endpoints.revision]);
    if (this.#whole !== undefined && this.#at === at) return this.#whole;
    const resolved = resolvePolicies(records, appsOf(this.#tables));
    const spoken = spokenOf(resolved);
    const members = new Map<string, PolicyMembers & {key: string}>();
    for (const {value: {namespace, service: app, address}} of records.length === 0 ? [] : endpoints.list()) {
      if (!spoken(namespace, app)) continue;
      const key = `${namespace}/${app}`;
      const one = members.get(key);
      if (one) one.addresses.push(address);
      else members.set(key, {key, namespace, app, addresses: [address]});
    }
    const sorted = [...members.values()].map((one) => ({...one, addresses: one.addresses.toSorted()})).toSorted((a, b) => (a.key < b.key ? -1 : 1));
    const version = createHash('sha256').update(JSON.stringify([resolved, sorted])).digest('base64url').slice(0, 22);
    this.#at = at;
    this.#whole = {version, policies: resolved, members: sorted};
    return this.#whole;
  }
}

export function appsOf({services}: Pick<Tables, 'services'>): readonly LabelledApp[] {
  return services.list().map(({value: {namespace, name, labels}}) => ({namespace, name, labels}));
}

/** Whether a rule speaks of containers of the app. A machine knows the addresses of its own, so that targets are not among them. */
function spokenOf(policies: readonly ResolvedPolicy[]): (namespace: string, app: string) => boolean {
  const all = new Set<string>();
  const some = new Set<string>();
  for (const {ingress, egress} of policies) {
    for (const {peer} of [...ingress, ...egress]) {
      if (peer.kind !== 'group') continue;
      if (peer.apps === undefined) all.add(peer.namespace);
      else for (const app of peer.apps) some.add(`${peer.namespace}/${app}`);
    }
  }
  return (namespace, app) => all.has(namespace) || some.has(`${namespace}/${app}`);
}

/** Machines hear when it is otherwise, until `signal` aborts. */
export async function tellPolicies({context: {bus, logger, random}, tables, views}: {readonly context: Pick<ManagerContext, 'bus' | 'logger' | 'random'>; readonly tables: Tables; readonly views: PolicyViews}, signal: AbortSignal): Promise<void> {
  let told = '';
  const reconcile = async (): Promise<void> => {
    const {version} = views;
    if (version === told) return;
    await emit(bus, policiesChanged, {}, {version});
    told = version;
  };
  const controller = createController({name: 'network-policies', logger, random: () => random(), reconcile, keys: () => ['policies'], resyncMs: RESYNC_MS});
  let timer: NodeJS.Timeout | undefined;
  const wake = (): void => {
    timer ??= setTimeout(() => {
      timer = undefined;
      controller.wake('policies');
    }, GATHER_MS);
  };
  const stops = [tables.policies.onChange(wake), tables.services.onChange(wake), tables.endpoints.onChange(wake)];
  controller.start();
  await new Promise<void>((resolve) => {
    signal.addEventListener('abort', () => resolve(), {once: true});
    if (signal.aborted) resolve();
  });
  for (const stop of stops) stop();
  clearTimeout(timer);
  await controller.stop();
}
