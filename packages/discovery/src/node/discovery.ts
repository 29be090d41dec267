/** The machine's half: receives names, keeps them on disk, hands them on, and tells who balances of each change. */
import {mkdir} from 'node:fs/promises';
import {dirname, join} from 'node:path';
import {type Bus, emit} from '@hivemind/bus';
import {namesApplied} from '@hivemind/contracts';
import type {Clock} from '@hivemind/controller';
import type {Logger} from 'pino';
import {takesOut} from '../core/applied.ts';
import {Registry} from '../core/registry.ts';
import type {EndpointsChange, NameItem, Point, ServiceView} from '../model.ts';
import {type NameSettings, readSnapshot, SNAPSHOT_FILE, writeSnapshot} from '../names/snapshot-file.ts';
import {Application} from './application.ts';
import {HandOn, type NamesTarget} from './hand-on.ts';
import {Receiver} from './receiver.ts';
import {Rotation} from './rotation.ts';

export interface DiscoveryOptions {
  readonly bus: Bus;
  readonly node: string;
  /** Absolute. */
  readonly dataDir: string;
  /** `address:port` each, where the sidecar answers names; none: nowhere. */
  readonly listen: readonly string[];
  /** Packets to virtual IPs are delivered on this machine: names may give them. As it was when names were kept last, while nobody says. */
  readonly virtualIps?: boolean | undefined;
  /** Absent: there is none, and names are not answered. */
  readonly sidecar?: NamesTarget | undefined;
  readonly clock: Clock;
  /** In [0, 1). */
  readonly random: () => number;
  readonly logger: Logger;
}

export interface Discovery {
  /** Every service as it is known now. */
  services(): readonly ServiceView[];
  /** Up to where that is; undefined: nothing was told yet, nor kept from earlier. */
  readonly at: Point | undefined;
  /**
   * Told of each change from now on, and first, at once, of all there is (`whole`). What the listener answers resolves when it leads
   * by that: machines that remove a container wait for it. Answers how to stop.
   */
  onEndpointsChanged(listener: EndpointsListener): () => void;
  /**
   * Resolves when no ready machine leads anybody to this container of the machine's, or nobody could say; at the latest after `ms`,
   * then with what was waited for in vain.
   * @throws the signal's reason
   */
  left(container: string, ms: number, signal: AbortSignal): Promise<string | undefined>;
  /** From now on, where something is given: `address:port` each where the sidecar answers, and whether names may give virtual IPs. */
  configure(settings: {readonly listen?: readonly string[]; readonly virtualIps?: boolean}): void;
  /** Resolves when it goes on from what is on disk; the control plane may be away. */
  start(): Promise<void>;
  /** What the sidecar was told stands. */
  stop(): Promise<void>;
}

/** What it answers is waited for. */
export type EndpointsListener = (change: EndpointsChange) => unknown;

/** Changes of so long (ms) are written together. */
const WRITE_AFTER_MS = 500;

export function createDiscovery(options: DiscoveryOptions): Discovery {
  return new MachineNames(options);
}

class MachineNames implements Discovery {
  readonly #options: DiscoveryOptions;
  #settings: NameSettings;
  #isDeliverySaid: boolean;
  readonly #path: string;
  readonly #registry = new Registry();
  readonly #listeners = new Set<EndpointsListener>();
  readonly #application: Application;
  readonly #rotation: Rotation;
  /** What listeners were told of before is done. */
  #balanced: Promise<unknown> = Promise.resolve();
  #unfollow = (): void => undefined;
  #at: Point | undefined;
  /** What is known is of a file of an earlier release, until all of it is told anew. */
  #lacks = false;
  #receiver: Receiver | undefined;
  #handOn: HandOn | undefined;
  #cancelWriting: (() => void) | undefined;
  #writing: Promise<void> = Promise.resolve();

  constructor(options: DiscoveryOptions) {
    const {bus, node, listen, virtualIps, dataDir, clock, random, logger} = options;
    this.#options = options;
    this.#settings = {node, listen, virtualIps: virtualIps ?? false};
    this.#isDeliverySaid = virtualIps !== undefined;
    this.#path = join(dataDir, SNAPSHOT_FILE);
    this.#rotation = new Rotation({node, clock});
    this.#application = new Application({clock, random, say: (word) => void emit(bus, namesApplied, {node}, word).catch((err: unknown) => logger.debug({err}, 'what this machine has applied could not be said; it is asked again'))});
    this.#useAnswers();
  }

  get at(): Point | undefined {
    return this.#at;
  }

