/** The machine's half: receives names, keeps them on disk, hands them on, and tells who balances of each change. */
import {mkdir} from 'node:fs/promises';
import {dirname, join} from 'node:path';
import type {Bus} from '@hivemind/bus';
import type {Clock} from '@hivemind/controller';
import type {Logger} from 'pino';
import {Registry} from '../core/registry.ts';
import type {EndpointsChange, NameItem, Point, ServiceView} from '../model.ts';
import {type NameSettings, readSnapshot, SNAPSHOT_FILE, writeSnapshot} from '../names/snapshot-file.ts';
import {HandOn, type NamesTarget} from './hand-on.ts';
import {Receiver} from './receiver.ts';

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
  /** Told of each change from now on, and first, at once, of all there is (`whole`). Answers how to stop. */
  onEndpointsChanged(listener: (change: EndpointsChange) => void): () => void;
  /** From now on, where something is given: `address:port` each where the sidecar answers, and whether names may give virtual IPs. */
  configure(settings: {readonly listen?: readonly string[]; readonly virtualIps?: boolean}): void;
  /** Resolves when it goes on from what is on disk; the control plane may be away. */
  start(): Promise<void>;
  /** What the sidecar was told stands. */
  stop(): Promise<void>;
}

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
  readonly #listeners = new Set<(change: EndpointsChange) => void>();
  #at: Point | undefined;
  #receiver: Receiver | undefined;
  #handOn: HandOn | undefined;
  #cancelWriting: (() => void) | undefined;
  #writing: Promise<void> = Promise.resolve();

  constructor(options: DiscoveryOptions) {
    const {node, listen, virtualIps, dataDir} = options;
    this.#options = options;
    this.#settings = {node, listen, virtualIps: virtualIps ?? false};
    this.#isDeliverySaid = virtualIps !== undefined;
    this.#path = join(dataDir, SNAPSHOT_FILE);
  }

  get at(): Point | undefined {
    return this.#at;
  }

  services(): readonly ServiceView[] {
    return [...this.#registry.keys()].flatMap((key) => this.#registry.view(key) ?? []);
  }

  onEndpointsChanged(listener: (change: EndpointsChange) => void): () => void {
    this.#listeners.add(listener);
    if (this.#at) listener({at: this.#at, whole: true, services: this.services(), gone: []});
    return () => this.#listeners.delete(listener);
  }

  configure(settings: Partial<Pick<NameSettings, 'listen' | 'virtualIps'>>): void {
    this.#isDeliverySaid ||= settings.virtualIps !== undefined;
    const next = {...this.#settings, ...settings};
    if (JSON.stringify(next) === JSON.stringify(this.#settings)) return;
    this.#settings = next;
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
    if (kept?.at && kept.node === node) this.#take(kept.items, true, kept.at);
    // Before anybody is told of them: a sidecar that starts meanwhile reads the settings of now.
    await this.#write();
    if (sidecar) this.#handOn = new HandOn({target: sidecar, settings: () => this.#settings, items: () => this.#registry.items(), at: () => this.#at, clock});
    this.#handOn?.push();
    this.#receiver = new Receiver({
      bus, node, clock, random, logger, at: this.#at,
      onItems: (items, whole, at) => {
        // Nothing changed since: there is nothing to tell, nor to keep.
        if (items.length === 0 && !whole) return void (this.#at = at);
        this.#take(items, whole, at);
        this.#handOn?.changed(items, whole);
        this.#cancelWriting ??= clock.setTimer(() => {
          this.#cancelWriting = undefined;
          void this.#write();
        }, WRITE_AFTER_MS);
      },
    });
    await this.#receiver.start();
  }

  async stop(): Promise<void> {
    // What was never read is not to be written over.
    if (!this.#receiver) return;
    await this.#receiver.stop();
    await this.#handOn?.stop();
    this.#cancelWriting?.();
    await this.#write();
  }

  #take(items: readonly NameItem[], whole: boolean, at: Point): void {
    this.#at = at;
    const {services: keys} = this.#registry.apply(items, whole);
    if (this.#listeners.size === 0) return;
    const views = [...keys].map((key) => ({key, view: this.#registry.view(key)}));
    const change: EndpointsChange = {
      at, whole,
      services: views.flatMap(({view}) => view ?? []),
      gone: views.flatMap(({key, view}) => (view ? [] : [{namespace: key.slice(0, key.indexOf('/')), name: key.slice(key.indexOf('/') + 1)}])),
    };
    for (const listener of this.#listeners) listener(change);
  }

  #write(): Promise<void> {
    this.#writing = this.#writing.then(() => writeSnapshot(this.#path, {...this.#settings, at: this.#at}, this.#registry.items())).catch((err: unknown) => this.#options.logger.warn({err}, 'the names could not be kept on disk: a restart without the control plane knows older ones'));
    return this.#writing;
  }
}
