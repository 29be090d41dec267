/** The one network of the cluster, as people read and set it. */
import type {Bus} from '@hivemind/bus';
import {CLUSTER_NETWORK, type Network, type NetworkBody, type NetworkRecord, type NetworkSpec} from '@hivemind/contracts';
import {checkMatch, type ManagerContext, recordEvent} from '@hivemind/service';
import type {Stored} from '@hivemind/store';
import type * as z from 'zod';
import {capacityOf, outside, unreachable, unusable} from '../core/subnets.ts';
import {networkErrors} from '../errors.ts';
import {askMachines} from './ask-machines.ts';
import {networks, specOf, subnetsOf, type Tables, virtualIpsOf} from './tables.ts';

/** Machines in a refusal. */
const NAMED = 8;

export class Settings {
  readonly #context: Pick<ManagerContext, 'store' | 'now' | 'uid' | 'logger'>;
  readonly #bus: Bus;
  readonly #tables: Tables;

  constructor(context: Pick<ManagerContext, 'store' | 'now' | 'uid' | 'logger'>, tables: Tables, bus: Bus) {
    this.#context = context;
    this.#bus = bus;
    this.#tables = tables;
  }

  /** @throws `network-not-found` 404 */
  async read(name: string): Promise<Network> {
    if (name !== CLUSTER_NETWORK) throw networkErrors['network-not-found'](`There is no network ${name}: a cluster has one, ${CLUSTER_NETWORK}.`);
    return this.#present(this.#tables.networks.get(CLUSTER_NETWORK));
  }

  /** @throws `network-not-found` 404, `version-mismatch` 412, `range-unusable`, `range-in-use`, `backend-unsupported` 422 */
  async write({name, labels, annotations, spec}: z.output<typeof NetworkBody>, expected: number | undefined): Promise<Network> {
    await this.read(name);
    this.#check(spec);
    if (spec.backend === 'wireguard' && specOf(this.#tables).backend !== 'wireguard') await this.#checkEncryption();
    const collection = networks.in(this.#context.store);
    const before = await collection.get(CLUSTER_NETWORK);
    checkMatch(expected, before?.version ?? 0, `The network ${name}`);
    const at = new Date(this.#context.now()).toISOString();
    const moved = JSON.stringify(before?.value.spec) !== JSON.stringify(spec);
    const meta = before ? {...before.value.meta, generation: before.value.meta.generation + (moved ? 1 : 0), updatedAt: at} : {uid: this.#context.uid(), generation: 1, createdAt: at, updatedAt: at};
    const stored = await collection.put(CLUSTER_NETWORK, {name, labels, annotations, spec, meta}, {expect: before ?? 0});
    await this.#tables.networks.waitForRevision(stored.version);
    if (moved) recordEvent(this.#context, {namespace: 'default', kind: 'Network', name, type: 'normal', reason: 'Changed', message: `containers are reached by back-end ${spec.backend}, their addresses are of ${spec.cidr}`});
    return this.#present(stored);
  }

  #check(spec: NetworkSpec): void {
    const machines = this.#tables.nodes.list().map(({key: node, value}) => ({node, address: value.spec.address}));
    const refuse = (path: string, detail: string): Error => networkErrors['range-unusable'](detail, {errors: [{path, message: detail}]});
    const virtualIps = virtualIpsOf(this.#tables);
    const why = unusable(spec, machines, virtualIps);
    if (why !== undefined) throw refuse('spec.cidr', why);
    const whyNot = spec.backend === 'none' ? undefined : unreachable(virtualIps, machines);
    if (whyNot !== undefined) throw refuse('spec.backend', whyNot);
    const total = capacityOf(spec);
    if (total < machines.length) throw refuse('spec.cidr', `${spec.cidr} has ${total} parts of /${spec.nodePrefix}, and there are ${machines.length} machines.`);
    const stranded = specOf(this.#tables).backend === 'none' ? [] : outside(subnetsOf(this.#tables), spec);
    if (stranded.length > 0) throw networkErrors['range-in-use'](`Containers on ${stranded.join(', ')} may have addresses that are not of ${spec.cidr}/${spec.nodePrefix}: choose a range that holds the present one, or set back-end none first and drain those machines.`, {errors: [{path: 'spec.cidr', message: 'leaves out addresses that are in use'}]});
  }

  /** Containers of a machine that cannot would reach nobody. One that does not answer now says it when it is back. */
  async #checkEncryption(): Promise<void> {
    const {items} = await askMachines(this.#bus, this.#tables);
    const unable = items.flatMap(({node, wireguard}) => (wireguard === undefined ? [`${node} (its agent is of an earlier release)`] : 'unable' in wireguard ? [`${node} (${wireguard.unable})`] : []));
    if (unable.length === 0) return;
    const more = unable.length > NAMED ? ` and ${unable.length - NAMED} more` : '';
    const detail = `Back-end wireguard cannot be had on ${unable.slice(0, NAMED).join(', ')}${more}.`;
    throw networkErrors['backend-unsupported'](detail, {errors: [{path: 'spec.backend', message: detail}]});
  }

  #present(stored: Stored<NetworkRecord> | undefined): Network {
    const spec = specOf(this.#tables);
    const epoch = new Date(0).toISOString();
    const {labels = {}, annotations = {}, meta = {uid: CLUSTER_NETWORK, generation: 1, createdAt: epoch, updatedAt: epoch}} = stored?.value ?? {};
    const shown = stored?.value.spec ?? spec;
    return {kind: 'Network', name: CLUSTER_NETWORK, labels, annotations, spec: shown, status: {subnets: {total: capacityOf(shown), used: Object.keys(subnetsOf(this.#tables).leases).length}}, meta: {...meta, version: stored?.version ?? 0}};
  }
}
