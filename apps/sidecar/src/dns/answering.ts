/** The names of this machine, answered: from the file at first, then from what the agent tells. */
import {Forwarder, type ListenAddress, machineResolvers, NameServer, readItems, readSnapshot, Zone} from '@hivemind/discovery/names';
import {parseAddress} from '../address.ts';
import type {NamesPart, NamesPoint, NamesThreadSettings, NamesVitals} from './thread.ts';

export interface AnsweringOptions extends NamesThreadSettings {
  readonly log: (level: 'info' | 'warn', fields: Readonly<Record<string, unknown>>, text: string) => void;
  /** Monotonic ms. */
  readonly now: () => number;
  readonly random: () => number;
  readonly setTimer: (callback: () => void, ms: number) => () => void;
}

const NOTHING: NamesPoint = {epoch: '', n: 0};

export class Answering {
  readonly #options: AnsweringOptions;
  readonly #zone = new Zone({node: '', virtualIps: false});
  readonly #forwarder: Forwarder;
  readonly #server: NameServer;
  /** Those that were told to be out of order already. */
  readonly #complained = new Set<string>();
  #settings = '';
  #listen: readonly string[] = [];
  #point: NamesPoint = NOTHING;
  /** Of a whole that is being brought. */
  #parts: NamesPart[] = [];

  constructor(options: AnsweringOptions) {
    const {now, random, setTimer, log} = options;
    this.#options = options;
    const own = (): ReadonlySet<string> => new Set(this.#listen.flatMap((text) => parseAddress(text)?.host ?? []));
    this.#forwarder = new Forwarder({upstreams: machineResolvers({own, now}), now, setTimer});
    this.#server = new NameServer({
      zone: this.#zone, forwarder: this.#forwarder, random, setTimer,
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
    // Told meanwhile: that is newer.
    if (!kept || this.#settings !== '') return;
    if (kept.at) {
      this.#zone.apply(kept.items, true, kept.at.n);
      this.#point = kept.at;
    }
    this.#configure(kept);
    log('info', {services: this.#zone.services, at: this.#point}, 'names as they were known last');
  }

  /** @throws SyntaxError, TypeError where `items` are none */
  apply(part: NamesPart): NamesPoint {
    const {epoch, from, n, whole, more} = part;
    const items = whole ? [] : read(part);
    if (!whole && epoch === this.#point.epoch && from === this.#point.n) {
      if (items.length > 0) this.#zone.apply(items, false, n);
      this.#point = {epoch, n};
    }
    if (whole) {
      // One that does not follow on the part before is of a whole that was given up.
      if (part.part === 0 || this.#parts.length !== part.part) this.#parts = [];
      if (this.#parts.length === part.part) this.#parts.push(part);
      if (!more && this.#parts.length === part.part + 1) {
        this.#zone.apply(this.#parts.flatMap(read), true, n);
        this.#parts = [];
        this.#point = {epoch, n};
      }
    }
    this.#configure(part);
    return this.#point;
  }

  vitals(): NamesVitals {
    const there = new Set(this.#server.listening);
    return {counters: {...this.#server.counters}, listening: Object.fromEntries(this.#listen.map((address) => [address, there.has(address)])), services: this.#zone.services, cached: this.#forwarder.cached};
  }

  close(): void {
    this.#server.close();
    this.#forwarder.close();
  }

  #configure({node, listen, virtualIps}: Pick<NamesPart, 'node' | 'listen' | 'virtualIps'>): void {
    const settings = JSON.stringify([node, listen, virtualIps]);
    if (settings === this.#settings) return;
    this.#settings = settings;
    this.#zone.configure({node, virtualIps});
    this.#listen = listen;
    this.#server.listen(listen.flatMap((text): readonly ListenAddress[] => {
      const parsed = parseAddress(text);
      if (!parsed) this.#options.log('warn', {address: text}, 'that is no address to listen at');
      return parsed ? [{address: parsed.host, port: parsed.port}] : [];
    }));
  }
}

const read = ({items}: NamesPart) => readItems(Buffer.from(items.buffer, items.byteOffset, items.byteLength).toString('utf8'));
