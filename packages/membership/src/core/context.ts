/** What the parts of one protocol share. */
import type {Broadcasts} from './broadcasts.ts';
import {type ProtocolConfig, retransmitLimit} from './config.ts';
import type {LocalHealth} from './health.ts';
import type {Address, PacketMessage} from './messages.ts';
import type {Effects, Packet, ProtocolEvent, StreamRequest} from './protocol.ts';
import {bytesInCompound, packetOverhead} from './size.ts';
import type {MemberTable} from './table.ts';

/** What this member says of itself. */
export interface Self {
  readonly name: string;
  readonly address: Address;
  readonly versions: readonly number[];
  incarnation: number;
  meta: Uint8Array;
  leaving: boolean;
}

export interface Context {
  readonly config: ProtocolConfig;
  readonly random: () => number;
  readonly size: (message: PacketMessage) => number;
  readonly self: Self;
  readonly table: MemberTable;
  readonly queue: Broadcasts;
  readonly health: LocalHealth;
  readonly out: Outbox;
  /** ms since this protocol began; never goes back. */
  t: number;
}

const nothing: readonly never[] = [];
const noEffects: Effects = {send: nothing, streams: nothing, events: nothing};

/** Gathers the effects of one input. */
export class Outbox {
  #send: Packet[] | undefined;
  #streams: StreamRequest[] | undefined;
  #events: ProtocolEvent[] | undefined;

  send(packet: Packet): void {
    (this.#send ??= []).push(packet);
  }

  stream(request: StreamRequest): void {
    (this.#streams ??= []).push(request);
  }

  event(event: ProtocolEvent): void {
    (this.#events ??= []).push(event);
  }

  take(): Effects {
    if (!this.#send && !this.#streams && !this.#events) return noEffects;
    const effects: Effects = {send: this.#send ?? nothing, streams: this.#streams ?? nothing, events: this.#events ?? nothing};
    this.#send = this.#streams = this.#events = undefined;
    return effects;
  }
}

/** Sends `messages`, and news in the room that they leave. */
export function sendWithNews(context: Context, to: Address, messages: PacketMessage[], counts = true): void {
  const {queue, config} = context;
  if (queue.size > 0) {
    let room = config.packetBytes - packetOverhead;
    for (const message of messages) room -= context.size(message) + bytesInCompound;
    queue.collect(messages, room, retransmitLimit(config, context.table.living + 1), counts);
  }
  if (messages.length > 0) context.out.send({to, messages});
}
