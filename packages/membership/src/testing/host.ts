/** The machines of a simulated ring, and what is on its way to them. */
import type {Address, PacketMessage} from '../core/messages.ts';
import type {Protocol} from '../core/protocol.ts';

/** An address that knows whose it is. */
export class Endpoint implements Address {
  readonly host: string;
  readonly port = 7946;
  readonly index: number;

  constructor(index: number) {
    this.index = index;
    this.host = `10.${(index >> 16) & 255}.${(index >> 8) & 255}.${index & 255}`;
  }
}

/** A machine of the ring. */
export interface Host {
  readonly index: number;
  readonly address: Address;
  readonly name: string;
  readonly core: Protocol;
  /** It runs; also while it is paused. */
  readonly up: boolean;
  readonly paused: boolean;
  /** When it last stood still, or its last pause ended; -Infinity: never. */
  readonly pausedUntil: number;
}

export class HostState implements Host {
  readonly index: number;
  readonly address: Endpoint;
  readonly name: string;
  core: Protocol;
  up = true;
  refuses = false;
  paused = false;
  pausedUntil = -Infinity;
  /** The slot at which it is ticked next. */
  tickSlot = Infinity;
  /** When its core wants that. */
  wanted: number;
  datagrams = 0;
  /** What its clock shows more than the ring's. */
  skew = 0;
  readonly inbox: (Datagram | Errand)[] = [];

  constructor(index: number, name: string, core: Protocol, address: Endpoint) {
    this.index = index;
    this.name = name;
    this.core = core;
    this.address = address;
    this.wanted = core.nextTick;
  }
}

export class Datagram {
  readonly to: HostState;
  readonly from: Address;
  readonly messages: readonly PacketMessage[];

  constructor(to: HostState, from: Address, messages: readonly PacketMessage[]) {
    this.to = to;
    this.from = from;
    this.messages = messages;
  }
}

/** Anything else that happens, to a host or to nobody. */
export class Errand {
  readonly to: HostState | undefined;
  readonly run: () => void;

  constructor(to: HostState | undefined, run: () => void) {
    this.to = to;
    this.run = run;
  }
}
