/** What each machine is told: its own part of the addresses, and how the others are reached. */
import type {NetworkPeer, NetworkRecord, NetworkView, SubnetsRecord} from '@hivemind/contracts';
import type {ManagerContext} from '@hivemind/service';
import {noSubnets, withLease} from '../core/subnets.ts';
import {networkErrors} from '../errors.ts';
import {IPV4, nodes, specOf, subnets, subnetsOf, type Tables, virtualIpsOf} from './tables.ts';

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
  async of(node: string, holds: string | undefined): Promise<NetworkView> {
    const spec = specOf(this.#tables);
    const virtualIps = virtualIpsOf(this.#tables);
    if (spec.backend === 'none') return {spec, self: null, peers: [], virtualIps};
    const address = await this.#addressOf(node);
    const subnet = await this.#subnetOf(node, spec, holds);
    return {spec, self: {node, address, subnet}, publishes: true, peers: this.peers().filter((peer) => peer.node !== node), virtualIps};
  }

  /** Every machine that is registered and has a part, by name. */
  peers(): readonly NetworkPeer[] {
    const {leases} = subnetsOf(this.#tables);
    return this.#tables.nodes.list().flatMap(({key: node, value}) => {
      const lease = leases[node];
      return lease === undefined ? [] : [{node, address: value.spec.address, subnet: lease.cidr}];
    }).toSorted((a, b) => (a.node < b.node ? -1 : 1));
  }

  async #subnetOf(node: string, spec: NetworkRecord['spec'], holds: string | undefined): Promise<string> {
    const now = new Date(this.#context.now()).toISOString();
    const leased = (record: SubnetsRecord): SubnetsRecord => {
      const after = withLease(record, {node, spec, holds, now});
      if (after === undefined) throw networkErrors['subnets-exhausted'](`All parts of ${spec.cidr} are taken: node ${node} can have no containers until another machine is removed, or the network has a larger range (hivemind network set --cidr).`);
      return after;
    };
    const known = subnetsOf(this.#tables);
    if (leased(known) === known) return known.leases[node]?.cidr ?? '';
    const write = async (): Promise<string> => {
      const written = await subnets.in(this.#context.store).update(IPV4, (record) => leased(record ?? noSubnets));
      if (written) await this.#tables.subnets.waitForRevision(written.version);
      return written?.value.leases[node]?.cidr ?? '';
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
