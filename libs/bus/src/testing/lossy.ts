/**
 * A bus that behaves as badly as a bus may: published messages are dropped, doubled and delayed (so they also overtake
 * each other), and requests fail by timeout before or after they were served. Managers are tested under it (law 5).
 * Streams are left alone: what they lose is an error by contract, never a gap.
 */
import {setTimeout as sleep} from 'node:timers/promises';
import {busErrors} from '../errors.ts';
import type {Bus, RequestOptions} from '../bus.ts';

export interface LossyOptions {
  /** The same seed and the same calls misbehave in the same way. */
  readonly seed: number;
  /** Probabilities in [0, 1]; defaults 0.2, 0.2, 0.3. */
  readonly drop?: number;
  readonly double?: number;
  readonly delay?: number;
  /** The longest delay in ms; default 20. */
  readonly maxDelayMs?: number;
  /** Probability that a request times out, half of those after it was served; default 0. They time out at once, so that tests are quick. */
  readonly requestTimeout?: number;
}

export interface LossyBus extends Bus {
  /** From here on nothing is lost: what remains to be shown is that the cluster converges. */
  heal(): void;
  /** What was done so far. */
  readonly losses: {readonly dropped: number; readonly doubled: number; readonly delayed: number; readonly timedOut: number};
}

/** Wraps `bus`; closing the wrapper closes it. */
export function lossy(bus: Bus, options: LossyOptions): LossyBus {
  const {drop = 0.2, double = 0.2, delay = 0.3, maxDelayMs = 20, requestTimeout = 0} = options;
  const random = seededRandom(options.seed);
  const losses = {dropped: 0, doubled: 0, delayed: 0, timedOut: 0};
  const late = new AbortController();
  let healed = false;

  const count = (what: keyof typeof losses, happens: boolean): boolean => {
    if (happens) losses[what]++;
    return happens;
  };
  const publishLate = async (publish: () => Promise<void>, delayMs: number): Promise<void> => {
    try {
      await sleep(delayMs, undefined, {signal: late.signal, ref: false});
      await publish();
    } catch {
      // The bus was closed meanwhile: one more message lost.
    }
  };

  return {
    losses,
    heal: () => {
      healed = true;
    },
    async publish(subject, data, headers) {
      // As many draws for every message, so that one decision does not shift the others.
      const [dropping, doubling, delaying, delayMs] = [random() < drop, random() < double, random() < delay, random() * maxDelayMs];
      // Its value now: the caller may change it before a late copy leaves.
      const copy: unknown = JSON.parse(JSON.stringify(data) ?? 'null');
      const publish = (): Promise<void> => bus.publish(subject, copy, headers);
      if (healed) return publish();
      if (count('dropped', dropping)) return;
      if (count('doubled', doubling)) void publishLate(publish, delayMs);
      if (count('delayed', delaying)) void publishLate(publish, delayMs);
      else await publish();
    },
    async request(subject: string, data: unknown, requestOptions?: RequestOptions) {
      const [fails, served] = [random() < requestTimeout, random() < 0.5];
      if (healed || !count('timedOut', fails)) return bus.request(subject, data, requestOptions);
      if (served) await bus.request(subject, data, requestOptions);
      throw busErrors.timeout(`${subject} did not answer: its ${served ? 'answer' : 'request'} was lost.`);
    },
    subscribe: (pattern, handler, subscribeOptions) => bus.subscribe(pattern, handler, subscribeOptions),
    respond: (pattern, handler, subscribeOptions) => bus.respond(pattern, handler, subscribeOptions),
    openStream: (subject, params, requestOptions) => bus.openStream(subject, params, requestOptions),
    serveStreams: (pattern, handler, subscribeOptions) => bus.serveStreams(pattern, handler, subscribeOptions),
    onStatus: (listener) => bus.onStatus(listener),
    close: () => {
      late.abort();
      return bus.close();
    },
  };
}

/** mulberry32: small, seeded, good enough to misbehave by. */
function seededRandom(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}
