/**
 * The network on this machine: an address for each container, and the way to those of other machines. With back-end `none`, and where
 * the machine cannot have it (without root, as one example), it does nothing, and containers are on networks of the engine's own.
 */
import {join} from 'node:path';
import {type Bus, serve, type Subscription} from '@hivemind/bus';
import {type ContainerRecord, engineLabels, getOverlay, type HivemindError, type NetworkView, type OverlayStatus, type TakenPort} from '@hivemind/contracts';
import {type Clock, systemClock} from '@hivemind/controller';
import type {Contribution, NodeHook, Runtime} from '@hivemind/runtime';
import type {Logger} from 'pino';
import {rangeOfOthers} from '../core/addresses.ts';
import {formatCidr, gatewayOf, parseCidr} from '../core/cidr.ts';
import {decide, type InForce} from '../core/force.ts';
import {BRIDGE, VXLAN, WIREGUARD} from '../core/kernel.ts';
import {networkErrors} from '../errors.ts';
import {Addresses} from './addresses.ts';
import {type Claimant, claim, unableBecause} from './claim.ts';
import {deviceCounters} from './counters.ts';
import {type Mesh, startMesh} from './mesh.ts';
import {type LocalContainer, MachinePolicies} from './policies.ts';
import {removeNetwork} from './remove.ts';
import {type ServicesFeed, VirtualIps} from './virtual-ips.ts';
import {Told} from './told.ts';
import {startUpkeep, type Upkeep} from './upkeep.ts';
import {MachineKey, wireGuardMeans} from './wireguard.ts';

export interface NetworkOptions {
  readonly bus: Bus;
  readonly node: string;
  readonly cluster: string;
  /** What it needs to go on alone is kept in `<dataDir>/agent`. */
  readonly dataDir: string;
  readonly session: {current(): number | undefined; onRegistered(listener: () => void): () => void};
  readonly runtime: Pick<Runtime, 'list' | 'pruneNetworks'>;
  /** As {@link Claimant}. */
  readonly engine?: Claimant['engine'];
  /** Names are answered at the bridge's address; else the engine answers those of the machine's own containers. */
  readonly names?: boolean;
  /** Told where containers reach this machine, at once when it is known; undefined: there is no such place. */
  readonly onGateway?: (gateway: string | undefined) => void;
  /** Told which published ports are left to processes of the machine; undefined: it leads none to containers, the engine publishes. */
  readonly onTakenPorts?: (taken: readonly TakenPort[] | undefined) => void;
  /** Which virtual IPs there are, and who is behind each; absent: none are delivered. */
  readonly services?: ServicesFeed;
  /** Told whether packets to virtual IPs are delivered here, each time that this is otherwise; not told, it is as an agent before left it. */
  readonly onVirtualIps?: (delivered: boolean) => void;
  readonly clock?: Clock;
  readonly logger: Logger;
}

export interface Network {
  readonly hook: NodeHook;
  start(): Promise<void>;
  /** Leaves the machine's network as it is, where anybody can have a use for it: containers, or a sidecar that others ask. */
  stop(): Promise<void>;
}

/** A container waits no longer (ms) for the machine's network: it is tried again, and its reason says what is amiss. */
const PATIENCE_MS = 5_000;
/** Where a machine cannot have the cluster's network. */
const INSTEAD = 'containers of this machine are on networks of the engine\'s own, and reach no other machine';

export function createNetwork(options: NetworkOptions): Network {
  return new MachineNetwork(options);
}

class MachineNetwork implements Network {
  readonly #options: NetworkOptions;
  readonly #clock: Clock;
  readonly #logger: Logger;
  readonly #isRoot = process.platform === 'linux' && process.getuid?.() === 0;
  readonly #addresses: Addresses;
  readonly #told: Told;
  readonly #key: MachineKey;
  readonly hook: NodeHook;
  #subscription: Subscription | undefined;
  #latest: NetworkView | undefined;
  #inForce: InForce | undefined;
  #refused: HivemindError | undefined;
  #because = '';
  #open = false;
  /** Containers were made on networks of the engine's own, since the machine could not have the cluster's. */
  #fellBack = false;
  #upkeep: Upkeep | undefined;
  #mesh: Mesh | undefined;
  #policies: MachinePolicies | undefined;
  #virtualIps: VirtualIps | undefined;
  /** One decision after another: one may take the network down while the next builds it. */
  #deciding: Promise<void> = Promise.resolve();
  #known: Promise<void> = Promise.resolve();

