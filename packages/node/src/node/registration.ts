/**
 * The node's place in the cluster: it registers, and is heard of often enough to keep its lease. A control plane that does
 * not answer changes nothing: the session is kept until it is refused.
 */
import {readFileSync} from 'node:fs';
import {type Bus, call} from '@hivemind/bus';
import {isError, type NodeReport} from '@hivemind/contracts';
import * as subjects from '@hivemind/contracts/subjects';
import {type Clock, systemClock} from '@hivemind/controller';
import type {Logger} from 'pino';

export interface RegistrationOptions {
  readonly bus: Bus;
  readonly node: string;
  /** Which process this is: unique for each start. */
  readonly instance: string;
  /** What the machine is and has now. */
  readonly report: () => Promise<NodeReport>;
  readonly clock?: Clock;
  readonly logger: Logger;
}

export interface Registration {
  /** Tries once; resolves whether or not that worked, and goes on trying. */
  start(): Promise<void>;
  stop(): Promise<void>;
  /** Resolves with the cluster's id when the node is registered. */
  registered(): Promise<string>;
  /** Undefined while the node has never been registered, or was refused. */
  current(): number | undefined;
  /**
   * ms since the last heartbeat that was answered was sent, by a clock that runs while the machine sleeps; infinite before the
   * first. What must never run twice is stopped by it.
   */
  silentMs(): number;
  /** The control plane refused this session: register again. */
  expired(session: number): void;
  /** Calls after each registration; answers how to stop that. */
  onRegistered(listener: () => void): () => void;
  /** Something about the machine changed: say so now. */
  reportNow(): void;
}

const RETRY_MS = {first: 200, most: 2_000};
/** The facts of the machine are gathered anew so often (ms), unless something is known to have changed. */
const FACTS_MS = 10_000;
/** What changes all the time, as free disk, makes a report worth sending only so often, ms. */
const REPORT_MS = 60_000;
/** A beat that is not answered for so long (ms) at least is given up, so that the next is sent. */
const BEAT_TIMEOUT_MS = 500;

export function createRegistration(options: RegistrationOptions): Registration {
  return new NodeRegistration(options);
}

class NodeRegistration implements Registration {
  readonly #options: RegistrationOptions;
  readonly #clock: Clock;
  readonly #listeners = new Set<() => void>();
  readonly #cluster = Promise.withResolvers<string>();
  readonly #uptime: () => number;
  /** By `#uptime`: when the last heartbeat that was answered was sent. */
  #heardAt: number | undefined;
  #session: number | undefined;
  #heartbeatMs = 1_000;
  #retryMs = RETRY_MS.first;
  /** Counts what was known to have changed: facts that were gathered before are old. */
  #changes = 0;
  #sent = {essence: '', at: 0};
  #facts: {readonly report: NodeReport; readonly at: number} | undefined;
  #cancel: (() => void) | undefined;
  #beating: Promise<void> | undefined;
  #again = false;
  #stopped = false;
  #unlisten: (() => void) | undefined;

  constructor(options: RegistrationOptions) {
    this.#options = options;
    this.#clock = options.clock ?? systemClock;
    this.#uptime = this.#clock === systemClock ? uptimeMs : () => this.#clock.monotonic();
  }

  async start(): Promise<void> {
    this.#unlisten = this.#options.bus.onStatus((status) => (status === 'connected' ? this.reportNow() : undefined));
    this.#beat();
    await this.#beating;
  }

  async stop(): Promise<void> {
    this.#stopped = true;
    this.#unlisten?.();
    this.#cancel?.();
    await this.#beating;
  }

  registered(): Promise<string> {
    return this.#cluster.promise;
  }

  current(): number | undefined {
    return this.#session;
  }

  silentMs(): number {
    return this.#heardAt === undefined ? Number.POSITIVE_INFINITY : this.#uptime() - this.#heardAt;
  }

  expired(session: number): void {
    if (this.#session !== session) return;
    this.#session = undefined;
    this.#beat();
  }

  onRegistered(listener: () => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  reportNow(): void {
    this.#facts = undefined;
    this.#changes += 1;
    this.#beat();
  }

  #beat(): void {
    if (this.#stopped) return;
    this.#cancel?.();
    if (this.#beating) {
      this.#again = true;
      return;
    }
    this.#again = false;
    this.#beating = this.#speak().then((delayMs) => {
      this.#beating = undefined;
      if (this.#stopped) return;
      if (this.#again) this.#beat();
      else this.#cancel = this.#clock.setTimer(() => this.#beat(), delayMs);
    });
  }

  /** Registers or beats. @returns ms until the next time */
  async #speak(): Promise<number> {
    const session = this.#session;
    try {
      if (session === undefined) await this.#register();
      else await this.#heartbeat(session);
      this.#retryMs = RETRY_MS.first;
      return this.#heartbeatMs;
    } catch (error) {
      if (session !== undefined && isError(error, 'session-expired')) {
        this.#session = undefined;
        return this.#speak();
      }
      this.#options.logger.debug({err: error}, 'the node manager does not answer; trying again');
      this.#retryMs = Math.min(this.#retryMs * 2, RETRY_MS.most);
      return this.#retryMs;
    }
  }

  async #register(): Promise<void> {
    const {bus, node, instance, logger} = this.#options;
    const report = await this.#report();
    const sentAt = this.#uptime();
    const {cluster, session, heartbeatMs} = await call(bus, subjects.registerNode, {node}, {report, instance});
    this.#heardAt = sentAt;
    this.#session = session;
    this.#heartbeatMs = heartbeatMs;
    this.#sent = {essence: essence(report), at: this.#clock.monotonic()};
    this.#cluster.resolve(cluster);
    logger.info({node, cluster, session}, 'registered');
    for (const listener of this.#listeners) listener();
  }

  async #heartbeat(session: number): Promise<void> {
    const {bus, node} = this.#options;
    const report = await this.#report();
    const now = this.#clock.monotonic();
    const news = essence(report) !== this.#sent.essence || now - this.#sent.at >= REPORT_MS;
    const timeoutMs = Math.max(BEAT_TIMEOUT_MS, this.#heartbeatMs);
    const sentAt = this.#uptime();
    const {heartbeatMs} = await call(bus, subjects.heartbeat, {node}, {session, ...(news ? {report} : {})}, {timeoutMs});
    this.#heardAt = sentAt;
    if (news) this.#sent = {essence: essence(report), at: now};
    this.#heartbeatMs = heartbeatMs ?? this.#heartbeatMs;
  }

  /** Beats are many, facts are few: between two looks at the machine the last one serves. */
  async #report(): Promise<NodeReport> {
    const at = this.#clock.monotonic();
    if (this.#facts !== undefined && at - this.#facts.at < FACTS_MS) return this.#facts.report;
    const changes = this.#changes;
    const report = await this.#options.report();
    if (changes === this.#changes) this.#facts = {report, at};
    return report;
  }
}

/** What of a report is news at once. */
function essence({capacity: {diskFree: _, ...capacity}, usage: __, ...report}: NodeReport): string {
  return JSON.stringify({...report, capacity});
}

/** ms since the machine started, its sleep included: as CLOCK_BOOTTIME, where the system tells it. */
function uptimeMs(): number {
  try {
    const seconds = Number(readFileSync('/proc/uptime', 'latin1').split(' ')[0]);
    return Number.isFinite(seconds) ? seconds * 1000 : performance.now();
  } catch {
    return performance.now();
  }
}
