/**
 * Keeps the machine's network as it should be: looks when something changed, and every few seconds, compares, and puts right what
 * differs in one batch.
 */
import type {NetworkPeer, NetworkView} from '@hivemind/contracts';
import type {Clock} from '@hivemind/controller';
import type {Logger} from 'pino';
import {declare, type Declared} from '../core/declare.ts';
import {BRIDGE, WIREGUARD} from '../core/kernel.ts';
import {mend, otherOwner} from '../core/mend.ts';
import {networkErrors} from '../errors.ts';
import {showBridge} from './kernel-settings.ts';
import {apply, forwardPackets, mendFilter, readKernel, Translation} from './machine.ts';
import {monitor} from './monitor.ts';
import type {MachineKey} from './wireguard.ts';

/** Without news of a change. */
const LOOK_MS = 5_000;
/** Between two looks, however many changes there are. */
const REST_MS = 1_000;
/** What was made anew had things that went with it: they are seen at the next look. */
const ROUNDS = 3;

export interface Wanted {
  readonly view: Pick<NetworkView, 'spec' | 'peers' | 'virtualIps'>;
  readonly self: NetworkPeer;
}

export interface Upkeep {
  /** What should be, from now on. */
  want(wanted: Wanted): void;
  /** Resolves when the machine was found as wanted, or made so, after the last `want`. */
  ready(): Promise<void>;
  readonly declared: Declared | undefined;
  /** Why it is not as it should be. */
  readonly problems: readonly string[];
  readonly mended: {readonly times: number; readonly last: string | null};
  /** Leaves all as it is. */
  stop(): Promise<void>;
}

export interface UpkeepOptions {
  /** Whose network it is. */
  readonly cluster: string;
  readonly key: MachineKey;
  /** A device is new, or a container's has its place on the bridge again: what others had set there is gone. */
  readonly onDevicesMade: () => void;
  readonly clock: Clock;
  readonly logger: Logger;
}

export function startUpkeep(options: UpkeepOptions): Upkeep {
  return new Keeper(options);
}

class Keeper implements Upkeep {
  readonly #cluster: string;
  readonly #key: MachineKey;
  readonly #onDevicesMade: () => void;
  readonly #clock: Clock;
  readonly #logger: Logger;
  readonly #translation = new Translation();
  readonly #stopMonitor: () => void;
  /** Interfaces seen on the bridge. */
  #members = new Set<string>();
  #wanted: Wanted | undefined;
  #ready = Promise.withResolvers<void>();
  #running: Promise<void> | undefined;
  #again = false;
  #stopped = false;
  #cancel = (): void => undefined;
  #isDue = false;
  #lastLook = -REST_MS;
  #failures: readonly string[] = [];
  declared: Declared | undefined;
  mended: {times: number; last: string | null} = {times: 0, last: null};

  constructor({cluster, key, onDevicesMade, clock, logger}: UpkeepOptions) {
    this.#cluster = cluster;
    this.#key = key;
    this.#onDevicesMade = onDevicesMade;
    this.#clock = clock;
    this.#logger = logger;
    this.#stopMonitor = monitor({onChange: () => this.#soon(), onMember: (name) => this.#members.add(name)});
  }

  get problems(): readonly string[] {
    return [...(this.declared?.problems ?? []), ...this.#failures];
  }

  want(wanted: Wanted): void {
    this.#wanted = wanted;
    // Who waits already waits for this, too: else nobody would ever tell.
    const {resolve} = this.#ready;
    this.#ready = Promise.withResolvers();
    void this.#ready.promise.then(resolve);
    this.#look();
  }

  ready(): Promise<void> {
    return this.#ready.promise;
  }

  async stop(): Promise<void> {
    this.#stopped = true;
    this.#stopMonitor();
    this.#cancel();
    await this.#running;
  }

  #soon(): void {
    this.#schedule(Math.max(0, this.#lastLook + REST_MS - this.#clock.monotonic()));
  }

  #schedule(ms: number): void {
    if (this.#stopped) return;
    this.#cancel();
    this.#isDue = true;
    this.#cancel = this.#clock.setTimer(() => {
      this.#isDue = false;
      this.#look();
    }, ms);
  }

  #look(): void {
    this.#again = true;
    if (this.#running || this.#stopped) return;
    this.#running = this.#lookUntilQuiet().finally(() => {
      this.#running = undefined;
      // News of a change that came meanwhile has set a time that is sooner.
      if (!this.#isDue) this.#schedule(LOOK_MS);
    });
  }

  async #lookUntilQuiet(): Promise<void> {
    while (this.#again && !this.#stopped) {
      this.#again = false;
      this.#lastLook = this.#clock.monotonic();
      const {promise, resolve} = this.#ready;
      try {
        this.#failures = await this.#makeSo();
        if (this.#ready.promise === promise && this.#failures.length === 0) resolve();
      } catch (err) {
        this.#failures = [err instanceof Error ? err.message : String(err)];
        this.#logger.warn({err}, 'the network of this machine cannot be looked after; it is tried again');
      }
    }
  }

  /** @returns what could not be put right */
  async #makeSo(): Promise<readonly string[]> {
    const wanted = this.#wanted;
    if (wanted === undefined) return [];
    const {view, self} = wanted;
    const pair = view.spec.backend === 'wireguard' ? await this.#key.pair() : undefined;
    const changes: string[] = [];
    let failed: readonly string[] = [];
    for (let round = 0; round < ROUNDS; round++) {
      const kernel = await readKernel(pair !== undefined);
      const other = otherOwner(kernel, this.#cluster);
      if (other !== undefined) throw networkErrors['machine-unable'](`The bridge ${BRIDGE} of this machine is another cluster's (${other}): hivemind network down removes it.`);
      const declared = declare(view, {...self, wireguardKey: pair?.publicKey}, kernel.links);
      this.declared = declared;
      const batch = mend(declared, kernel, this.#members, this.#cluster, this.#clock.now());
      this.#remember(kernel.links);
      if (batch.ip.length === 0 && batch.bridge.length === 0 && batch.wireguard === undefined) {
        failed = [];
        break;
      }
      const {wireguard} = batch;
      changes.push(...(wireguard ? [`${wireguard.isMade ? 'link add' : 'wg syncconf'} ${WIREGUARD}`] : []), ...batch.ip, ...batch.bridge);
      failed = await apply(batch, pair?.privateKey);
    }
    // A bridge that was made anew hides again what crosses it, and policies would not hold there.
    await showBridge(BRIDGE);
    if (changes.some((line) => line.startsWith('link '))) this.#onDevicesMade();
    if (await forwardPackets()) changes.push('packets are forwarded');
    if (await this.#translation.mend(self.subnet, view.spec.cidr)) changes.push('addresses are translated');
    if (await mendFilter(view.spec.cidr)) changes.push('packets between containers are let through');
    if (changes.length > 0) {
      this.mended = {times: this.mended.times + 1, last: new Date(this.#clock.now()).toISOString()};
      this.#logger.info({changes: changes.slice(0, 50), more: Math.max(0, changes.length - 50)}, 'the network of this machine was put right');
    }
    return failed;
  }

  /** While there is a bridge its members are known; when it is gone, those that were known and are there still are its own. */
  #remember(links: readonly {readonly name: string; readonly master: string | undefined}[]): void {
    const there = new Set(links.map(({name}) => name));
    const now = links.filter(({master}) => master === BRIDGE).map(({name}) => name);
    this.#members = new Set([...[...this.#members].filter((name) => there.has(name)), ...now]);
  }
}