  constructor(options: NetworkOptions) {
    this.#options = options;
    this.#clock = options.clock ?? systemClock;
    this.#logger = options.logger.child({part: 'network'});
    const {bus, node, cluster, dataDir, session, runtime} = options;
    this.#addresses = new Addresses(join(dataDir, 'agent', 'addresses.json'), async () => (await runtime.list()).flatMap(({id, labels}) => {
      const address = labels[engineLabels.address];
      return address === undefined ? [] : [{id, address}];
    }));
    this.#key = new MachineKey(join(dataDir, 'agent', 'wireguard.key'));
    this.#told = new Told({
      bus, node, cluster, session, clock: this.#clock, logger: this.#logger,
      path: join(dataDir, 'agent', 'network.json'),
      holds: () => (this.#addresses.all.size > 0 ? this.#inForce?.self.subnet : undefined),
      wireguardKey: () => this.#publicKey(),
      onView: (view) => void this.#take(view),
      onRefused: (error) => (this.#refused = error),
    });
    this.hook = {name: 'network', prepare: (record, signal) => this.#prepare(record, signal), removed: ({id}) => this.#removed(id)};
  }

  async start(): Promise<void> {
    const {bus, node} = this.#options;
    this.#subscription = await serve(bus, getOverlay, {node}, () => this.#status());
    const kept = await this.#told.kept();
    if (!kept?.inForce || !this.#isRoot) this.#options.onVirtualIps?.(false);
    if (kept) {
      this.#inForce = kept.inForce;
      this.#fellBack = kept.latest.self !== null && kept.inForce === undefined;
      await this.#take(kept.latest);
    }
    await this.#told.start();
    // What was known last serves at once.
    this.#known = kept ? Promise.resolve() : this.#told.first().then(() => this.#deciding);
    void this.#forgetGone();
  }

  async stop(): Promise<void> {
    await this.#subscription?.unsubscribe();
    await this.#told.stop();
    await this.#deciding;
    if (this.#upkeep && this.#addresses.all.size === 0 && this.#options.names !== true) return this.#takeDown();
    await this.#release();
  }

  async #prepare({id, namespace, app}: ContainerRecord, signal: AbortSignal): Promise<Contribution> {
    if (!(await settled(this.#known, signal, PATIENCE_MS))) throw networkErrors['network-unknown']('The control plane has not said yet which network this machine has.');
    if (!this.#isRoot || this.#latest === undefined || this.#latest.self === null || (this.#fellBack && this.#inForce === undefined)) {
      if (this.#refused && this.#latest === undefined) throw this.#refused;
      return {};
    }
    const {inForce, upkeep} = {inForce: this.#inForce, upkeep: this.#upkeep};
    if (!this.#open || inForce === undefined || upkeep === undefined) throw networkErrors['network-renumbering'](`No new container can be started: ${this.#because}.`);
    if (!(await settled(upkeep.ready(), signal, PATIENCE_MS))) throw networkErrors['machine-unable'](`The network of this machine is not ready: ${upkeep.problems.join('; ') || 'it is being set up'}.`);
    const {subnet} = inForce.self;
    const range = parseCidr(subnet);
    if (range === undefined) throw new TypeError(`${subnet} is not a range`);
    const gateway = gatewayOf(range);
    const address = await this.#addresses.take(id, subnet);
    const policies = this.#policies;
    if (policies && !(await settled(policies.admit({id, namespace, app, address}), signal, PATIENCE_MS))) throw networkErrors['machine-unable'](`Policies do not hold on this machine yet: ${policies.problems.join('; ') || 'they are being asked for'}.`);
    return {
      network: {
        bridge: BRIDGE, subnet, gateway, others: formatCidr(rangeOfOthers(range)), mtu: upkeep.declared?.bridge.mtu ?? 1450,
        address,
        publishes: this.#latest.publishes === true && this.#options.services !== undefined,
        dns: {servers: this.#options.names === true ? [gateway] : [], search: [`${namespace}.svc.hive`, 'svc.hive'], options: ['ndots:1']},
      },
    };
  }

  async #removed(id: string): Promise<void> {
    if (this.#inForce === undefined) return;
    await this.#policies?.release(id);
    await this.#addresses.free(id);
    if (this.#addresses.all.size === 0 && this.#latest) await this.#take(this.#latest);
  }

  async #publicKey(): Promise<string | undefined> {
    if (!this.#isRoot) return undefined;
    try {
      return (await this.#key.pair()).publicKey;
    } catch (err) {
      this.#logger.warn({err}, 'this machine has no key for WireGuard');
      return undefined;
    }
  }

  #take(view: NetworkView): Promise<void> {
    this.#deciding = this.#deciding.then(() => this.#decide(view)).catch((err: unknown) => this.#logger.warn({err}, 'the network of this machine could not be changed; it is tried again'));
    return this.#deciding;
  }

  async #decide(view: NetworkView): Promise<void> {
    this.#latest = view;
    this.#refused = undefined;
    if (!this.#isRoot) return this.#say(view.self === null ? '' : `${await unableBecause(this.#claimant)}: ${INSTEAD}`);
    // Nothing was ever set up, and nothing is to be: no file is read for it.
    if (view.self === null && this.#inForce === undefined) {
      this.#say('');
      this.#fellBack = false;
      return this.#told.keep(view, undefined);
    }
    await this.#addresses.load();
    const addresses = this.#addresses.all.size;
    const before = this.#inForce;
    const {inForce, open, because} = decide(view, before, addresses);
    const unable = inForce && !this.#upkeep ? await this.#unable() : undefined;
    if (unable !== undefined && addresses === 0) return this.#fallBack(view, unable);
    this.#fellBack = false;
    this.#inForce = inForce;
    this.#open = open && unable === undefined;
    this.#say(unable ?? because);
    const range = inForce && parseCidr(inForce.self.subnet);
    this.#options.onGateway?.(range && gatewayOf(range));
    if (unable !== undefined) this.#options.onVirtualIps?.(false);
    else if (inForce) await this.#lookAfter(inForce);
    else if (before) await this.#takeDown();
    await this.#told.keep(view, inForce);
  }

  get #claimant(): Claimant {
    const view = this.#latest;
    return {cluster: this.#options.cluster, engine: this.#options.engine, ...(view === undefined ? {} : {ranges: [view.spec.cidr, view.virtualIps]})};
  }

  /** Why the network cannot be had here now; undefined: the machine is this cluster's. */
  async #unable(): Promise<string | undefined> {
    if (!this.#fellBack) return claim(this.#claimant);
    const because = await unableBecause(this.#claimant);
    if (because !== undefined) return because;
    // Those that run would not reach those that come.
    const left = (await this.#options.runtime.list()).filter(({labels}) => labels[engineLabels.address] === undefined).length;
    return left > 0 ? `${left} containers were made when this machine could not have the cluster's network, which it has from when they are gone` : claim(this.#claimant);
  }

  async #fallBack(view: NetworkView, unable: string): Promise<void> {
    const hadOne = this.#inForce !== undefined;
    this.#fellBack = true;
    this.#inForce = undefined;
    this.#open = false;
    this.#say(`${unable}: ${INSTEAD}`);
    if (hadOne) {
      this.#options.onGateway?.(undefined);
      this.#options.onVirtualIps?.(false);
    }
    await this.#told.keep(view, undefined);
  }

  /** Once for as long as it is so. */
  #say(because: string): void {
    if (because === this.#because) return;
    this.#because = because;
    if (because !== '') this.#logger.warn({}, because);
  }

  async #lookAfter(inForce: InForce): Promise<void> {
    this.#upkeep ??= startUpkeep({cluster: this.#options.cluster, key: this.#key, onDevicesMade: () => this.#virtualIps?.devicesMade(), clock: this.#clock, logger: this.#logger});
    this.#mesh ??= startMesh(this.#clock);
    this.#policies ??= this.#startPolicies();
    this.#upkeep.want(inForce);
    this.#mesh.watch(inForce.self.subnet, inForce.view.spec.cidr, inForce.view.peers);
    const {services, node, onVirtualIps} = this.#options;
    if (services) this.#virtualIps ??= new VirtualIps({services, node, bridge: BRIDGE, overlays: [VXLAN, WIREGUARD], engine: () => this.#boundByEngine(), onTaken: (taken) => this.#options.onTakenPorts?.(taken), onDelivered: (delivered) => onVirtualIps?.(delivered), clock: this.#clock, logger: this.#logger});
    await this.#virtualIps?.among(inForce.view.spec.cidr, inForce.view.virtualIps);
  }

  #startPolicies(): MachinePolicies {
    const {bus, node, cluster, dataDir, session} = this.#options;
    const policies = new MachinePolicies({bus, node, cluster, session, path: join(dataDir, 'agent', 'policies.json'), bridge: BRIDGE, present: () => this.#present(), clock: this.#clock, logger: this.#logger});
    policies.start().catch((err: unknown) => this.#logger.warn({err}, 'policies are not kept on this machine'));
    return policies;
  }

  /** Containers on the machine's network, by their labels. */
  async #present(): Promise<readonly LocalContainer[]> {
    return (await this.#options.runtime.list()).flatMap(({id, labels}) => {
      const {[engineLabels.address]: address, [engineLabels.namespace]: namespace, [engineLabels.app]: app} = labels;
      return address === undefined || namespace === undefined || app === undefined ? [] : [{id, namespace, app, address}];
    });
  }

  /** Ports that the engine binds for containers of this cluster, made before the machine led ports on. */
  async #boundByEngine() {
    return (await this.#options.runtime.list()).flatMap(({labels, ports}) => {
      const {[engineLabels.namespace]: namespace, [engineLabels.app]: app} = labels;
      return ports.flatMap(({host, protocol}) => (host === undefined || host === 0 ? [] : [{service: `${namespace}/${app}`, host, protocol}]));
    });
  }

  async #release(): Promise<void> {
    this.#mesh?.stop();
    await Promise.all([this.#policies?.stop(), this.#virtualIps?.stop()]);
    await this.#upkeep?.stop();
    [this.#mesh, this.#upkeep, this.#policies, this.#virtualIps] = [undefined, undefined, undefined, undefined];
  }

  async #takeDown(): Promise<void> {
    this.#options.onVirtualIps?.(false);
    await this.#release();
    // The engine lets no other cluster have a network on the bridge while it knows of one.
    await this.#options.runtime.pruneNetworks().catch((err: unknown) => this.#logger.debug({err}, 'the engine did not remove its network on the bridge'));
    await removeNetwork(this.#options.cluster);
    this.#options.onTakenPorts?.(undefined);
    this.#logger.info({}, 'the network of this machine is taken down');
  }

  /** Containers may have gone while no agent ran. */
  async #forgetGone(): Promise<void> {
    try {
      await this.#known;
      if (this.#inForce === undefined) return;
      await this.#addresses.retain(new Set((await this.#options.runtime.list()).map(({id}) => id)));
    } catch (err) {
      this.#logger.debug({err}, 'the engine could not be asked whose addresses are free; they are kept');
    }
  }

  async #status(): Promise<OverlayStatus> {
    const upkeep = this.#upkeep;
    const inForce = this.#inForce;
    const {vxlan, wireguard} = upkeep?.declared ?? {};
    return {
      node: this.#options.node,
      backend: upkeep && inForce ? inForce.view.spec.backend : 'none',
      subnet: upkeep && inForce ? inForce.self.subnet : null,
      mtu: upkeep?.declared?.bridge.mtu ?? null,
      problems: [...(this.#refused ? [this.#refused.message] : []), ...(this.#because === '' ? [] : [this.#because]), ...(upkeep?.problems ?? []), ...(this.#policies?.problems ?? []), ...(this.#virtualIps?.problems ?? [])],
      mended: upkeep?.mended ?? {times: 0, last: null},
      device: vxlan ? await deviceCounters(VXLAN) : wireguard ? await deviceCounters(WIREGUARD) : null,
      wireguard: await wireGuardMeans(),
      peers: (upkeep?.declared?.peers ?? []).map(({node, address, subnet, via}) => ({node, address, subnet, via, ...(this.#mesh?.reach(node) ?? {sent: 0, loss: null, roundTrip: null})})),
    };
  }
}

/** Whether it resolved in time. @throws the signal's reason */
async function settled(promise: Promise<void>, signal: AbortSignal, ms: number): Promise<boolean> {
  signal.throwIfAborted();
  const over = AbortSignal.any([signal, AbortSignal.timeout(ms)]);
  const inTime = await Promise.race([promise.then(() => true), new Promise<boolean>((resolve) => over.addEventListener('abort', () => resolve(false), {once: true}))]);
  signal.throwIfAborted();
  return inTime;
}
