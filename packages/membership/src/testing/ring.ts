/**
 * A ring of protocol cores on a network in memory: seeded, so that every run can be had again; with latency, loss, doubling,
 * reordering, cut links, and members that stand still while what is sent to them piles up in their sockets.
 */
import type {ProtocolConfig} from '../core/config.ts';
import type {Address, MemberClaim, PacketMessage} from '../core/messages.ts';
import {createProtocol, type Effects, type Protocol, type ProtocolEvent, type StreamRequest} from '../core/protocol.ts';
import {Roster} from '../core/roster.ts';
import {packetBytes, pushPullBytes} from '../core/size.ts';
import {MemberTable} from '../core/table.ts';
import {Datagram, Endpoint, Errand, type Host, HostState} from './host.ts';
import {seeded} from './random.ts';
import {grain, Wheel} from './wheel.ts';

export type {Host} from './host.ts';

export interface NetworkConditions {
  /** One way, in ms; drawn evenly, which also reorders. */
  readonly latency: readonly [number, number];
  /** Share of datagrams that vanish. */
  readonly loss: number;
  /** Share of datagrams that arrive twice. */
  readonly duplication: number;
  /** Datagrams that fit a socket nobody reads; more are dropped. */
  readonly socketQueue: number;
}

export interface RingOptions {
  readonly seed: number;
  readonly members: number;
  readonly config?: Partial<ProtocolConfig>;
  readonly network?: Partial<NetworkConditions>;
  /** Everybody knows everybody from the start; otherwise they join by the first. Default true. */
  readonly acquainted?: boolean;
  readonly meta?: Uint8Array;
  /** Counts bytes, at some cost. */
  readonly measureBytes?: boolean;
  /** Hears every datagram as it is sent. */
  readonly tap?: (from: number, to: number, messages: readonly PacketMessage[]) => void;
  readonly onEvent?: (observer: Host, event: ProtocolEvent, now: number) => void;
}

const calm: NetworkConditions = {latency: [0.25, 1], loss: 0, duplication: 0, socketQueue: 256};

export class SimulatedRing {
  readonly seed: number;
  readonly random: () => number;
  readonly #options: RingOptions;
  network: NetworkConditions;
  /** Whether a datagram or stream gets from one to the other; undefined: always. */
  reaches: ((from: Host, to: Host) => boolean) | undefined;
  readonly #hosts: HostState[] = [];
  readonly #wheel = new Wheel<HostState | Datagram | Errand>();
  readonly #roster = new Roster();
  /** Sent by all, since the beginning. */
  readonly sent = {packets: 0, bytes: 0, streamBytes: 0, streams: 0};

  constructor(options: RingOptions) {
    this.seed = options.seed;
    this.random = seeded(options.seed);
    this.#options = options;
    this.network = {...calm, ...options.network};
    this.#populate(options.members, options.acquainted ?? true);
  }

  get now(): number {
    return this.#wheel.now;
  }

  get hosts(): readonly Host[] {
    return this.#hosts;
  }

  host(index: number): Host {
    return this.#host(index);
  }

  /** Goes on by so many ms. */
  run(ms: number): void {
    this.#runTo(Math.round((this.now + ms) / grain));
  }

  /** Goes on until it is so, looked at every `step` ms; answers the ms it took, undefined when `limit` ms were not enough. */
  runUntil(condition: () => boolean, limit: number, step = 10): number | undefined {
    const start = this.now;
    while (!condition()) {
      if (this.now - start >= limit) return undefined;
      this.run(step);
    }
    return this.now - start;
  }

  /** In `ms` from now. */
  after(ms: number, run: () => void): void {
    this.#wheel.add(this.#slotAt(this.now + ms), new Errand(undefined, run));
  }

  /** Ends the process without a word; its machine refuses connections then, unless it is gone too. */
  kill(index: number, what: 'process' | 'machine' = 'machine'): void {
    const host = this.#host(index);
    host.up = false;
    host.refuses = what === 'process';
    host.inbox.length = 0;
    host.datagrams = 0;
  }

