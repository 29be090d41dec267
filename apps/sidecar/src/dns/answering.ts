/** The names of this machine, answered: from the file at first, then from what the agent tells. */
import {setImmediate as turn} from 'node:timers/promises';
import type {NameItem} from '@hivemind/contracts';
import {Forwarder, type ListenAddress, machineResolvers, NameServer, readItems, readSnapshot, Zone, type ZoneOptions} from '@hivemind/discovery/names';
import {parseAddress} from '../address.ts';
import type {NamesPart, NamesPoint, NamesVitals} from './parts.ts';

export interface AnsweringOptions {
  /** What the agent keeps of names; undefined: nothing is kept. */
  readonly file: string | undefined;
  readonly log: (level: 'info' | 'warn', fields: Readonly<Record<string, unknown>>, text: string) => void;
  /** Monotonic ms. */
  readonly now: () => number;
  readonly random: () => number;
  readonly setTimer: (callback: () => void, ms: number) => () => void;
}

/** Names that are made before others have their turn: some ms of work. */
const AT_ONCE = 500;
const NOTHING: NamesPoint = {epoch: '', n: 0};

export class Answering {
  readonly #options: AnsweringOptions;
  #zone = new Zone({node: '', virtualIps: false});
  readonly #forwarder: Forwarder;
  readonly #server: NameServer;
  /** Those that were told to be out of order already. */
  readonly #complained = new Set<string>();
  #listen: readonly string[] = [];
  #closed = false;
  #point: NamesPoint = NOTHING;
  #before: Promise<unknown> = Promise.resolve();
  /** Of a whole that is being brought: each part is made when it comes, so that none of them holds up the process for long. */
  #next: {readonly zone: Zone; parts: number} | undefined;

  constructor(options: AnsweringOptions) {
    const {now, random, setTimer, log} = options;
    this.#options = options;
    const own = (): ReadonlySet<string> => new Set(this.#listen.flatMap((text) => parseAddress(text)?.host ?? []));
    this.#forwarder = new Forwarder({upstreams: machineResolvers({own, now}), now, setTimer});
    this.#server = new NameServer({
      zone: {lookup: (key, from) => this.#zone.lookup(key, from)}, forwarder: this.#forwarder, random, setTimer,
      onProblem: (address, error) => {
        if (!this.#complained.has(address)) log('warn', {address, error: String(error)}, 'names cannot be answered there yet; it is tried again');
        this.#complained.add(address);
      },
      onListening: (address) => {
        this.#complained.delete(address);
        log('info', {address}, 'names are answered');
      },
    });
  }

  /** Goes on where the process before this one was. */
  async start(): Promise<void> {
    const {file, log} = this.#options;
    const kept = file === undefined ? undefined : await readSnapshot(file);
    if (!kept) return;
    if (kept.at) {
      this.#zone = await made({node: kept.node, virtualIps: kept.virtualIps}, kept.items, kept.at.n);
      this.#point = kept.at;
    }
    this.#listenAt(kept.listen);
    log('info', {services: this.#zone.services, at: this.#point}, 'names as they were known last');
  }

  /** One part after the other. @throws SyntaxError, TypeError where `items` are none */
  apply(part: NamesPart): Promise<NamesPoint> {
    const done = this.#before.then(() => this.#take(part));
    this.#before = done.catch(() => undefined);
    return done;
  }

  async #take(part: NamesPart): Promise<NamesPoint> {
    const {epoch, from, n, whole, more, node, virtualIps} = part;
    const items = read(part);
    if (!whole && epoch === this.#point.epoch && from === this.#point.n) {
      if (items.length > 0) this.#zone.apply(items, false, n);
      this.#point = {epoch, n};
    }
    if (whole) {
      // One that does not follow on the part before is of a whole that was given up.
      if (part.part === 0) this.#next = {zone: new Zone({node, virtualIps}), parts: 0};
      else if (this.#next?.parts !== part.part) this.#next = undefined;
      if (this.#next) {
        this.#next.zone.apply(items, false, n);
        this.#next.parts += 1;
      }
      if (!more && this.#next) {
        this.#zone = this.#next.zone;
        this.#next = undefined;
        this.#point = {epoch, n};
      }
    } else if (this.#zone.options.node !== node || this.#zone.options.virtualIps !== virtualIps) {
      this.#zone = await made({node, virtualIps}, [...this.#zone.items()], this.#zone.serial);
    }
    if (!this.#closed) this.#listenAt(part.listen);
    return this.#point;
  }

  vitals(): NamesVitals {
    const there = new Set(this.#server.listening);
    return {counters: {...this.#server.counters}, listening: Object.fromEntries(this.#listen.map((address) => [address, there.has(address)])), services: this.#zone.services, cached: this.#forwarder.cached};
  }

  close(): void {
    this.#closed = true;
    this.#server.close();
    this.#forwarder.close();
  }

  #listenAt(listen: readonly string[]): void {
    if (listen.join() === this.#listen.join()) return;
    this.#listen = listen;
    this.#server.listen(listen.flatMap((text): readonly ListenAddress[] => {
      const parsed = parseAddress(text);
      if (!parsed) this.#options.log('warn', {address: text}, 'that is no address to listen at');
      return parsed ? [{address: parsed.host, port: parsed.port}] : [];
    }));
  }
}

const read = ({items}: NamesPart) => readItems(Buffer.from(items.buffer, items.byteOffset, items.byteLength).toString('utf8'));

/** Some at a time: others have their turn in between. */
async function made(options: ZoneOptions, items: readonly NameItem[], serial: number): Promise<Zone> {
  const zone = new Zone(options);
  for (let at = 0; at < items.length; at += AT_ONCE) {
    zone.apply(items.slice(at, at + AT_ONCE), false, serial);
    await turn();
  }
  return zone;
}
