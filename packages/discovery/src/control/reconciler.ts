/** Makes the records of one service what the store says they should be. One address at a time is given, and none twice. */
import {type AppRecord, DISCOVERY_SETTINGS_KEY, DiscoverySettings, type EndpointRecord, type HostPort, hostPortsClash, resourceKey, type ServiceRecord} from '@hivemind/contracts';
import {type ManagerContext, recordEvent} from '@hivemind/service';
import {commit, type Compare, type Fence, type Stored, type Write} from '@hivemind/store';
import {domainOwner, endpointOf, isHeadless, same, serviceOf, trafficOf} from '../core/derive.ts';
import {publish, type Publishing} from '../core/published.ts';
import {chooseAddress, rangeOf} from '../core/virtual-ips.ts';
import {areMachinesPublishing, endpoints, services, type Tables} from './tables.ts';

export interface ReconcilerOptions {
  readonly context: Pick<ManagerContext, 'store' | 'logger' | 'now' | 'uid'>;
  readonly tables: Tables;
  /** Proof of leadership; undefined: not leading, so nothing is written. */
  readonly fence: () => Fence | undefined;
}

/** Far below what a transaction takes. */
const MOST_WRITES = 1_000;

export function settingsOf(tables: Pick<Tables, 'settings'>): DiscoverySettings {
  return tables.settings.get(DISCOVERY_SETTINGS_KEY)?.value ?? DiscoverySettings.parse({});
}

export class Reconciler {
  readonly #options: ReconcilerOptions;
  /** Given, and not in the cache yet. */
  readonly #reserved = new Set<string>();

  constructor(options: ReconcilerOptions) {
    this.#options = options;
  }

