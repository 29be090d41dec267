/** Virtual IPs of services, as discovery tells of them, kept on this machine while it has a network. */
import type {Clock} from '@hivemind/controller';
import type {Logger} from 'pino';
import type {BalancedService} from '../core/balance/compile.ts';
import {SERVICE_RANGE} from '../core/subnets.ts';
import {type Balancing, startBalance} from './balance.ts';

/** A service and who is in rotation, as it is now. */
interface Told {
  readonly namespace: string;
  readonly name: string;
  readonly headless: boolean;
  readonly virtualIp?: string | undefined;
  readonly ports: readonly {readonly port: number; readonly protocol: 'tcp' | 'udp'}[];
  readonly endpoints: BalancedService['endpoints'];
}

interface ServicesTold {
  readonly whole: boolean;
  readonly services: readonly Told[];
  readonly gone: readonly {readonly namespace: string; readonly name: string}[];
}

/** Tells all there are (`whole`) first, and then each change. Answers how to stop. */
export interface ServicesFeed {
  onEndpointsChanged(listener: (change: ServicesTold) => void): () => void;
}

export interface VirtualIpsOptions {
  readonly services: ServicesFeed;
  readonly node: string;
  readonly bridge: string;
  readonly overlay: string;
  readonly clock: Clock;
  readonly logger: Logger;
}

export class VirtualIps {
  readonly #options: VirtualIpsOptions;
  #balancing: Balancing | undefined;
  #unfollow = (): void => undefined;
  #containers = '';
  /** One that takes the place of another begins when that has ended: they have one table. */
  #ending: Promise<void> = Promise.resolve();

  constructor(options: VirtualIpsOptions) {
    this.#options = options;
  }

  get problems(): readonly string[] {
    const problem = this.#balancing?.problem;
    return problem === undefined ? [] : [`virtual IPs: ${problem}`];
  }

  /** @param containers all addresses of containers, as in `10.244.0.0/16` */
  among(containers: string): void {
    if (containers === this.#containers) return;
    this.#end();
    this.#containers = containers;
    void this.#ending.then(() => this.#containers === containers && this.#begin(containers));
  }

  /** Leaves rules as they are. */
  async stop(): Promise<void> {
    this.#containers = '';
    this.#end();
    await this.#ending;
  }

  #begin(containers: string): void {
    const {services, node, bridge, overlay, clock, logger} = this.#options;
    const balancing = startBalance({machine: {node, containers, virtualIps: [SERVICE_RANGE], bridge, overlay}, clock, logger});
    this.#balancing = balancing;
    let begun = false;
    this.#unfollow = services.onEndpointsChanged(({services: told, gone, whole}) => {
      // What an agent before left stands until all of it is known.
      begun ||= whole;
      if (!begun) return;
      balancing.apply({services: told.map(balanced), gone, whole}).catch((err: unknown) => logger.warn({err}, 'virtual IPs could not be changed'));
    });
  }

  #end(): void {
    this.#unfollow();
    const balancing = this.#balancing;
    this.#balancing = undefined;
    if (balancing) this.#ending = this.#ending.then(() => balancing.stop());
  }
}

function balanced({namespace, name, headless, virtualIp, ports, endpoints}: Told): BalancedService {
  return {namespace, name, ...(headless || virtualIp === undefined ? {} : {virtualIp}), ports: ports.map(({port, protocol}) => ({port, targetPort: port, protocol})), endpoints};
}
