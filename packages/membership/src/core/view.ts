/**
 * What is believed of whom, and what changes it. The rules, of which SWIM's correctness hangs:
 *   - a greater incarnation wins; a member alone raises its own;
 *   - at the same incarnation left and dead win over suspect, suspect over alive;
 *   - who hears itself accused refutes it with an incarnation that is greater.
 */
import {maxHostLength, maxIncarnation, maxMetaBytes, maxNameLength, suspicionBounds} from './config.ts';
import type {Context} from './context.ts';
import type {Address, LifeState, MemberClaim, MemberView} from './messages.ts';
import type {MemberRow, ProtocolEvent} from './protocol.ts';
import {sameAddress, sameBytes} from './roster.ts';
import {Suspicions} from './suspicion.ts';
import {ALIVE, DEAD, LEFT, SUSPECT} from './table.ts';

/** Of those that hear of a suspicion, about so many carry it to the suspect themselves: it hears even if the accuser cannot reach it. */
const heralds = 4;
/** A conflict is told again after this many ms. */
const conflictQuiet = 30_000;
/** Names whose conflicts are remembered. */
const conflictsKept = 64;

export class View {
  readonly #context: Context;
  readonly suspicions = new Suspicions();
  /** Rows that this member tried in vain to reach for another, and when. */
  readonly #unreached = new Map<number, number>();
  /** Rows of which a push-pull told otherwise than is believed here; they are asked themselves. */
  readonly doubtful = new Set<number>();
  readonly #conflicts = new Map<string, number>();
  /** It stood still for long, or was dead to others: what was said meanwhile did not reach it. */
  missedNews = false;
  /** Its own name belongs to another address, for now. */
  nameTaken = false;
  /** Until then this member, back from a long pause, declares nobody dead. */
  #humbleUntil = -1;

  constructor(context: Context) {
    this.#context = context;
  }

  row(id: number): MemberRow {
    const {table} = this.#context;
    const {address, meta, versions} = table.profile(id);
    const rttMs = table.rtt(id);
    const row = {name: table.roster.name(id), address, meta, versions, incarnation: table.incarnation(id), state: table.stateName(id), since: table.since(id)};
    return rttMs === undefined ? row : {...row, rttMs};
  }

  selfClaim(): MemberClaim {
    const {name, address, incarnation, meta, versions} = this.#context.self;
    return {name, address, incarnation, meta, versions};
  }

