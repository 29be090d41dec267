/** Virtual IPs of services, as discovery tells of them, kept on this machine while it has a network. */
import type {Clock} from '@hivemind/controller';
import type {Logger} from 'pino';
import type {BalancedService} from '../core/balance/compile.ts';
import {contains, parseAddress, parseCidr} from '../core/cidr.ts';
import {type Balancing, isBalanced, portsLed, startBalance} from './balance.ts';
import {Flows} from './flows.ts';
import {HostPorts, type HostPortsOptions} from './host-ports.ts';

/** A service and who is in rotation, as it is now. */
interface Told {
  readonly namespace: string;
  readonly name: string;
  readonly headless: boolean;
  readonly virtualIp?: string | undefined;
  readonly ports: readonly {readonly port: number; readonly protocol: 'tcp' | 'udp'}[];
  readonly published?: BalancedService['published'];
  readonly balancing?: {readonly strategy?: BalancedService['balance']; readonly affinity?: BalancedService['affinity']} | undefined;
  readonly endpoints: BalancedService['endpoints'];
  /** Of all its containers, in rotation or not. */
  readonly addresses?: readonly string[] | undefined;
}

interface ServicesTold {
  readonly whole: boolean;
  readonly services: readonly Told[];
  readonly gone: readonly {readonly namespace: string; readonly name: string}[];
}

/** Tells all there are (`whole`) first, and then each change; what the listener answers resolves when the kernel leads by that. Answers how to stop. */
export interface ServicesFeed {
  onEndpointsChanged(listener: (change: ServicesTold) => void | Promise<void>): () => void;
}

export interface VirtualIpsOptions {
  readonly services: ServicesFeed;
  readonly node: string;
  readonly bridge: string;
  readonly overlays: readonly string[];
  /** As {@link HostPortsOptions}. */
  readonly engine: HostPortsOptions['engine'];
  readonly onTaken: HostPortsOptions['onTaken'];
  /**
   * Whether the kernel delivers packets to virtual IPs, each time that this is otherwise. First where nothing was left of an agent
   * before: what one left is delivered until it is known to be otherwise.
   */
  readonly onDelivered: (delivered: boolean) => void;
  readonly clock: Clock;
  readonly logger: Logger;
}

export class VirtualIps {
  readonly #options: VirtualIpsOptions;
  #balancing: Balancing | undefined;
  #hostPorts: HostPorts | undefined;
  #flows: Flows | undefined;
  #unfollow = (): void => undefined;
  /** The two ranges that it began with; empty: it has not. */
  #ranges = '';
  #delivered: boolean | undefined;
  /** One that takes the place of another begins when that has ended: they have one table. */
  #ending: Promise<void> = Promise.resolve();

  constructor(options: VirtualIpsOptions) {
    this.#options = options;
  }

  get problems(): readonly string[] {
    const problem = this.#balancing?.problem;
    return [...(problem === undefined ? [] : [`virtual IPs: ${problem}`]), ...(this.#hostPorts?.problems ?? [])];
  }

  /** Resolves when it is seen to, and what is not delivered is said. @param containers all addresses of containers, as in `10.244.0.0/16`; @param virtualIps what is nobody's of these is refused */
  async among(containers: string, virtualIps: string): Promise<void> {
    const ranges = `${containers} ${virtualIps}`;
    if (ranges === this.#ranges) return;
    this.#end();
    this.#ranges = ranges;
    await this.#ending;
    if (this.#delivered === undefined && !(await isBalanced())) this.#say(false);
    if (this.#ranges === ranges) this.#begin(containers, virtualIps);
  }

  /** Devices of the machine were made anew. */
  devicesMade(): void {
    void this.#balancing?.devicesMade();
  }

  /** Leaves rules as they are. */
  async stop(): Promise<void> {
    this.#ranges = '';
    this.#end();
    await this.#ending;
  }

  #begin(containers: string, virtualIps: string): void {
    const {services, node, bridge, overlays, engine, onTaken, clock, logger} = this.#options;
    /** All that is known is in the kernel. What an agent before left stands until then. */
    let isWhole = false;
    const assess = (): void => {
      if (this.#balancing !== balancing) return;
      if (balancing.problem !== undefined) this.#say(false);
      else if (isWhole) this.#say(true);
    };
    const balancing = startBalance({machine: {node, containers, virtualIps: [virtualIps], bridge, overlays}, onWorked: assess, clock, logger});
    this.#balancing = balancing;
    const hostPorts = new HostPorts({node, apply: (change) => balancing.apply(change), before: portsLed, engine, onTaken, clock, logger});
    this.#hostPorts = hostPorts;
    const within = withinOf(containers);
    const flows = (this.#flows = new Flows({within, clock, logger}));
    let begun = false;
    this.#unfollow = services.onEndpointsChanged(async ({services: told, gone, whole}) => {
      begun ||= whole;
      if (!begun) return;
      await hostPorts.apply({services: told.map((service) => balanced(service, within)), gone, whole});
      flows.told({services: told, gone, whole});
      isWhole ||= whole;
      assess();
    });
  }

  #say(delivered: boolean): void {
    if (delivered === this.#delivered) return;
    this.#delivered = delivered;
    this.#options.onDelivered(delivered);
  }

  #end(): void {
    this.#unfollow();
    const [balancing, hostPorts, flows] = [this.#balancing, this.#hostPorts, this.#flows];
    [this.#balancing, this.#hostPorts, this.#flows] = [undefined, undefined, undefined];
    if (balancing) this.#ending = this.#ending.then(() => Promise.all([hostPorts?.stop(), flows?.stop()])).then(() => balancing.stop());
  }
}

/** @param within whether an address is a container's that packets are carried to: one made before the network was there has another */
function balanced({namespace, name, headless, virtualIp, ports, published, balancing = {}, endpoints}: Told, within: (address: string) => boolean): BalancedService {
  return {
    namespace, name, ...(headless || virtualIp === undefined ? {} : {virtualIp}), ports: ports.map(({port, protocol}) => ({port, targetPort: port, protocol})),
    ...(published === undefined ? {} : {published}), balance: balancing.strategy, affinity: balancing.affinity, endpoints: endpoints.filter(({address}) => within(address)),
  };
}

function withinOf(containers: string): (address: string) => boolean {
  const range = parseCidr(containers);
  return (address) => {
    const one = parseAddress(address);
    return range !== undefined && one !== undefined && contains(range, one);
  };
}
