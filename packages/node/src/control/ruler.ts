/**
 * Rules which machines are there: the leader alone, from leases, gossip and its own sense of how long it has been able to
 * hear anybody. It remembers nothing that the next leader would need: a new one gives every machine its full time anew.
 */
import {type Clock, createController, systemClock} from '@hivemind/controller';
import {BRAKE_KEY, durationMs, isError, type MemberRecord, type NodeBrake, type NodeVerdict} from '@hivemind/contracts';
import {recordEvent, type ManagerContext} from '@hivemind/service';
import type {Compare, Fence, Write} from '@hivemind/store';
import {type ObservedNode, rule} from '../core/rulings.ts';
import {settingsOf} from './settings.ts';
import {nodeBrake, nodeLeases, nodeVerdicts, type Tables} from './tables.ts';

/** One key: all machines are ruled on in one step. */
const KEY = 'all';
/** A look whatever happens, ms; when it comes later than this again, the process was stalled. */
const TICK_MS = 1_000;

export interface RulerOptions {
  readonly context: Pick<ManagerContext, 'store' | 'bus' | 'logger' | 'now' | 'uid' | 'random'>;
  readonly tables: Tables;
  readonly clock?: Clock;
}

export class Ruler {
  readonly #options: RulerOptions;
  readonly #clock: Clock;
  /** Of each machine without a lease: the session that lapsed, and when that was seen. */
  readonly #silent = new Map<string, {readonly session: number; readonly since: number}>();
  /** Machines that registered since the control plane was last away: their silence is their own. */
  readonly #registered = new Set<string>();
  /** Leases that are there already say nothing about when they were kept last. */
  #following = false;
  #watchingSince = 0;
  #graceUntil = 0;
  #connected = true;
  #engagedAt: number | undefined;
  #lastTick = 0;

  constructor(options: RulerOptions) {
    this.#options = options;
    this.#clock = options.clock ?? systemClock;
    options.tables.leases.onChange((name, before, after) => {
      if (after && after.value.session !== before?.value.session && this.#following) this.#registered.add(name);
    });
  }

  /** From here on what changes is news. */
  follow(): void {
    this.#following = true;
  }

  /** The control plane was away, or may have been: silence during that time proves nothing. */
  wasAway(): void {
    this.#registered.clear();
    this.#beginGrace();
  }

  #beginGrace(): void {
    this.#graceUntil = this.#clock.monotonic() + durationMs(settingsOf(this.#options.tables).grace);
  }

  /** Rules until `signal` aborts. */
  async lead(fence: Fence, signal: AbortSignal): Promise<void> {
    const {context: {logger, random, bus}, tables} = this.#options;
    this.#silent.clear();
    this.#engagedAt = undefined;
    this.#watchingSince = this.#lastTick = this.#clock.monotonic();
    this.#beginGrace();
    const controller = createController({
      name: 'node-verdicts', logger, random, clock: this.#clock, coalesceMs: 5, keys: () => [KEY],
      reconcile: async () => {
        const wakeAt = await this.#rule(fence);
        if (wakeAt !== undefined) controller.wakeAt(KEY, this.#clock.now() + Math.max(0, wakeAt - this.#clock.monotonic()));
      },
    });
    const wake = (): void => controller.wake(KEY);
    const stops = [
      ...[tables.nodes, tables.status, tables.leases, tables.members, tables.settings, tables.verdicts, tables.brake].map((table) => table.onChange(wake)),
      bus.onStatus((status) => {
        this.#connected = status === 'connected';
        this.wasAway();
        wake();
      }),
      this.#tick(wake),
    ];
    controller.start();
    await new Promise<void>((resolve) => (signal.aborted ? resolve() : signal.addEventListener('abort', () => resolve(), {once: true})));
    for (const stop of stops) stop();
    await controller.stop();
  }

  /** Notices that the process itself did not run. */
  #tick(wake: () => void): () => void {
    let cancel: () => void = () => undefined;
    const again = (): void => {
      const now = this.#clock.monotonic();
      if (now - this.#lastTick > 2 * TICK_MS) {
        this.wasAway();
        wake();
      }
      this.#lastTick = now;
      cancel = this.#clock.setTimer(again, TICK_MS);
    };
    again();
    return () => cancel();
  }

