/**
 * Keeps the fence: it takes each renewal of the control lease from the agent, and, when none comes, stops through the engine
 * what must never run twice.
 */
import type {Logger} from 'pino';
import type {Boottime} from './boottime.ts';
import type {Engine} from './engine.ts';
import {guardedOf} from './guarded.ts';
import {type Lease, readLease, writeLease} from './lease-file.ts';
import {type FenceStep, LOOK_AFTER_MS, LOOK_EVERY_MS, planFence} from './plan.ts';

export interface FenceOptions {
  /** Where the lease is kept; undefined: nowhere. */
  readonly file: string | undefined;
  readonly boottime: () => Boottime;
  readonly connectEngine: (host: string) => Engine;
  /** Calls once after `ms`; answers how to cancel. */
  readonly setTimer: (callback: () => void, ms: number) => () => void;
  readonly logger: Pick<Logger, 'info' | 'warn'>;
}

/** The agent tells the lease each second: quiet for so long (ms), it is taken to be dead or hung. */
const AGENT_LIVES_MS = 3_000;
/** The lease is written so often at most, ms. A sidecar that is started again takes it for that much older, and is told anew at once. */
const WRITE_EVERY_MS = 500;

export class Fence {
  readonly #options: FenceOptions;
  #lease: Lease | undefined;
  #engine: {readonly host: string; readonly api: Engine} | undefined;
  /** By `boottime`. */
  #agentSpokeAt = Number.NEGATIVE_INFINITY;
  #writtenAt = Number.NEGATIVE_INFINITY;
  #told = new Set<string>();
  #looking = false;
  #writing: Promise<void> = Promise.resolve();
  #cancel: () => void = () => undefined;
  #stopped = false;
  #failing = false;

  constructor(options: FenceOptions) {
    this.#options = options;
  }

  /** Goes on where the process before this one was. */
  async start(): Promise<void> {
    const {file, boottime} = this.#options;
    const kept = file === undefined ? undefined : await readLease(file);
    // Since the machine was started anew only a session that is as new has started anything that is guarded.
    if (kept === undefined || this.#lease !== undefined || kept.bootId !== boottime().bootId) return;
    this.#lease = kept;
    // Not at once: it is as old as this process took to start, and an agent that lives tells a newer one within a second.
    this.#schedule(LOOK_EVERY_MS);
  }

  /**
   * From the agent, each second, with the newest heartbeat that was answered; one that heard none yet (`heardAtMs` 0), of another
   * start of the machine, or older than what is known, only shows that the agent lives.
   */
  renew(lease: Lease): void {
    const {bootId, ms} = this.#options.boottime();
    this.#agentSpokeAt = ms;
    const known = this.#lease;
    const same = known !== undefined && known.cluster === lease.cluster && known.bootId === bootId;
    if (lease.bootId !== bootId || lease.heardAtMs <= 0 || lease.heardAtMs > ms) return;
    if (same && known.engine === lease.engine && lease.heardAtMs <= known.heardAtMs) return;
    this.#lease = {...lease, heardAtMs: same ? Math.max(lease.heardAtMs, known.heardAtMs) : lease.heardAtMs};
    this.#told.clear();
    this.#write(ms);
    this.#schedule(LOOK_AFTER_MS);
  }

  /** ms since the last heartbeat that was answered was sent; undefined before the first. */
  silentMs(): number | undefined {
    return this.#lease && this.#options.boottime().ms - this.#lease.heardAtMs;
  }

  async stop(): Promise<void> {
    this.#stopped = true;
    this.#cancel();
    await this.#writing;
  }

  #schedule(ms: number): void {
    this.#cancel();
    // A second at most: timers stand still while the machine sleeps, and its leases do not.
    if (!this.#stopped) this.#cancel = this.#options.setTimer(() => void this.#look(), Math.min(ms, LOOK_EVERY_MS));
  }

  async #look(): Promise<void> {
    if (this.#looking) return;
    this.#looking = true;
    let againInMs = LOOK_EVERY_MS;
    try {
      againInMs = await this.#enforce();
      this.#failing = false;
    } catch (err) {
      if (!this.#failing) this.#options.logger.warn({err}, 'the engine could not be asked for what must never run twice; it is asked again and again');
      this.#failing = true;
    } finally {
      this.#looking = false;
      this.#schedule(againInMs);
    }
  }

  /** @returns ms until to look again */
  async #enforce(): Promise<number> {
    const lease = this.#lease;
    const silentMs = this.silentMs();
    if (lease === undefined || silentMs === undefined) return LOOK_EVERY_MS;
    if (silentMs < LOOK_AFTER_MS) return LOOK_AFTER_MS - silentMs;
    const engine = this.#engineOf(lease.engine);
    const listed = await engine.running(lease.cluster);
    // Heard meanwhile.
    if (this.#lease !== lease) return LOOK_EVERY_MS;
    const guarded = listed.flatMap((container) => guardedOf(container) ?? []);
    const {ms} = this.#options.boottime();
    const {steps, againInMs} = planFence({silentMs: ms - lease.heardAtMs, agentLives: ms - this.#agentSpokeAt < AGENT_LIVES_MS, guarded, told: this.#told});
    const done = await Promise.allSettled(steps.map((step) => this.#perform(engine, step)));
    for (const one of done) if (one.status === 'rejected') throw one.reason;
    return againInMs;
  }

  async #perform(engine: Engine, {container, signal}: FenceStep): Promise<void> {
    this.#options.logger.warn({container: container.name, signal, leaseMs: container.leaseMs, silentMs: this.silentMs()}, 'the control plane was not heard for as long as this container may run without it');
    await engine.signal(container.id, signal);
    this.#told.add(container.id);
  }

  #engineOf(host: string): Engine {
    if (this.#engine?.host !== host) this.#engine = {host, api: this.#options.connectEngine(host)};
    return this.#engine.api;
  }

  #write(now: number): void {
    const {file, logger} = this.#options;
    if (file === undefined || now - this.#writtenAt < WRITE_EVERY_MS) return;
    this.#writtenAt = now;
    this.#writing = this.#writing.then(async () => {
      if (this.#lease) await writeLease(file, this.#lease).catch((err: unknown) => logger.warn({err, file}, 'the lease could not be written: a sidecar that is started again waits for the agent'));
    });
  }
}
