/**
 * Asks other resolvers for names that are not ours. What many ask at once is asked once; what was answered is kept for its time;
 * who does not answer is left alone for a while, so that nobody waits for it.
 */
import type {QueryReader} from '../core/wire.ts';
import {type Reply, writeQuery} from '../core/reply.ts';
import {ReplyCache} from '../core/reply-cache.ts';
import {Upstream, type UpstreamAddress} from './upstream.ts';

export interface ForwarderOptions {
  /** The resolvers to ask, the first one first; looked at for each question. */
  readonly upstreams: () => readonly UpstreamAddress[];
  /** Monotonic ms. */
  readonly now: () => number;
  readonly setTimer: (callback: () => void, ms: number) => () => void;
  /** Bytes that are kept at most; default 8 MiB. */
  readonly cacheBytes?: number;
}

/** ms for one to answer. Three of them are less than the 5 s after which those who ask give up. */
const ANSWER_WITHIN_MS = 1_200;
const MOST_TRIES = 3;
/** Who did not answer so often in a row is left alone for `REST_MS`, but for one question a second. */
const SILENT_AFTER = 3;
const REST_MS = 10_000;
const TRY_EVERY_MS = 1_000;
/** Different questions under way at most. */
const MOST_UNDER_WAY = 512;
const CACHE_BYTES = 8 * 1024 * 1024;

interface Known {
  readonly upstream: Upstream;
  silences: number;
  restsUntil: number;
  triedAt: number;
}

export class Forwarder {
  readonly #options: ForwarderOptions;
  readonly #cache: ReplyCache;
  readonly #known = new Map<string, Known>();
  readonly #underWay = new Map<string, Promise<Reply | undefined>>();

  constructor(options: ForwarderOptions) {
    this.#options = options;
    this.#cache = new ReplyCache(options.cacheBytes ?? CACHE_BYTES);
  }

  get cached(): number {
    return this.#cache.size;
  }

  /** What is kept, with its age in seconds. */
  find(query: QueryReader): {readonly reply: Reply; readonly age: number} | undefined {
    return this.#cache.get(keyOf(query), this.#options.now());
  }

  /** undefined: nobody answers. `packet` is the query's. */
  async ask(query: QueryReader, packet: Buffer, overTcp: boolean): Promise<Reply | undefined> {
    const key = keyOf(query);
    const asked = `${overTcp ? 't' : 'u'}${key}`;
    const underWay = this.#underWay.get(asked);
    if (underWay) return underWay;
    if (this.#underWay.size >= MOST_UNDER_WAY) return undefined;
    // The reader reads the next query meanwhile.
    const {questionEnd, flags, dnssec} = query;
    const own = {questionEnd, flags, dnssec};
    const answer = this.#askOneByOne((id) => writeQuery(own, packet, id), overTcp).then((reply) => {
      if (reply) this.#cache.set(key, reply, this.#options.now());
      return reply;
    }).finally(() => this.#underWay.delete(asked));
    this.#underWay.set(asked, answer);
    return answer;
  }

  close(): void {
    for (const {upstream} of this.#known.values()) upstream.close();
    this.#known.clear();
  }

  async #askOneByOne(write: (id: number) => Buffer, overTcp: boolean): Promise<Reply | undefined> {
    let refusal: Reply | undefined;
    for (const known of this.#choose()) {
      known.triedAt = this.#options.now();
      const reply = await known.upstream.ask(write, overTcp);
      if (!reply) {
        known.silences += 1;
        if (known.silences >= SILENT_AFTER) known.restsUntil = this.#options.now() + REST_MS;
        continue;
      }
      known.silences = 0;
      known.restsUntil = 0;
      // No such name is an answer; that it cannot or will not say may be otherwise with the next one.
      if (reply.rcode === 0 || reply.rcode === 3) return reply;
      refusal ??= reply;
    }
    return refusal;
  }

  /** Those that answer, in their order; one that rests now and then. */
  #choose(): readonly Known[] {
    const now = this.#options.now();
    const wanted = this.#options.upstreams();
    const names = new Set(wanted.map(nameOf));
    for (const [name, {upstream}] of this.#known) {
      if (names.has(name)) continue;
      upstream.close();
      this.#known.delete(name);
    }
    const all = wanted.map((address) => {
      const name = nameOf(address);
      let known = this.#known.get(name);
      if (!known) this.#known.set(name, (known = {upstream: new Upstream(address, {timeoutMs: ANSWER_WITHIN_MS, setTimer: this.#options.setTimer}), silences: 0, restsUntil: 0, triedAt: 0}));
      return known;
    });
    return all.filter(({restsUntil, triedAt}) => restsUntil <= now || now - triedAt >= TRY_EVERY_MS).slice(0, MOST_TRIES);
  }
}

const nameOf = ({address, port}: UpstreamAddress): string => `${address} ${port}`;

/** Whether signatures are wanted, and bad ones as well, makes it another question. */
function keyOf({key, dnssec, checkingDisabled}: QueryReader): string {
  return `${dnssec ? 'd' : ''}${checkingDisabled ? 'c' : ''}:${key}`;
}
