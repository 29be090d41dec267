/** The parts of the protocol put together, and its sense of time. */
import {membershipErrors} from '../errors.ts';
import {type Announcement, announcementFault, Announcements, decodeAnnouncements, encodeAnnouncement} from './announcements.ts';
import {Broadcasts} from './broadcasts.ts';
import {defaultConfig, maxMetaBytes, maxNameLength, type ProtocolConfig} from './config.ts';
import {type Context, Outbox, sendWithNews} from './context.ts';
import {Exchange} from './exchange.ts';
import {LocalHealth} from './health.ts';
import type {Address, MemberView, PacketMessage, PushPull} from './messages.ts';
import {Prober} from './prober.ts';
import type {Effects, MemberRow, Protocol, ProtocolOptions, ProtocolStatistics} from './protocol.ts';
import {Roster} from './roster.ts';
import {messageBytes} from './size.ts';
import {ALIVE, DEAD, LEFT, MemberTable, SUSPECT} from './table.ts';
import {View} from './view.ts';

/** memberlist's protocol 5: least, most, current; and the same of what applications speak. */
const protocolVersions: readonly number[] = [1, 5, 5, 0, 0, 0];

/** `member-invalid` (422) for a name or an address that no member can have; `metadata-too-large` (422). */
export function createProtocol(options: ProtocolOptions): Protocol {
  return new Machine(options);
}

class Machine implements Protocol {
  readonly #context: Context;
  readonly #view: View;
  readonly #prober: Prober;
  readonly #exchange: Exchange;
  readonly #announcements = new Announcements();
  #lastNow: number;
  /** When this member wants to be ticked, in its own time; what is later than that is a pause. */
  #wanted: number;
  #gossipAt = 0;
  #pauses = 0;