  /** A new process of the same name, at the same address unless another is given; it joins by `seeds`. */
  restart(index: number, seeds: readonly number[] = [], options: {readonly incarnation?: number} = {}): void {
    const host = this.#host(index);
    this.kill(index);
    host.skew = 0;
    host.core = this.#createCore(host.name, host.address, undefined, options.incarnation);
    host.up = true;
    host.paused = false;
    host.tickSlot = Infinity;
    host.wanted = host.core.nextTick - host.skew;
    this.#schedule(host);
    for (const seed of seeds) this.join(index, seed);
  }

  /** One more host; `name` may be one that is taken. */
  add(name?: string): Host {
    const index = this.#hosts.length;
    const address = new Endpoint(index);
    const chosen = name ?? nameOf(index);
    const host = new HostState(index, chosen, this.#createCore(chosen, address), address);
    this.#hosts.push(host);
    this.#schedule(host);
    return host;
  }

  join(index: number, seed: number): void {
    this.#openStream(this.#host(index), {kind: 'push-pull', to: this.#host(seed).address}, true);
  }

  /** It stands still for so long; its socket keeps what it has room for. */
  pause(index: number, ms: number): void {
    const host = this.#host(index);
    if (!host.up || host.paused) return;
    host.paused = true;
    host.pausedUntil = this.now + ms;
    this.after(ms, () => this.#resume(host));
  }

  /** Sets its clock forward, or back. */
  jumpClock(index: number, ms: number): void {
    const host = this.#host(index);
    host.skew += ms;
    host.wanted -= ms;
    host.tickSlot = Infinity;
    this.#schedule(host);
  }

  /** What the host's own program does with its core. */
  act(index: number, run: (core: Protocol, now: number) => Effects): void {
    const host = this.#host(index);
    this.#apply(host, run(host.core, this.#clock(host)));
  }

  /** A datagram as if `from` had sent it. */
  inject(from: number, to: number, messages: readonly PacketMessage[]): void {
    this.#wheel.add(this.#wheel.slot, new Datagram(this.#host(to), this.#host(from).address, messages));
  }

  #clock(host: HostState): number {
    return this.now + host.skew;
  }

  #host(index: number): HostState {
    const host = this.#hosts[index];
    if (!host) throw new Error(`there is no host ${index}`);
    return host;
  }

  #populate(count: number, acquainted: boolean): void {
    const addresses = Array.from({length: count}, (_, i) => new Endpoint(i));
    const everybody = new MemberTable(this.#roster);
    if (acquainted) for (const address of addresses) everybody.add(claimOf(nameOf(address.index), address, this.#options.meta), 0);
    for (const address of addresses) {
      const table = acquainted ? everybody.copyFor(address.index) : undefined;
      const core = this.#createCore(nameOf(address.index), address, table);
      const host = new HostState(address.index, nameOf(address.index), core, address);
      this.#hosts.push(host);
      this.#schedule(host);
    }
    if (!acquainted) for (let i = 1; i < count; i++) this.after(this.random() * 1000, () => this.join(i, 0));
  }

  #createCore(name: string, address: Endpoint, table = new MemberTable(this.#roster), incarnation = 1): Protocol {
    const {config, meta = new Uint8Array(0)} = this.#options;
    return createProtocol({self: {name, address, meta, versions, incarnation}, ...(config ? {config} : {}), random: this.random, now: this.now, table});
  }

  #slotAt(time: number): number {
    return Math.ceil(time / grain);
  }

