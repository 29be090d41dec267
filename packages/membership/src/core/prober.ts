/**
 * Asking whether others live: a ping, then pings by helpers and one over TCP, then a suspicion; and the same asked by others.
 *
 *   ping ──ack──────────────────────────────► alive
 *     └─ probeTimeout ─► helpers + TCP ──ack─► alive
 *                              └─ indirectTimeout ─► suspect, told to the suspect, the helpers, and by gossip
 *
 * All times are multiplied by the local health's factor.
 */
import {type Context, sendWithNews} from './context.ts';
import type {Ack, Address, IndirectPing, PacketMessage, Ping} from './messages.ts';
import {ALIVE, DEAD, LEFT} from './table.ts';
import type {View} from './view.ts';

interface Probe {
  readonly id: number;
  readonly seq: number;
  readonly sentAt: number;
  /** When this stage is over. */
  deadline: number;
  /** ms by which it may still be put off for this member's own lateness. */
  patience: number;
  /** Asked only whether it is back: its silence means nothing. */
  readonly idle: boolean;
  /** Undefined: the direct stage. */
  helpers: readonly number[] | undefined;
  nacks: number;
}

/** A ping that another asked for. */
interface Errand {
  readonly seq: number;
  readonly asker: Address;
  readonly askerSeq: number;
  readonly target: string;
  nackAt: number;
  readonly until: number;
}

/** Errands in hand; more are refused. */
const maxErrands = 256;
/** Members asked out of turn at once, and the ms until the next. */
const doubtsPerTick = 16;
const doubtsEvery = 20;
const noBytes = new Uint8Array(0);

export class Prober {
  readonly #context: Context;
  readonly #view: View;
  #probes: Probe[] = [];
  #errands: Errand[] = [];
  #seq: number;
  #nextProbe: number;
  #nextRevival: number;
  #nextDoubts = 0;
  started = 0;
  failed = 0;

  constructor(context: Context, view: View) {
    const {config, random} = context;
    this.#context = context;
    this.#view = view;
    this.#seq = Math.floor(random() * 0x10000);
    this.#nextProbe = random() * config.probeInterval;
    this.#nextRevival = config.reviveInterval > 0 ? random() * config.reviveInterval : Infinity;
  }