  constructor({self, config: chosen, random, now, size = messageBytes, table = new MemberTable(new Roster())}: ProtocolOptions) {
    const config: ProtocolConfig = {...defaultConfig, ...chosen};
    const {name, address, meta = new Uint8Array(0), versions = protocolVersions, incarnation = 1} = self;
    if (name.length === 0 || name.length > maxNameLength) {
      throw membershipErrors['member-invalid'](`the name "${name}" has ${name.length} characters; 1 to ${maxNameLength} are allowed`);
    }
    checkMeta(meta);
    this.#context = {
      config, random, size, table, t: 0,
      self: {name, address, versions, incarnation, meta, leaving: false},
      queue: new Broadcasts(size),
      health: new LocalHealth(config.lifeguard),
      out: new Outbox(),
    };
    this.#view = new View(this.#context);
    this.#prober = new Prober(this.#context, this.#view);
    this.#lastNow = now;
    this.#exchange = new Exchange(this.#context, this.#view);
    this.#wanted = this.#nextWanted();
  }

  get name(): string {
    return this.#context.self.name;
  }
  get address(): Address {
    return this.#context.self.address;
  }
  get incarnation(): number {
    return this.#context.self.incarnation;
  }
  get nextTick(): number {
    return this.#lastNow + (this.#wanted - this.#context.t);
  }
  get leaveSpread(): boolean {
    const {self, queue, table} = this.#context;
    return self.leaving && (!queue.has(self.name) || table.living === 0);
  }

  receive(now: number, from: Address, messages: readonly PacketMessage[]): Effects {
    const rested = this.#enter(now);
    const [only] = messages;
    if (!rested && messages.length === 1 && only?.type === 'ping') {
      // The most frequent input by far; it moves no timer.
      this.#prober.answer(only, from);
      return this.#context.out.take();
    }
    let accused = false;
    for (const message of messages) accused = this.#hear(message, from) || accused;
    // Who repeats an accusation hears the answer first, not when gossip comes round.
    if (accused && !this.#context.self.leaving) this.#context.out.send({to: from, messages: [{type: 'alive', claim: this.#view.selfClaim()}]});
    return this.#leaveWith();
  }

  receiveState(now: number, from: Address, state: PushPull): Effects {
    this.#enter(now);
    if (!this.#context.self.leaving) {
      this.#exchange.done();
      for (const view of state.members) this.#view.merge(view);
      for (const announcement of decodeAnnouncements(state.userState)) this.#learn(announcement);
    }
    return this.#leaveWith();
  }

  state(join: boolean): PushPull {
    const {table, self} = this.#context;
    const members: MemberView[] = [{...this.#view.selfClaim(), state: self.leaving ? 'left' : 'alive'}];
    for (let i = 0; i < table.size; i++) {
      const id = table.idAt(i);
      const {address, meta, versions} = table.profile(id);
      members.push({name: table.roster.name(id), address, incarnation: table.incarnation(id), meta, versions, state: table.stateName(id)});
    }
    return {type: 'push-pull', join, members, userState: this.#announcements.encode()};
  }

  fallbackAnswered(now: number, seq: number): Effects {
    this.#enter(now);
    this.#prober.acknowledged({type: 'ack', seq, payload: new Uint8Array(0)});
    return this.#leaveWith();
  }

  fallbackRefused(now: number, seq: number): Effects {
    this.#enter(now);
    this.#prober.refused(seq);
    return this.#leaveWith();
  }

  tick(now: number): Effects {
    this.#enter(now);
    this.#prober.tick();
    this.#view.expire();
    const {t, queue} = this.#context;
    if (queue.size > 0 && t >= this.#gossipAt) this.#gossip();
    this.#exchange.tick();
    return this.#leaveWith();
  }

  leave(now: number): Effects {
    this.#enter(now);
    const {self, queue} = this.#context;
    if (!self.leaving) {
      self.leaving = true;
      this.#prober.stop();
      this.#exchange.stop();
      queue.put(self.name, {type: 'dead', name: self.name, incarnation: self.incarnation, from: self.name});
      this.#gossip();
    }
    return this.#leaveWith();
  }

  setMetadata(now: number, meta: Uint8Array): Effects {
    checkMeta(meta);
    this.#enter(now);
    if (!this.#context.self.leaving) {
      this.#context.self.meta = meta;
      this.#view.assert();
    }
    return this.#leaveWith();
  }

  announce(now: number, announcement: Announcement): Effects {
    const fault = announcementFault(announcement);
    if (fault !== undefined) throw membershipErrors['announcement-invalid'](fault);
    this.#enter(now);
    this.#learn(announcement);
    return this.#leaveWith();
  }

  announcements(): readonly Announcement[] {
    return this.#announcements.all();
  }

  members(): readonly MemberRow[] {
    const {table} = this.#context;
    const rows = [this.#selfRow()];
    for (let i = 0; i < table.size; i++) rows.push(this.#inNow(this.#view.row(table.idAt(i))));
    return rows;
  }

  member(name: string): MemberRow | undefined {
    if (name === this.name) return this.#selfRow();
    const id = this.#context.table.find(name);
    return id === undefined ? undefined : this.#inNow(this.#view.row(id));
  }

  statistics(): ProtocolStatistics {
    const {table, health, self} = this.#context;
    const own = self.leaving ? 0 : 1;
    return {
      health: health.score,
      members: {alive: table.count(ALIVE) + own, suspect: table.count(SUSPECT), dead: table.count(DEAD), left: table.count(LEFT) + 1 - own},
      probes: this.#prober.started,
      probeFailures: this.#prober.failed,
      pushPulls: this.#exchange.opened,
      pauses: this.#pauses,
    };
  }

  /** Own time goes on by what the clock did, and never back. Answers whether that was a pause. */
  #enter(now: number): boolean {
    const context = this.#context;
    const passed = now - this.#lastNow;
    if (Number.isFinite(now)) this.#lastNow = now;
    if (passed > 0 && Number.isFinite(passed)) context.t += passed;
    const late = context.t - this.#wanted;
    if (late <= context.config.probeTimeout / 2 || !context.config.pauseDetection) return false;
    this.#woke(late);
    return true;
  }

  #leaveWith(): Effects {
    this.#exchange.settle();
    this.#wanted = this.#nextWanted();
    const effects = this.#context.out.take();
    if (effects.events.length === 0) return effects;
    return {...effects, events: effects.events.map((event) => ('member' in event ? {...event, member: this.#inNow(event.member)} : event))};
  }

  #nextWanted(): number {
    const {queue} = this.#context;
    const gossip = queue.size > 0 && this.#context.table.size > 0 ? this.#gossipAt : Infinity;
    // What could have been done before is wanted now: it was not asked for earlier.
    return Math.max(this.#context.t, Math.min(this.#prober.next, this.#view.nextExpiry, gossip, this.#exchange.next));
  }

  /**
   * The process stood still, and with it the clock by which it judges others. What came meanwhile lies unread in its socket; it has
   * the next `probeTimeout` to be read before anything is concluded.
   */
  #woke(ms: number): void {
    const {config, health, out} = this.#context;
    const grace = config.probeTimeout;
    this.#view.woke(ms, grace);
    this.#prober.woke(ms, grace);
    if (ms < grace) return;
    health.worsen();
    if (ms < config.probeInterval) return;
    this.#pauses++;
    out.event({type: 'paused', ms});
  }

  #hear(message: PacketMessage, from: Address): boolean {
    const {self} = this.#context;
    switch (message.type) {
      case 'ping':
        this.#prober.answer(message, from);
        return false;
      case 'indirect-ping':
        this.#prober.runErrand(message, from);
        return false;
      case 'ack':
        this.#prober.acknowledged(message);
        return false;
      case 'nack':
        this.#prober.nacked(message.seq);
        return false;
      case 'alive':
        if (!self.leaving) this.#view.alive(message.claim);
        return false;
      case 'suspect':
        if (!self.leaving) this.#view.suspect(message.name, message.incarnation, message.from);
        return message.name === self.name;
      case 'dead':
        if (!self.leaving) this.#view.dead(message.name, message.incarnation, message.from);
        return message.name === self.name;
      case 'user':
        for (const announcement of decodeAnnouncements(message.payload)) this.#learn(announcement);
        return false;
    }
  }

  #learn(announcement: Announcement): void {
    if (!this.#announcements.accept(announcement)) return;
    const {queue, out} = this.#context;
    queue.put(`\u0000${announcement.topic}`, {type: 'user', payload: encodeAnnouncement(announcement)});
    out.event({type: 'announced', announcement});
  }

  #gossip(): void {
    const {config, table, random, queue, t} = this.#context;
    this.#gossipAt = t + config.gossipInterval;
    const told = table.draw(config.gossipFanout, random, (id) => table.isLiving(id) || (table.state(id) === DEAD && t - table.since(id) <= config.gossipToDeadFor));
    for (const id of told) {
      if (queue.size === 0) break;
      // The dead are told too, in case they are not; but that is not counted as told.
      sendWithNews(this.#context, table.profile(id).address, [], table.isLiving(id));
    }
  }

  #selfRow(): MemberRow {
    const {self} = this.#context;
    return {...this.#view.selfClaim(), state: self.leaving ? 'left' : 'alive', since: this.#lastNow - this.#context.t};
  }

  /** Rows are in own time, which began with 0. */
  #inNow(row: MemberRow): MemberRow {
    return {...row, since: row.since + this.#lastNow - this.#context.t};
  }
}

function checkMeta(meta: Uint8Array): void {
  if (meta.length > maxMetaBytes) throw membershipErrors['metadata-too-large'](`the metadata has ${meta.length} bytes; at most ${maxMetaBytes} are allowed`);
}