  /** @returns monotonic ms: rule again then */
  async #rule(fence: Fence): Promise<number | undefined> {
    // Who hears nobody says nothing of anybody.
    if (!this.#connected) return undefined;
    const {tables, context} = this.#options;
    const now = this.#clock.monotonic();
    const grace = now < this.#graceUntil;
    const brake = tables.brake.get(BRAKE_KEY);
    this.#engagedAt = brake?.value.engaged === true ? (this.#engagedAt ?? now) : undefined;
    const nodes = tables.nodes.list().map(({key}) => this.#observe(key, now, grace));
    const at = new Date(context.now()).toISOString();
    const ruled = rule({nodes, settings: settingsOf(tables), brake: brake?.value, engagedAt: this.#engagedAt, watchingSince: this.#watchingSince, now, at});
    await this.#write(ruled.verdicts, ruled.brake, fence);
    return earliest(ruled.wakeAt, grace ? this.#graceUntil : undefined);
  }

  #observe(name: string, now: number, grace: boolean): ObservedNode {
    const {tables} = this.#options;
    const session = tables.status.get(name)?.value.session ?? 0;
    const verdict = tables.verdicts.get(name)?.value;
    const leased = tables.leases.get(name) !== undefined;
    const before = this.#silent.get(name);
    if (leased) this.#silent.delete(name);
    // Another session than the one that was silent: it was heard in between, though that was not seen.
    else if (before?.session !== session) this.#silent.set(name, {session, since: now});
    return {
      name,
      verdict,
      silentSince: this.#silent.get(name)?.since,
      gossip: gossipOf(tables.members.get(name)?.value),
      confirmedDead: verdict?.confirmedDead !== undefined && verdict.confirmedDead >= session,
      grace: grace && !this.#registered.has(name),
    };
  }

  async #write(verdicts: readonly NodeVerdict[], brake: NodeBrake | undefined, fence: Fence): Promise<void> {
    const {tables, context: {store}} = this.#options;
    const gone = tables.verdicts.list().filter(({key}) => tables.nodes.get(key) === undefined);
    if (verdicts.length === 0 && brake === undefined && gone.length === 0) return;
    const compare: Compare[] = [];
    const writes: Write[] = gone.map(({key}) => nodeVerdicts.deleting(key));
    for (const verdict of verdicts) {
      const before = tables.verdicts.get(verdict.name);
      compare.push(before ? nodeVerdicts.unchanged(before) : nodeVerdicts.absent(verdict.name));
      // Not of one that registers at this very moment.
      if (verdict.state !== 'ready') compare.push(nodeLeases.absent(verdict.name));
      writes.push(nodeVerdicts.putting(verdict.name, verdict, {previous: before}));
    }
    const before = tables.brake.get(BRAKE_KEY);
    if (brake !== undefined) {
      compare.push(before ? nodeBrake.unchanged(before) : nodeBrake.absent(BRAKE_KEY));
      writes.push(nodeBrake.putting(BRAKE_KEY, brake, {previous: before}));
    }
    const told = verdicts.map((verdict) => ({verdict, before: tables.verdicts.get(verdict.name)?.value}));
    const result = await store.transact({compare, writes, fence}).catch((error: unknown) => {
      if (isError(error, 'unavailable')) this.wasAway();
      throw error;
    });
    // A lost race: the change that won wakes this again.
    if (!result.ok) return;
    for (const each of told) this.#tellVerdict(each.verdict, each.before);
    if (brake !== undefined && brake.engaged !== (before?.value.engaged ?? false)) this.#event('Cluster', 'nodes', brake.engaged ? 'warning' : 'normal', brake.engaged ? 'ReplacementPaused' : 'ReplacementResumed', brake.message);
  }

  #tellVerdict({name, state, degraded, message}: NodeVerdict, before: NodeVerdict | undefined): void {
    if (state === 'ready' && degraded && before?.degraded !== true) this.#event('Node', name, 'warning', 'Degraded', message);
    if (state === (before?.state ?? 'ready')) return;
    const reason = {ready: 'Ready', unreachable: 'Unreachable', dead: 'Dead'}[state];
    this.#event('Node', name, state === 'ready' ? 'normal' : 'warning', reason, state === 'ready' ? 'it is heard again' : message);
  }

  #event(kind: string, name: string, type: 'normal' | 'warning', reason: string, message: string): void {
    const {context} = this.#options;
    context.logger[type === 'warning' ? 'warn' : 'info']({kind, name, reason}, message);
    recordEvent(context, {namespace: 'default', kind, name, type, reason, message, ...(kind === 'Node' ? {node: name} : {})});
  }
}

/** Where nobody sees it and too few say so, gossip has no answer: what it said before is no sighting. */
function gossipOf(member: Pick<MemberRecord, 'state' | 'unseen'> | undefined): ObservedNode['gossip'] {
  if (member === undefined || member.state === 'left' || member.unseen === true) return 'unknown';
  return member.state === 'dead' ? 'gone' : 'alive';
}

function earliest(a: number | undefined, b: number | undefined): number | undefined {
  if (a === undefined || b === undefined) return a ?? b;
  return Math.min(a, b);
}
