/** The cluster's engine networks, made when a container first needs one and remembered, so that a start asks for none. */
import {setTimeout as pause} from 'node:timers/promises';
import {engineLabels} from '@hivemind/contracts';
import {type ContainerNetwork, runtimeErrors} from '@hivemind/runtime';
import * as z from 'zod';
import {asking, type Engine} from './engine.ts';
import {isStatus} from './errors.ts';

const PRUNE_TRIES = 50;
const PRUNE_RETRY_MS = 200;

const Existing = z.object({
  Labels: z.record(z.string(), z.string()).nullish(),
  IPAM: z.object({Config: z.array(z.object({Subnet: z.string().default('')})).nullish()}).optional(),
  Options: z.record(z.string(), z.string()).nullish(),
});
const Pruned = z.object({NetworksDeleted: z.array(z.string()).nullish()});

export class Networks {
  readonly #engine: Engine;
  readonly #cluster: string;
  /** Known to exist, or being made: many containers of one namespace start at once. */
  readonly #known = new Map<string, Promise<void>>();
  /** The machine's network of containers, as it was wanted last. */
  readonly #machines = new Map<string, MachineNetwork>();

  constructor(engine: Engine, cluster: string) {
    this.#engine = engine;
    this.#cluster = cluster;
  }

  /** Makes it when it is missing, or is of other addresses. @throws `runtime-conflict` when another program's network has the name, or containers hold it */
  ensure(name: string, machine?: MachineNetwork): Promise<void> {
    let made = this.#known.get(name);
    if (made && machine && !isSame(machine, this.#machines.get(name))) made = undefined;
    if (!made) {
      if (machine) this.#machines.set(name, machine);
      made = this.#make(name, machine ?? this.#machines.get(name));
      this.#known.set(name, made);
      made.catch(() => this.#known.delete(name));
    }
    return made;
  }

  /** It turned out to be missing: makes it again. @param isMachines the machine's network of containers. @throws `runtime-conflict` where its addresses are not known yet */
  async restore(name: string, isMachines: boolean): Promise<void> {
    if (isMachines && !this.#machines.has(name)) throw runtimeErrors['runtime-conflict'](`The engine has lost the network ${name}: it is made again with the next container that is made on this machine.`);
    this.#known.delete(name);
    await this.ensure(name);
  }

  /** The engine was away: what was known may not be so any more. */
  forget(): void {
    this.#known.clear();
  }

  /** @param address its own on that network; the engine chooses one when absent */
  async connect(name: string, runtimeId: string, aliases: readonly string[], address?: string): Promise<void> {
    await asking(this.#engine, `Connecting a container to the network ${name}`, async () => {
      try {
        await this.#engine.docker.getNetwork(name).connect({Container: runtimeId, EndpointConfig: {Aliases: [...aliases], ...(address === undefined ? {} : {IPAMConfig: {IPv4Address: address}})}});
      } catch (error) {
        // "endpoint with name web already exists in network": a repeat after a crash.
        if (!(isStatus(error, 403) && String(error).includes('already exists'))) throw error;
      }
    });
  }

  /** Those that no running container uses. A container that starts later makes its network again. */
  async prune(): Promise<void> {
    this.#known.clear();
    const answer = await asking(this.#engine, 'Removing unused networks', () => this.#pruneOnce());
    for (const name of Pruned.parse(answer).NetworksDeleted ?? []) this.#known.delete(name);
  }

  /** The engine does one at a time, for all its clients. */
  async #pruneOnce(): Promise<unknown> {
    for (let attempt = 1; ; attempt++) {
      try {
        return await this.#engine.docker.pruneNetworks({filters: {label: [`${engineLabels.cluster}=${this.#cluster}`]}});
      } catch (error) {
        if (!isStatus(error, 409) || attempt === PRUNE_TRIES) throw error;
        await pause(PRUNE_RETRY_MS);
      }
    }
  }

  async #make(name: string, machine: MachineNetwork | undefined): Promise<void> {
    const {docker} = this.#engine;
    await asking(this.#engine, `Making the network ${name}`, async () => {
      const body = {Name: name, Driver: 'bridge', CheckDuplicate: true, Labels: {[engineLabels.cluster]: this.#cluster}, ...(machine ? await this.#bodyOf(machine) : {})};
      try {
        await docker.createNetwork(body);
      } catch (error) {
        if (!isStatus(error, 409)) throw error;
        const existing = Existing.parse(await docker.getNetwork(name).inspect());
        if (existing.Labels?.[engineLabels.cluster] !== this.#cluster) {
          throw runtimeErrors['runtime-conflict'](`The engine has a network ${name} that is not this cluster's. Rename or remove it.`, {cause: error});
        }
        if (!machine || isAs(existing, machine)) return;
        // Of other addresses, from before: the engine refuses where a container is still on it.
        await docker.getNetwork(name).remove().catch((cause: unknown) => {
          throw isStatus(cause, 403) ? runtimeErrors['runtime-conflict'](`The engine's network ${name} is of other addresses, and containers are still on it: drain this machine.`, {cause}) : cause;
        });
        await docker.createNetwork(body);
      }
    });
  }

  /** On the machine's own bridge; whoever leaves the cluster is given the machine's address there, not here. */
  async #bodyOf({bridge, subnet, gateway, others, mtu}: MachineNetwork) {
    const {ApiVersion} = z.object({ApiVersion: z.string()}).parse(await this.#engine.docker.version());
    const [major = 0, minor = 0] = ApiVersion.split('.').map(Number);
    return {
      IPAM: {Driver: 'default', Config: [{Subnet: subnet, Gateway: gateway, IPRange: others}]},
      Options: {
        'com.docker.network.bridge.name': bridge,
        'com.docker.network.bridge.enable_ip_masquerade': 'false',
        'com.docker.network.driver.mtu': String(mtu),
        // Engines from 28 on drop what comes from other machines for a container, unless told; earlier ones know no such word.
        ...(major > 1 || minor >= 48 ? {'com.docker.network.bridge.gateway_mode_ipv4': 'nat-unprotected'} : {}),
      },
    };
  }
}

type MachineNetwork = Omit<ContainerNetwork, 'address' | 'dns'>;

function isSame(one: MachineNetwork, other: MachineNetwork | undefined): boolean {
  return other !== undefined && one.subnet === other.subnet && one.bridge === other.bridge && one.mtu === other.mtu;
}

/** What is there already serves, whatever the size of its packets: the bridge's own is kept right beside it. */
function isAs({IPAM, Options}: z.infer<typeof Existing>, {subnet, bridge}: MachineNetwork): boolean {
  return IPAM?.Config?.some(({Subnet}) => Subnet === subnet) === true && Options?.['com.docker.network.bridge.name'] === bridge;
}
