/** What each machine is told: its own part of the addresses, and how the others are reached. */
import type {NetworkPeer, NetworkRecord, NetworkView, SubnetsRecord} from '@hivemind/contracts';
import type {ManagerContext} from '@hivemind/service';
import {noSubnets, withKey, withLease} from '../core/subnets.ts';
import {networkErrors} from '../errors.ts';
import {IPV4, nodes, specOf, subnets, subnetsOf, type Tables, virtualIpsOf} from './tables.ts';

/** What a machine says of itself as it asks. */
export interface Told {
  readonly holds?: string | undefined;
  readonly wireguardKey?: string | undefined;
}

export class Views {
  readonly #context: Pick<ManagerContext, 'store' | 'now'>;
  readonly #tables: Tables;
  /** One after another: many machines of a cluster that starts would all race for the one record. */
  #writing: Promise<unknown> = Promise.resolve();

  constructor(context: Pick<ManagerContext, 'store' | 'now'>, tables: Tables) {
    this.#context = context;
    this.#tables = tables;
  }

  /** Takes a part for the machine where it has none. @throws `node-unknown` 404, `subnets-exhausted` 422 */
  async of(node: string, told: Told): Promise<NetworkView> {
    const spec = specOf(this.#tables);
    const virtualIps = virtualIpsOf(this.#tables);
    if (spec.backend === 'none') {
      // Known before it is needed: who is switched over is understood by the others at once.
      if (this.#tables.nodes.get(node)) await this.#write((record) => withKey(record, node, told.wireguardKey));
      return {spec, self: null, peers: [], virtualIps};
    }
    const address = await this.#addressOf(node);
    const subnet = await this.#subnetOf(node, spec, told);
    return {spec, self: {node, address, subnet}, publishes: true, peers: this.peers().filter((peer) => peer.node !== node), virtualIps};
  }

  /** Every machine that is registered and has a part, by name. */
  peers(): readonly NetworkPeer[] {
    const {leases, wireguardKeys = {}} = subnetsOf(this.#tables);
    return this.#tables.nodes.list().flatMap(({key: node, value}) => {
      const lease = leases[node];
      const wireguardKey = wireguardKeys[node];
      return lease === undefined ? [] : [{node, address: value.spec.address, subnet: lease.cidr, ...(wireguardKey === undefined ? {} : {wireguardKey})}];
    }).toSorted((a, b) => (a.node < b.node ? -1 : 1));
  }

  async #subnetOf(node: string, spec: NetworkRecord['spec'], {holds, wireguardKey}: Told): Promise<string> {
    const now = new Date(this.#context.now()).toISOString();
    const record = await this.#write((record: SubnetsRecord): SubnetsRecord => {
      const after = withLease(record, {node, spec, holds, now});
      if (after === undefined) throw networkErrors['subnets-exhausted'](`All parts of ${spec.cidr} are taken: node ${node} can have no containers until another machine is removed, or the network has a larger range (hivemind network set --cidr).`);
      return withKey(after, node, wireguardKey);
    });
    return record.leases[node]?.cidr ?? '';
  }

  /** What is right already is not written. */
  async #write(change: (record: SubnetsRecord) => SubnetsRecord): Promise<SubnetsRecord> {
    const known = subnetsOf(this.#tables);
    if (change(known) === known) return known;
    const write = async (): Promise<SubnetsRecord> => {
      const written = await subnets.in(this.#context.store).update(IPV4, (record) => change(record ?? noSubnets));
      if (written) await this.#tables.subnets.waitForRevision(written.version);
      return written?.value ?? subnetsOf(this.#tables);
    };
    const writing = this.#writing.then(write);
    this.#writing = writing.catch(() => undefined);
    return writing;
  }

  async #addressOf(node: string): Promise<string> {
    const found = this.#tables.nodes.get(node) ?? (await nodes.in(this.#context.store).get(node));
    if (!found) throw networkErrors['node-unknown'](`There is no node ${node}: it registers first.`);
    return found.value.spec.address;
  }
}
