/**
 * The bus inside one process. It serialises and delivers asynchronously, as a network would, so that nothing works
 * in-process that would not on NATS. Every part of the process connects to one hub with a bus of its own.
 */
import {randomUUID} from 'node:crypto';
import {createBus, type BusLogger} from '../client.ts';
import {busErrors} from '../errors.ts';
import {hasWildcard, matches} from '../pattern.ts';
import type {Bus} from '../bus.ts';
import type {Carrier, Delivery, Envelope, Headers, Transport} from '../transport.ts';

interface Subscriber {
  readonly pattern: string;
  readonly queue: string | undefined;
  readonly onDelivery: (delivery: Delivery) => void;
  /** When it last got a message of its queue group, in messages. */
  turn: number;
}

/** Deliveries made in one go before timers and sockets get their turn. */
const BURST = 256;

/** The common point that embedded buses connect to. */
export class EmbeddedHub {
  readonly #exact = new Map<string, Set<Subscriber>>();
  readonly #wild = new Set<Subscriber>();
  readonly #addresses = new Map<string, (frame: Uint8Array) => void>();
  #turn = 0;
  #tasks: (() => void)[] = [];
  #scheduled = false;
  #burst = 0;

  /** Run soon, in order, never on the caller's stack. Microtasks, for latency; now and then the event loop, for fairness. */
  post(task: () => void): void {
    this.#tasks.push(task);
    if (this.#scheduled) return;
    this.#scheduled = true;
    if (this.#burst < BURST) queueMicrotask(this.#drain);
    else setImmediate(this.#drain);
    if (this.#burst === 0) setImmediate(() => (this.#burst = 0));
  }

  readonly #drain = (): void => {
    const tasks = this.#tasks;
    this.#tasks = [];
    this.#scheduled = false;
    this.#burst += tasks.length;
    for (const task of tasks) task();
  };

  add(subscriber: Subscriber): void {
    if (hasWildcard(subscriber.pattern)) {
      this.#wild.add(subscriber);
      return;
    }
    const known = this.#exact.get(subscriber.pattern);
    if (known) known.add(subscriber);
    else this.#exact.set(subscriber.pattern, new Set([subscriber]));
  }

  /** What was routed to it before is still delivered; resolves after that. */
  remove(subscriber: Subscriber): Promise<void> {
    this.#wild.delete(subscriber);
    const known = this.#exact.get(subscriber.pattern);
    known?.delete(subscriber);
    if (known?.size === 0) this.#exact.delete(subscriber.pattern);
    return new Promise((resolve) => this.post(resolve));
  }

  /** Hands the message to every plain subscriber and to one member of each queue group; says how many that are. */
  route(delivery: Delivery): number {
    const targets: Subscriber[] = [];
    const groups = new Map<string, Subscriber[]>();
    const sort = (subscriber: Subscriber): void => {
      if (subscriber.queue === undefined) targets.push(subscriber);
      else groups.set(subscriber.queue, [...(groups.get(subscriber.queue) ?? []), subscriber]);
    };
    this.#exact.get(delivery.subject)?.forEach(sort);
    for (const subscriber of this.#wild) if (matches(subscriber.pattern, delivery.subject)) sort(subscriber);
    for (const members of groups.values()) {
      const member = members.reduce((longest, other) => (other.turn < longest.turn ? other : longest));
      member.turn = ++this.#turn;
      targets.push(member);
    }
    for (const target of targets) this.post(() => target.onDelivery(delivery));
    return targets.length;
  }

  bind(onFrame: (frame: Uint8Array) => void): {address: string; unbind(): void} {
    const address = randomUUID();
    this.#addresses.set(address, onFrame);
    return {address, unbind: () => void this.#addresses.delete(address)};
  }

  sendFrame(address: string, frame: Uint8Array): void {
    this.post(() => this.#addresses.get(address)?.(frame));
  }
}

class EmbeddedTransport implements Transport {
  readonly #hub: EmbeddedHub;
  readonly #subscribers = new Set<Subscriber>();
  readonly #pending = new Set<(error: Error) => void>();
  #closed = false;

  constructor(hub: EmbeddedHub) {
    this.#hub = hub;
  }

  publish(message: Envelope): void {
    if (this.#closed) throw busErrors.closed('The bus was closed.');
    this.#hub.route(message);
  }

  async subscribe(pattern: string, queue: string | undefined, onDelivery: (delivery: Delivery) => void): Promise<() => Promise<void>> {
    const subscriber: Subscriber = {pattern, queue, onDelivery, turn: 0};
    this.#subscribers.add(subscriber);
    this.#hub.add(subscriber);
    return async () => {
      this.#subscribers.delete(subscriber);
      await this.#hub.remove(subscriber);
    };
  }

  request(message: Envelope, timeoutMs: number, signal: AbortSignal | undefined): Promise<{body: string; headers: Headers}> {
    return new Promise((resolve, reject) => {
      const settle = (finish: () => void): void => {
        if (!this.#pending.delete(fail)) return;
        clearTimeout(timer);
        signal?.removeEventListener('abort', onAbort);
        finish();
      };
      const fail = (error: Error): void => settle(() => reject(error));
      const onAbort = (): void => fail(busErrors.cancelled(`The request to ${message.subject} was cancelled.`, {cause: signal?.reason}));
      const timer = setTimeout(() => fail(busErrors.timeout(`${message.subject} did not answer within ${timeoutMs} ms.`)), timeoutMs);
      this.#pending.add(fail);
      signal?.addEventListener('abort', onAbort, {once: true});
      const reply = (body: string, headers: Headers): void => this.#hub.post(() => settle(() => resolve({body, headers})));
      if (this.#hub.route({...message, reply}) === 0) {
        this.#hub.post(() => fail(busErrors['no-responders'](`Nobody serves ${message.subject} now.`)));
      }
    });
  }

  async carrier(): Promise<Carrier> {
    return {
      bind: (onFrame) => this.#hub.bind(onFrame),
      send: (address, frame) => this.#hub.sendFrame(address, frame),
      keepAliveMs: undefined,
    };
  }

  onStatus(): () => void {
    return () => undefined;
  }

  async close(): Promise<void> {
    this.#closed = true;
    await Promise.all([...this.#subscribers].map((subscriber) => this.#hub.remove(subscriber)));
    for (const fail of [...this.#pending]) fail(busErrors.closed('The bus was closed.'));
  }
}

export interface EmbeddedBusOptions {
  readonly logger?: BusLogger;
  /** Buses on one hub hear each other; default: a hub of its own. */
  readonly hub?: EmbeddedHub;
}

export function createEmbeddedBus(options: EmbeddedBusOptions = {}): Bus {
  return createBus(new EmbeddedTransport(options.hub ?? new EmbeddedHub()), options.logger);
}