  /** A member says of itself, through whomever, that it lives. */
  alive(claim: MemberClaim): void {
    const {table, self, t} = this.#context;
    if (!isSound(claim)) return;
    if (claim.name === self.name) return this.#aliveSelf(claim);
    const id = table.find(claim.name);
    if (id === undefined) return this.#admit(claim);
    const moved = !sameAddress(claim.address, table.profile(id).address);
    const before = table.state(id);
    if (moved && !this.#mayMove(id)) return this.#conflict(claim.name, table.profile(id).address, claim.address);
    if (claim.incarnation <= table.incarnation(id)) return;
    const changed = table.renew(id, claim);
    table.setState(id, ALIVE, claim.incarnation, t);
    this.suspicions.close(id);
    this.#unreached.delete(id);
    this.doubtful.delete(id);
    this.#pass(claim.name, {type: 'alive', claim});
    if (before === DEAD || before === LEFT) return this.#tell('joined', id);
    if (before === SUSPECT) this.#tell('cleared', id);
    if (changed) this.#tell('updated', id);
  }

  /** `from` had no answer from a member. Answers whether the news was about this member, and old. */
  suspect(name: string, incarnation: number, from: string): boolean {
    const {table, self, config, t, random, out} = this.#context;
    if (!isCount(incarnation) || incarnation === maxIncarnation) return false;
    if (name === self.name) return this.#accused(incarnation);
    const id = table.find(name);
    if (id === undefined || incarnation < table.incarnation(id) || !table.isLiving(id) || this.#isGone(from)) return false;
    const open = this.suspicions.get(id);
    // What lay in the socket of a member that was away is old: it is not passed on.
    const fresh = t >= this.#humbleUntil || from === self.name;
    table.setState(id, SUSPECT, incarnation, t);
    if (open) {
      if (this.suspicions.confirm(id, from) && fresh) this.#pass(name, {type: 'suspect', incarnation, name, from});
    } else {
      const wanted = config.lifeguard ? Math.max(0, Math.min(config.confirmations, table.living - 2)) : 0;
      this.suspicions.open(id, from, wanted, suspicionBounds(config, table.living + 1), t);
      if (fresh) this.#pass(name, {type: 'suspect', incarnation, name, from});
      this.#tell('suspected', id);
      if (t < this.#humbleUntil) this.doubtful.add(id);
      else if (config.lifeguard && from !== self.name && random() * table.living < heralds) {
        out.send({to: table.profile(id).address, messages: [{type: 'suspect', incarnation, name, from}]});
      }
    }
    this.#bearWitness(id);
    return false;
  }

  /** `from` declares a member dead; the member itself: that it leaves. Answers as `suspect` does. */
  dead(name: string, incarnation: number, from: string): boolean {
    const {table, self, t} = this.#context;
    if (!isCount(incarnation) || incarnation === maxIncarnation) return false;
    if (name === self.name) {
      if (incarnation >= self.incarnation) this.missedNews = true;
      return this.#accused(incarnation);
    }
    const id = table.find(name);
    if (id === undefined || incarnation < table.incarnation(id) || !table.isLiving(id)) return false;
    const leaves = from === name;
    if (!leaves && this.#isGone(from)) return false;
    // What a returning member reads of deaths may be long refuted.
    if (!leaves && t < this.#humbleUntil) return this.suspect(name, incarnation, from);
    table.setState(id, leaves ? LEFT : DEAD, incarnation, t);
    this.suspicions.close(id);
    this.#unreached.delete(id);
    this.#pass(name, {type: 'dead', incarnation, name, from});
    this.#tell(leaves ? 'left' : 'died', id);
    return false;
  }

  /** A row of another's view. Deaths and suspicions in it are hearsay: who is meant is asked at once. */
  merge(view: MemberView): void {
    if (view.state === 'alive') {
      this.alive(view);
      const id = this.#context.table.find(view.name);
      // It lives there and is dead here by the same word: it alone can raise it.
      if (id !== undefined && this.#context.table.state(id) === DEAD && view.incarnation === this.#context.table.incarnation(id)) this.doubtful.add(id);
      return;
    }
    if (!isSound(view)) return;
    if (view.state === 'left') return void this.dead(view.name, view.incarnation, view.name);
    if (view.name === this.#context.self.name) {
      if (!sameAddress(view.address, this.#context.self.address)) this.nameTaken = true;
      return void this.#accused(view.incarnation);
    }
    const id = this.#context.table.find(view.name);
    if (id !== undefined && view.incarnation >= this.#context.table.incarnation(id) && this.#context.table.isLiving(id)) this.doubtful.add(id);
  }

  /** A ping for another member's sake had no answer. If it is suspected now or soon, that is a confirmation. */
  unreached(id: number): void {
    this.#unreached.set(id, this.#context.t);
    if (this.#context.table.state(id) === SUSPECT) this.#bearWitness(id);
  }

  /** Suspicions whose time is over are deaths. Those that nobody confirms are doubted before. */
  expire(): void {
    const {t, table, self} = this.#context;
    for (const id of this.suspicions.doubted(t)) this.doubtful.add(id);
    if (t < this.#humbleUntil) return;
    for (const id of this.suspicions.due(t)) this.dead(table.roster.name(id), table.incarnation(id), self.name);
  }

  /** When `expire` has something to do. */
  get nextExpiry(): number {
    return this.suspicions.next === Infinity ? Infinity : Math.max(this.suspicions.next, this.#humbleUntil);
  }

  /** This member stood still for `ms`. Long ones void what it was about to declare. */
  woke(ms: number, grace: number): void {
    const {config, table, t, queue} = this.#context;
    const {min, max} = suspicionBounds(config, table.living + 1);
    if (ms < min) return this.suspicions.postpone(ms + grace);
    this.suspicions.restart(t);
    for (const id of this.suspicions.ids()) this.doubtful.add(id);
    this.missedNews = true;
    this.#humbleUntil = t + Math.max(max, min * 2);
    this.#unreached.clear();
    queue.withdrawAccusations();
  }

  /** Speaks of itself with an incarnation greater than `heard`. */
  assert(heard = 0): void {
    const {self} = this.#context;
    self.incarnation = Math.min(maxIncarnation, Math.max(self.incarnation, heard) + 1);
    this.#pass(self.name, {type: 'alive', claim: this.selfClaim()});
  }

  #aliveSelf(claim: MemberClaim): void {
    const {self} = this.#context;
    if (!sameAddress(claim.address, self.address)) {
      this.nameTaken = true;
      return this.#conflict(self.name, self.address, claim.address);
    }
    if (self.leaving || claim.incarnation < self.incarnation) return;
    // An echo, or what an earlier life of this member left behind.
    if (claim.incarnation === self.incarnation && sameBytes(claim.meta, self.meta)) return;
    this.assert(claim.incarnation);
  }

  #accused(incarnation: number): boolean {
    const {self, health, out} = this.#context;
    if (self.leaving) return false;
    if (incarnation < self.incarnation) return true;
    health.worsen();
    this.assert(incarnation);
    out.event({type: 'refuted', incarnation: self.incarnation});
    return false;
  }

  #admit(claim: MemberClaim): void {
    const {table, config, t} = this.#context;
    if (table.size >= config.maxMembers) return;
    const id = table.add(claim, t);
    this.#pass(claim.name, {type: 'alive', claim});
    this.#tell('joined', id);
  }

  #mayMove(id: number): boolean {
    const {table, t, config} = this.#context;
    const state = table.state(id);
    return state === LEFT || (state === DEAD && t - table.since(id) >= config.reclaimAfter);
  }

  #conflict(name: string, known: Address, claimed: Address): void {
    const {t, out} = this.#context;
    if (t - (this.#conflicts.get(name) ?? -Infinity) < conflictQuiet) return;
    if (this.#conflicts.size >= conflictsKept) this.#conflicts.clear();
    this.#conflicts.set(name, t);
    out.event({type: 'name-conflict', name, known, claimed});
  }

  #bearWitness(id: number): void {
    const {config, table, t, self} = this.#context;
    const at = this.#unreached.get(id);
    if (at === undefined || !config.lifeguard) return;
    this.#unreached.delete(id);
    if (t - at > 2 * (config.probeTimeout + config.indirectTimeout)) return;
    this.suspect(table.roster.name(id), table.incarnation(id), self.name);
  }

  /** The word of the dead against the living counts for nothing: they may be the ones that are cut off. */
  #isGone(name: string): boolean {
    const id = this.#context.table.find(name);
    return id !== undefined && !this.#context.table.isLiving(id);
  }

  #pass(name: string, message: Parameters<Context['queue']['put']>[1]): void {
    this.#context.queue.put(name, message);
  }

  #tell(type: Extract<ProtocolEvent, {member: MemberRow}>['type'], id: number): void {
    this.#context.out.event({type, member: this.row(id)});
  }
}

/** Names of states, for counting. */
export const lifeStates: readonly LifeState[] = ['alive', 'suspect', 'dead', 'left'];

function isCount(n: number): boolean {
  return Number.isInteger(n) && n >= 0 && n <= maxIncarnation;
}

function isSound({name, address, incarnation, meta, versions}: MemberClaim): boolean {
  return (
    isCount(incarnation) && name.length > 0 && name.length <= maxNameLength && address.host.length > 0 && address.host.length <= maxHostLength &&
    Number.isInteger(address.port) && address.port > 0 && address.port < 65_536 && meta.length <= maxMetaBytes && versions.length <= 16
  );
}