  get next(): number {
    let next = Math.min(this.#nextProbe, this.#context.table.count(DEAD) > 0 ? this.#nextRevival : Infinity);
    for (const {deadline} of this.#probes) next = Math.min(next, deadline);
    for (const {nackAt, until} of this.#errands) next = Math.min(next, nackAt, until);
    if (this.#view.doubtful.size > 0) next = Math.min(next, this.#nextDoubts);
    return next;
  }

  tick(): void {
    const {t, self} = this.#context;
    if (this.#probes.length > 0) this.#advance(t);
    if (this.#errands.length > 0) this.#runErrands(t);
    if (self.leaving) return;
    if (t >= this.#nextProbe) this.#probeNext(t);
    if (t >= this.#nextRevival) this.#revive(t);
    if (this.#view.doubtful.size > 0 && t >= this.#nextDoubts) this.#askDoubtful();
  }

  /** Silent from now on, apart from answers. */
  stop(): void {
    this.#probes = [];
    this.#nextProbe = this.#nextRevival = Infinity;
    this.#view.doubtful.clear();
  }

  /** This member stood still: what it did not hear meanwhile proves nothing. */
  woke(ms: number, grace: number): void {
    const {config} = this.#context;
    if (ms >= config.probeInterval) {
      this.#probes = [];
      this.#errands = [];
    }
    for (const probe of this.#probes) {
      const by = Math.min(ms + grace, probe.patience);
      probe.patience -= by;
      probe.deadline += by;
    }
  }

  answer(ping: Ping, from: Address): void {
    const {self} = this.#context;
    if (ping.target !== '' && ping.target !== self.name) return;
    sendWithNews(this.#context, ping.source?.address ?? from, [{type: 'ack', seq: ping.seq, payload: noBytes}]);
  }

  runErrand(ask: IndirectPing, from: Address): void {
    const {t, config, health} = this.#context;
    if (this.#errands.length >= maxErrands) return;
    const nackAt = ask.nack && config.lifeguard ? t + config.probeTimeout * health.factor : Infinity;
    const until = t + 2 * (config.probeTimeout + config.indirectTimeout) * health.factor;
    const errand: Errand = {seq: this.#nextSeq(), asker: ask.source?.address ?? from, askerSeq: ask.seq, target: ask.target, nackAt, until};
    this.#errands.push(errand);
    sendWithNews(this.#context, ask.address, [{type: 'ping', seq: errand.seq, target: ask.target}]);
  }

  acknowledged(ack: Ack): void {
    const {table, t} = this.#context;
    const at = this.#probes.findIndex((probe) => probe.seq === ack.seq);
    const probe = this.#probes[at];
    if (probe) {
      if (probe.helpers === undefined) table.setRtt(probe.id, t - probe.sentAt);
      this.#reached(probe, at);
      return;
    }
    const errandAt = this.#errands.findIndex((errand) => errand.seq === ack.seq);
    const errand = this.#errands[errandAt];
    if (!errand) return;
    this.#errands.splice(errandAt, 1);
    sendWithNews(this.#context, errand.asker, [{type: 'ack', seq: errand.askerSeq, payload: noBytes}]);
  }

  nacked(seq: number): void {
    const probe = this.#probes.find((p) => p.seq === seq);
    if (probe?.helpers) probe.nacks++;
  }

  /** A kernel that answers for a process that is gone: helpers need not be waited for, and nothing is wrong here. */
  refused(seq: number): void {
    const probe = this.#probes.find((p) => p.seq === seq);
    if (!probe?.helpers) return;
    probe.nacks = probe.helpers.length;
    this.#giveUp(probe);
  }

  #reached(probe: Probe, at: number): void {
    const {health, out, table} = this.#context;
    this.#probes.splice(at, 1);
    health.improve();
    // Who was dead and answers has a view of its own by now.
    if (table.state(probe.id) === DEAD) out.stream({kind: 'push-pull', to: table.profile(probe.id).address});
  }

  #probeNext(t: number): void {
    const {table, random, config, health} = this.#context;
    this.#nextProbe = t + config.probeInterval * health.factor;
    const id = table.nextToProbe(random, this.#isStale);
    if (id === undefined) return;
    this.started++;
    this.#ping(id, false);
  }

  readonly #isStale = (id: number): boolean => {
    const {table, t, config} = this.#context;
    const state = table.state(id);
    if (state === DEAD) return t - table.since(id) > config.forgetAfter;
    return state === LEFT && t - table.since(id) > config.gossipToDeadFor;
  };

  #ping(id: number, idle: boolean, accuse = false): void {
    const {table, config, health, self, t} = this.#context;
    const name = table.roster.name(id);
    const {address} = table.profile(id);
    // Buddy notification: who is accused hears it first, and can refute it.
    const accusation: PacketMessage | undefined =
      accuse || idle || (config.lifeguard && table.state(id) !== ALIVE)
        ? {type: table.state(id) === DEAD ? 'dead' : 'suspect', incarnation: table.incarnation(id), name, from: self.name}
        : undefined;
    if (this.#probes.some((probe) => probe.id === id)) {
      if (accusation) this.#context.out.send({to: address, messages: [accusation]});
      return;
    }
    // Three round trips: a member on another continent is not asked for by helpers each time.
    const wait = Math.max(config.probeTimeout, Math.min(3 * (table.rtt(id) ?? 0), 5 * config.probeTimeout));
    const seq = this.#nextSeq();
    const patience = 2 * (config.probeTimeout + config.indirectTimeout);
    this.#probes.push({id, seq, sentAt: t, deadline: t + wait * health.factor, patience, idle, helpers: undefined, nacks: 0});
    const messages: PacketMessage[] = [{type: 'ping', seq, target: name}];
    if (accusation) messages.push(accusation);
    sendWithNews(this.#context, address, messages, !idle);
  }

  #advance(t: number): void {
    const over = this.#probes.filter((probe) => probe.deadline <= t);
    for (const probe of over) {
      if (probe.helpers === undefined && !probe.idle && this.#context.table.isLiving(probe.id)) this.#askHelpers(probe, t);
      else this.#giveUp(probe);
    }
  }

  #askHelpers(probe: Probe, t: number): void {
    const {table, config, random, health, out} = this.#context;
    const address = table.profile(probe.id).address;
    const target = table.roster.name(probe.id);
    probe.deadline = t + config.indirectTimeout * health.factor;
    probe.helpers = table.draw(config.helpers, random, (id) => id !== probe.id && table.state(id) === ALIVE);
    for (const helper of probe.helpers) {
      const ask: IndirectPing = {type: 'indirect-ping', seq: probe.seq, target, address, nack: config.lifeguard};
      sendWithNews(this.#context, table.profile(helper).address, [ask]);
    }
    out.stream({kind: 'fallback-ping', to: address, target, seq: probe.seq});
  }

  #giveUp(probe: Probe): void {
    const {table, health, self, config, out} = this.#context;
    this.#probes.splice(this.#probes.indexOf(probe), 1);
    if (probe.idle || !table.isLiving(probe.id)) return;
    this.failed++;
    const helpers = probe.helpers ?? [];
    health.worsen(helpers.length > 0 ? helpers.length - probe.nacks : 1);
    const name = table.roster.name(probe.id);
    const incarnation = table.incarnation(probe.id);
    this.#view.suspect(name, incarnation, self.name);
    if (!config.lifeguard) return;
    const accusation: PacketMessage = {type: 'suspect', incarnation, name, from: self.name};
    for (const id of [probe.id, ...helpers]) out.send({to: table.profile(id).address, messages: [accusation]});
  }

  #runErrands(t: number): void {
    const {table, config} = this.#context;
    for (const errand of this.#errands) {
      if (errand.nackAt > t) continue;
      errand.nackAt = Infinity;
      sendWithNews(this.#context, errand.asker, [{type: 'nack', seq: errand.askerSeq}]);
      const id = table.find(errand.target);
      if (id !== undefined && config.lifeguard) this.#view.unreached(id);
    }
    this.#errands = this.#errands.filter((errand) => errand.until > t);
  }

  /** Asks one of the dead whether it is back, and tells it what is said of it. */
  #revive(t: number): void {
    const {table, config, random} = this.#context;
    this.#nextRevival = t + config.reviveInterval * (0.5 + random());
    const [id] = table.draw(1, random, (row) => table.state(row) === DEAD);
    if (id !== undefined) this.#ping(id, true);
  }

  #askDoubtful(): void {
    const {table, t} = this.#context;
    let left = doubtsPerTick;
    for (const id of this.#view.doubtful) {
      if (left-- === 0) break;
      this.#view.doubtful.delete(id);
      if (table.state(id) !== 0 && table.state(id) !== LEFT) this.#ping(id, !table.isLiving(id), true);
    }
    this.#nextDoubts = t + doubtsEvery;
  }

  #nextSeq(): number {
    this.#seq = (this.#seq + 1) >>> 0;
    return this.#seq;
  }
}
