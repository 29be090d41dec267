/**
 * Brings what the node knows to the control plane: changes within a millisecond or two, the newest of each container, and
 * phases that pass by themselves with the next change or within a tenth of a second; everything after each registration and every 30 s, so that a lost report heals. Retries until it gets through.
 */
import {type Bus, call} from '@hivemind/bus';
import {type ContainerStatus, type EventRecord, isError} from '@hivemind/contracts';
import * as subjects from '@hivemind/contracts/subjects';
import type {Clock} from '@hivemind/controller';
import type {Logger} from 'pino';
import type {Session} from './session.ts';

export interface ContainerReport {
  readonly id: string;
  readonly namespace: string;
  readonly app: string;
  readonly status: ContainerStatus;
}

export interface ReporterOptions {
  readonly bus: Bus;
  readonly node: string;
  readonly session: Session;
  /** Everything that the node has. */
  readonly snapshot: () => readonly ContainerReport[];
  readonly clock: Clock;
  readonly logger: Logger;
}

/** Changes are gathered for so long (ms). */
const GATHER_MS = 1;
/** On its way to run a container is reported only if that takes longer (ms): each report is a write of the store. */
const PASSING_MS = 100;
const passingPhases: ReadonlySet<ContainerStatus['phase']> = new Set(['pending', 'creating', 'starting', 'stopping']);
const FULL_EVERY_MS = 30_000;
const RETRY_MS = {first: 100, most: 5_000};
/** Of one message; the bus takes 512 KiB. */
const MOST_BYTES = 384 * 1024;
const MOST_RECORDS = 500;

export class Reporter {
  readonly #options: ReporterOptions;
  readonly #pending = new Map<string, ContainerReport>();
  #events: EventRecord[] = [];
  #full = false;
  #started = false;
  #stopped = false;
  #retryMs = RETRY_MS.first;
  /** Of the next report; never goes back, so it orders those of every session. */
  #sequence = 0;
  #sending: Promise<void> | undefined;
  #cancelGather: (() => void) | undefined;
  /** How long the gathering under way was to take when it began. */
  #gatherMs = 0;
  #cancelFull: (() => void) | undefined;
  #unlisten: (() => void) | undefined;

  constructor(options: ReporterOptions) {
    this.#options = options;
  }

  /** From now on full reports are true: the worker has seen what the engine has. */
  start(): void {
    if (this.#started) return;
    this.#started = true;
    this.#unlisten = this.#options.session.onRegistered(() => this.#reportAll());
    this.#reportAll();
  }

  /** The newest status of a container. */
  report(report: ContainerReport): void {
    this.#pending.set(report.id, report);
    this.#gather(passingPhases.has(report.status.phase) ? PASSING_MS : GATHER_MS);
  }

  /** Something that happened, for people. The oldest are dropped while the control plane is away. */
  event(event: EventRecord): void {
    this.#events.push(event);
    if (this.#events.length > MOST_RECORDS) this.#events.shift();
    this.#gather(PASSING_MS);
  }

  /** Sends what is pending, once, and stops. */
  async stop(): Promise<void> {
    this.#stopped = true;
    this.#unlisten?.();
    this.#cancelFull?.();
    this.#cancelGather?.();
    await this.#sending;
    await this.#send();
  }

  #reportAll(): void {
    if (this.#stopped) return;
    this.#full = true;
    this.#retryMs = RETRY_MS.first;
    this.#cancelFull?.();
    this.#cancelFull = this.#options.clock.setTimer(() => this.#reportAll(), FULL_EVERY_MS);
    this.#cancelGather?.();
    this.#cancelGather = undefined;
    this.#gather(0);
  }

  #gather(ms: number): void {
    if (this.#stopped || this.#sending || (this.#cancelGather && this.#gatherMs <= ms)) return;
    this.#cancelGather?.();
    this.#gatherMs = ms;
    this.#cancelGather = this.#options.clock.setTimer(() => {
      this.#cancelGather = undefined;
      this.#sending = this.#send().then((sent) => {
        this.#sending = undefined;
        if (this.#pending.size === 0 && this.#events.length === 0 && !this.#full) return;
        this.#gather(sent ? GATHER_MS : this.#retryMs);
      });
    }, ms);
  }

  /** @returns whether it got through; what did not is pending again, unless something newer is. */
  async #send(): Promise<boolean> {
    const {session} = this.#options;
    const number = session.current();
    // Without a session nothing is lost: registering again reports everything.
    if (number === undefined) return this.#postpone();
    const full = this.#full && this.#started;
    const batch = full ? [...new Map([...this.#pending, ...this.#options.snapshot().map((report) => [report.id, report] as const)]).values()] : [...this.#pending.values()];
    const events = this.#events;
    if (batch.length === 0 && events.length === 0 && !full) return true;
    this.#pending.clear();
    this.#events = [];
    this.#full = false;
    try {
      await this.#transmit(number, batch, events, full);
      this.#retryMs = RETRY_MS.first;
      return true;
    } catch (error) {
      for (const report of batch) if (!this.#pending.has(report.id)) this.#pending.set(report.id, report);
      this.#events = [...events, ...this.#events].slice(-MOST_RECORDS);
      this.#full ||= full;
      if (isError(error, 'session-expired')) session.expired(number);
      else this.#options.logger.debug({err: error}, 'a status report did not get through; trying again');
      return this.#postpone();
    }
  }

  #postpone(): false {
    this.#retryMs = Math.min(this.#retryMs * 2, RETRY_MS.most);
    return false;
  }

  async #transmit(session: number, batch: readonly ContainerReport[], events: readonly EventRecord[], full: boolean): Promise<void> {
    const pages = paginate(batch);
    const [only] = pages;
    // A full report means "what I do not name is gone": it cannot be cut in pieces, so what is too much is sent as changes.
    const whole = full && pages.length <= 1;
    const rest = pages.length > 1 ? pages.slice(1) : [];
    await this.#call(session, only ?? [], events, whole);
    for (const page of rest) await this.#call(session, page, [], false);
  }

  async #call(session: number, containers: readonly ContainerReport[], events: readonly EventRecord[], full: boolean): Promise<void> {
    const {bus, node} = this.#options;
    await call(bus, subjects.reportStatus, {node}, {session, sequence: this.#sequence++, full, containers: [...containers], events: [...events]});
  }
}

function paginate(batch: readonly ContainerReport[]): ContainerReport[][] {
  const pages: ContainerReport[][] = [];
  let bytes = 0;
  for (const report of batch) {
    const size = Buffer.byteLength(JSON.stringify(report));
    const page = pages.at(-1);
    if (page && page.length < MOST_RECORDS && bytes + size <= MOST_BYTES) {
      page.push(report);
      bytes += size;
    } else {
      pages.push([report]);
      bytes = size;
    }
  }
  return pages;
}