  #runTo(last: number): void {
    for (;;) {
      const item = this.#wheel.next(last);
      if (item === undefined) return;
      if (item instanceof HostState) this.#tick(item);
      else if (item instanceof Datagram) this.#arrive(item);
      else if (!item.to) item.run();
      else if (item.to.paused) item.to.inbox.push(item);
      else if (item.to.up) item.run();
    }
  }

  #tick(host: HostState): void {
    if (host.tickSlot !== this.#wheel.slot || host.paused || !host.up) return;
    host.tickSlot = Infinity;
    if (host.wanted > this.now) return this.#schedule(host);
    this.#apply(host, host.core.tick(this.#clock(host)));
  }

  /** An earlier wake-up that is in the wheel already serves: it finds out that it is too early. */
  #schedule(host: HostState): void {
    const slot = Math.max(this.#wheel.slot, this.#slotAt(host.wanted));
    if (slot >= host.tickSlot || slot === Infinity) return;
    host.tickSlot = slot;
    this.#wheel.add(slot, host);
  }

  #arrive(datagram: Datagram): void {
    const host = datagram.to;
    if (!host.up) return;
    if (host.paused) {
      if (host.datagrams >= this.network.socketQueue) return;
      host.datagrams++;
      host.inbox.push(datagram);
      return;
    }
    this.#apply(host, host.core.receive(this.#clock(host), datagram.from, datagram.messages));
  }

  /** Timers come first, as in Node's event loop, then what piled up. */
  #resume(host: HostState): void {
    if (!host.up || !host.paused) return;
    host.paused = false;
    const piled = host.inbox.splice(0);
    host.datagrams = 0;
    if (host.wanted <= this.now) this.#apply(host, host.core.tick(this.#clock(host)));
    for (const item of piled) {
      if (item instanceof Datagram) this.#arrive(item);
      else item.run();
    }
    host.tickSlot = Infinity;
    this.#schedule(host);
  }

  #apply(host: HostState, effects: Effects): void {
    for (const {to, messages} of effects.send) this.#send(host, to, messages);
    for (const stream of effects.streams) this.#openStream(host, stream, false);
    const {onEvent} = this.#options;
    if (onEvent) for (const event of effects.events) onEvent(host, event, this.now);
    host.wanted = host.core.nextTick - host.skew;
    this.#schedule(host);
  }

  #send(host: HostState, address: Address, messages: readonly PacketMessage[]): void {
    const {loss, duplication} = this.network;
    this.sent.packets++;
    if (this.#options.measureBytes) this.sent.bytes += packetBytes(messages);
    const to = this.#at(address);
    if (!to || (this.reaches && !this.reaches(host, to)) || (loss > 0 && this.random() < loss)) return;
    this.#options.tap?.(host.index, to.index, messages);
    const datagram = new Datagram(to, host.address, messages);
    this.#wheel.add(this.#slotAt(this.now + this.#latency()), datagram);
    if (duplication > 0 && this.random() < duplication) this.#wheel.add(this.#slotAt(this.now + this.#latency()), datagram);
  }

  #latency(): number {
    const [least, most] = this.network.latency;
    return least + this.random() * (most - least);
  }

  #at(address: Address): HostState | undefined {
    if (address instanceof Endpoint) return this.#hosts[address.index];
    return this.#hosts.find((host) => host.address.host === address.host && host.address.port === address.port);
  }

  /** A TCP connection takes a round trip before it carries anything. */
  #openStream(host: HostState, request: StreamRequest, join: boolean): void {
    const to = this.#at(request.to);
    this.sent.streams++;
    if (!to || (this.reaches && !(this.reaches(host, to) && this.reaches(to, host)))) return;
    const {core} = host;
    const later = (ms: number, at: HostState, run: () => void): void => this.#wheel.add(this.#slotAt(this.now + ms), new Errand(at, run));
    const back = (run: () => void): void => later(this.#latency(), host, () => host.core === core && run());
    if (request.kind === 'fallback-ping') {
      if (!to.up && to.refuses) return back(() => this.#apply(host, core.fallbackRefused(this.#clock(host), request.seq)));
      later(3 * this.#latency(), to, () => {
        if (to.name === request.target) back(() => this.#apply(host, core.fallbackAnswered(this.#clock(host), request.seq)));
      });
      return;
    }
    const ours = core.state(join);
    later(3 * this.#latency(), to, () => {
      const theirs = to.core.state(false);
      if (this.#options.measureBytes) this.sent.streamBytes += pushPullBytes(ours) + pushPullBytes(theirs);
      this.#apply(to, to.core.receiveState(this.#clock(to), host.address, ours));
      back(() => this.#apply(host, core.receiveState(this.#clock(host), to.address, theirs)));
    });
  }
}

const versions: readonly number[] = [1, 5, 5, 0, 0, 0];
const noMeta: Uint8Array = new Uint8Array(0);

export function nameOf(index: number): string {
  return `machine-${index}`;
}

function claimOf(name: string, address: Address, meta = noMeta): MemberClaim {
  return {name, address, incarnation: 1, meta, versions};
}