  services(): readonly ServiceView[] {
    return [...this.#registry.keys()].flatMap((key) => this.#registry.view(key) ?? []);
  }

  onEndpointsChanged(listener: EndpointsListener): () => void {
    this.#listeners.add(listener);
    this.#application.use('balances', true);
    if (this.#at) this.#balance({at: this.#at, whole: true, services: this.services(), gone: []}, [listener]);
    return () => {
      this.#listeners.delete(listener);
      this.#application.use('balances', this.#listeners.size > 0);
    };
  }

  left(container: string, ms: number, signal: AbortSignal): Promise<string | undefined> {
    return this.#rotation.left(container, ms, signal);
  }

  configure(settings: Partial<Pick<NameSettings, 'listen' | 'virtualIps'>>): void {
    this.#isDeliverySaid ||= settings.virtualIps !== undefined;
    const next = {...this.#settings, ...settings};
    if (JSON.stringify(next) === JSON.stringify(this.#settings)) return;
    this.#settings = next;
    this.#useAnswers();
    if (!this.#receiver) return;
    void this.#write();
    this.#handOn?.push();
  }

  async start(): Promise<void> {
    const {bus, node, sidecar, clock, random, logger} = this.#options;
    await mkdir(dirname(this.#path), {recursive: true, mode: 0o700});
    const kept = await readSnapshot(this.#path);
    if (kept?.node === node && !this.#isDeliverySaid) this.#settings = {...this.#settings, virtualIps: kept.virtualIps};
    // Of this machine under another name nothing is known: its containers are other ones.
    if (kept?.at && kept.node === node) {
      this.#lacks = kept.lacks;
      this.#take(kept.items, true, kept.at);
    }
    // Before anybody is told of them: a sidecar that starts meanwhile reads the settings of now.
    await this.#write();
    if (sidecar) this.#handOn = new HandOn({target: sidecar, settings: () => this.#settings, items: () => this.#registry.items(), at: () => this.#at, onTaken: (at) => this.#application.applied('answers', at), clock});
    this.#handOn?.push();
    this.#receiver = new Receiver({
      bus, node, clock, random, logger, at: this.#lacks ? undefined : this.#at,
      onItems: (items, whole, at) => {
        // Nothing changed since: there is nothing to tell, nor to keep.
        if (items.length === 0 && !whole) {
          this.#at = at;
          return this.#application.told(at, {changed: false, out: false});
        }
        this.#lacks &&= !whole;
        const turns = this.#settings.virtualIps && items.some((item) => this.#isNewVirtualIp(item));
        this.#take(items, whole, at);
        this.#handOn?.changed(items, whole, turns ? this.#balanced : undefined);
        this.#cancelWriting ??= clock.setTimer(() => {
          this.#cancelWriting = undefined;
          void this.#write();
        }, WRITE_AFTER_MS);
      },
      onEverywhere: (epoch, everywhere) => {
        this.#rotation.heard(epoch, everywhere);
        if (everywhere) this.#application.heard(everywhere, node);
      },
    });
    this.#unfollow = bus.onStatus((status) => this.#rotation.connected(status === 'connected'));
    await this.#receiver.start();
  }

  async stop(): Promise<void> {
    // What was never read is not to be written over.
    if (!this.#receiver) return;
    this.#unfollow();
    await this.#receiver.stop();
    await this.#handOn?.stop();
    this.#application.stop();
    this.#cancelWriting?.();
    await this.#write();
  }

  #take(items: readonly NameItem[], whole: boolean, at: Point): void {
    this.#at = at;
    const {services: keys} = this.#registry.apply(items, whole);
    this.#application.told(at, {changed: true, out: whole || takesOut(items)});
    this.#rotation.told(items, whole, at);
    if (this.#listeners.size === 0) return;
    const views = [...keys].map((key) => ({key, view: this.#registry.view(key)}));
    const change: EndpointsChange = {
      at, whole,
      services: views.flatMap(({view}) => view ?? []),
      gone: views.flatMap(({key, view}) => (view ? [] : [{namespace: key.slice(0, key.indexOf('/')), name: key.slice(key.indexOf('/') + 1)}])),
    };
    this.#balance(change, [...this.#listeners]);
  }

  /** Names would give a virtual IP that they did not give before. */
  #isNewVirtualIp({kind, key, value}: NameItem): boolean {
    if (kind !== 'service' || value === undefined || value.headless || value.virtualIp === undefined) return false;
    const before = this.#registry.view(key);
    return before === undefined || before.headless || before.virtualIp !== value.virtualIp;
  }

  #balance(change: EndpointsChange, listeners: readonly EndpointsListener[]): void {
    const done = Promise.all([this.#balanced, ...listeners.map((listener) => listener(change))]);
    // What failed is the listener's to put right; it is applied when something later is.
    this.#balanced = done.then(() => this.#application.applied('balances', change.at), (err: unknown) => this.#options.logger.warn({err}, 'a change of services could not be applied'));
  }

  #useAnswers(): void {
    this.#application.use('answers', this.#options.sidecar !== undefined && this.#settings.listen.length > 0);
  }

  #write(): Promise<void> {
    this.#writing = this.#writing.then(() => writeSnapshot(this.#path, {...this.#settings, at: this.#at, lacks: this.#lacks}, this.#registry.items())).catch((err: unknown) => this.#options.logger.warn({err}, 'the names could not be kept on disk: a restart without the control plane knows older ones'));
    return this.#writing;
  }
}