  /** `key`: namespace/name. */
  async reconcile(key: string, signal: AbortSignal): Promise<void> {
    const {tables, fence} = this.#options;
    const proof = fence();
    if (proof === undefined) return;
    const {compare, writes, reserved, tell} = this.#plan(key);
    try {
      let n = 0;
      for (let at = 0; at < writes.length; at += MOST_WRITES) {
        ({n} = await commit(this.#options.context.store, {compare: at === 0 ? compare : [], writes: writes.slice(at, at + MOST_WRITES), fence: proof}));
      }
      if (n === 0) return;
      tell();
      // The next run must not decide by what was before this one; nor another service by an address that is not seen yet.
      await Promise.all([tables.services.waitForRevision(n, signal), tables.endpoints.waitForRevision(n, signal)]);
    } finally {
      for (const each of reserved) this.#reserved.delete(each);
    }
  }

  #plan(key: string): {readonly compare: readonly Compare[]; readonly writes: readonly Write[]; readonly reserved: readonly string[]; readonly tell: () => void} {
    const {tables} = this.#options;
    const app = tables.apps.get(key);
    const before = tables.services.get(key);
    const known = tables.endpoints.byIndex('service', key);
    if (!app) {
      return {
        compare: before ? [services.unchanged(before)] : [],
        writes: [...(before ? [services.deleting(key)] : []), ...known.map((endpoint) => endpoints.deleting(endpoint.key))],
        reserved: [], tell: () => undefined,
      };
    }
    const {virtualIp, reserved} = this.#addressFor(key, isHeadless(app.value), before?.value);
    const publishing = this.#publishing(key, app.value, before?.value);
    const domain = app.value.spec.service?.domain;
    const now = new Date(this.#options.context.now()).toISOString();
    const next = serviceOf({
      app: app.value, before: before?.value, virtualIp, publishing, now,
      traffic: trafficOf(tables.rollouts.byIndex('app', key).map(({value}) => value)),
      domainOwner: domain === undefined ? undefined : domainOwner(tables.apps.byIndex('domain', domain).map(({value}) => value)),
      range: settingsOf(tables).virtualIps,
      delivered: areMachinesPublishing(tables),
      uid: this.#options.context.uid(),
    });
    const compare: Compare[] = [];
    const writes: Write[] = [];
    if (next !== before?.value) {
      compare.push(before ? services.unchanged(before) : services.absent(key));
      writes.push(services.putting(key, next, before ? {previous: before} : {}));
    }
    writes.push(...this.#endpointWrites(key, known));
    const ports = (publishing?.published ?? []).map(({protocol, port}) => `${protocol}/${port}`).filter((port) => !this.#reserved.has(port));
    for (const port of ports) this.#reserved.add(port);
    return {compare, writes, reserved: [...(reserved === undefined ? [] : [reserved]), ...ports], tell: () => this.#tell(before?.value, next)};
  }

  #endpointWrites(key: string, known: readonly Stored<EndpointRecord>[]): readonly Write[] {
    const {tables} = this.#options;
    const left = new Map(known.map((endpoint) => [endpoint.key, endpoint]));
    const writes: Write[] = [];
    for (const {key: id, value: record} of tables.containers.byIndex('app', key)) {
      const wanted = endpointOf({record, status: tables.statuses.get(id)?.value.status, verdict: tables.verdicts.get(record.node)?.value});
      if (wanted === undefined) continue;
      const before = left.get(id);
      left.delete(id);
      if (!before || !same(before.value, wanted)) writes.push(endpoints.putting(id, wanted, before ? {previous: before} : {}));
    }
    return [...writes, ...[...left.keys()].map((id) => endpoints.deleting(id))];
  }

  /** What it has it keeps, also when addresses are taken from elsewhere now. */
  #addressFor(key: string, headless: boolean, before: ServiceRecord | undefined): {readonly virtualIp: string | undefined; readonly reserved: string | undefined} {
    if (headless) return {virtualIp: undefined, reserved: undefined};
    if (before?.virtualIp !== undefined) return {virtualIp: before.virtualIp, reserved: undefined};
    const {tables} = this.#options;
    const chosen = chooseAddress(rangeOf(settingsOf(tables).virtualIps), key, (address) => this.#reserved.has(address) || tables.services.byIndex('virtualIp', address).length > 0);
    if (chosen !== undefined) this.#reserved.add(chosen);
    return {virtualIp: chosen, reserved: chosen};
  }

  #publishing(key: string, {spec, meta}: AppRecord, before: ServiceRecord | undefined): Publishing | undefined {
    const {tables} = this.#options;
    if (!areMachinesPublishing(tables)) return undefined;
    const had = before?.published ?? [];
    const clashes = (port: HostPort, host: number, protocol: 'tcp' | 'udp', address: string | undefined): boolean => hostPortsClash(port, {host, protocol, ...(address === undefined ? {} : {address})});
    return publish({
      key, ports: spec.ports, before: had,
      holder: (port) => {
        const name = `${port.protocol}/${port.host}`;
        const other = tables.services.byIndex('published', name).find((service) => service.key !== key && service.value.published?.some((one) => clashes(port, one.port, one.protocol, one.address)));
        // Given to another just now, and not in the cache yet.
        const given = this.#reserved.has(name) && !had.some((one) => one.port === port.host && one.protocol === port.protocol) ? 'another' : undefined;
        return other?.key ?? given;
      },
      claimant: (port, sooner) => tables.apps.byIndex('hostPort', `${port.protocol}/${port.host}`).find(({key: other, value}) => other !== key && value.deletedAt === undefined
        && (!sooner || `${value.meta.createdAt} ${other}` < `${meta.createdAt} ${key}`)
        && value.spec.ports.some(({host, protocol, address}) => typeof host === 'number' && clashes(port, host, protocol, address)))?.key
        // An ingress listens there: none is given to who did not ask for it by its number.
        ?? (spec.ports.some(({host}) => host === port.host) ? undefined : tables.ingresses.byIndex('port', `${port.protocol}/${port.host}`)[0]?.key),
    });
  }

  #tell(before: ServiceRecord | undefined, after: ServiceRecord): void {
    const {context} = this.#options;
    for (const {reason, message} of after.conditions) {
      if (before?.conditions.some((known) => known.reason === reason)) continue;
      recordEvent(context, {namespace: after.namespace, kind: 'Service', name: after.name, type: 'warning', reason, message});
      context.logger.warn({service: resourceKey(after.namespace, after.name), reason}, message);
    }
  }
}
