/**
 * Keeps the node's assignment up to date, and decides whether what it does not list may go (law 12): strangers from
 * another past are told to the control plane, and only what it says once it knows them is acted upon.
 */
import {type Bus, call, listen, type Subscription} from '@hivemind/bus';
import * as subjects from '@hivemind/contracts/subjects';
import type {Clock} from '@hivemind/controller';
import type {RuntimeContainer} from '@hivemind/runtime';
import type {Logger} from 'pino';
import {type Assignment, AssignmentSource} from './assignment.ts';
import {originOf, strangersOf} from './core/timeline.ts';
import type {Session} from './session.ts';

export interface KeeperOptions {
  readonly bus: Bus;
  readonly node: string;
  readonly session: Session;
  /** Path of the cache file. */
  readonly path: string;
  readonly clock: Clock;
  readonly logger: Logger;
  /** What the engine has; undefined before the first look at it. */
  readonly observed: () => readonly RuntimeContainer[] | undefined;
  /** `held`: nothing that is not listed may be stopped or removed. */
  readonly onAssignment: (assignment: Assignment, held: boolean) => void;
}

const REFRESH_MS = 30_000;
const RETRY_MS = 1_000;

export class AssignmentKeeper {
  readonly #options: KeeperOptions;
  readonly #source: AssignmentSource;
  #assignment: Assignment | undefined;
  #subscription: Subscription | undefined;
  #unlisten: (() => void) | undefined;
  #cancelRefresh: (() => void) | undefined;
  #refreshing: Promise<void> | undefined;
  #saving: Promise<void> = Promise.resolve();
  #again = false;
  #unsaved = false;
  #stopped = false;
  /** The control plane was told of strangers: it is told when they are gone, too. */
  #told = false;
  /** Ids of strangers that the control plane knew and did not hold. */
  readonly #letGo = new Set<string>();

  constructor(options: KeeperOptions) {
    this.#options = options;
    this.#source = new AssignmentSource(options.bus, options.node, options.session, options.path);
  }

  /** Resolves with an assignment in force: the control plane's or, with that away, the one of last time, if there is one. */
  async start(): Promise<void> {
    const {bus, node, session, logger} = this.#options;
    this.#subscription = await listen(bus, subjects.assignmentChanged, {node}, () => this.refresh());
    this.#unlisten = session.onRegistered(() => this.refresh());
    const cached = await this.#source.cached();
    if (session.current() !== undefined) await this.#fetch().catch((error: unknown) => logger.info({err: error}, 'the control plane does not answer; going on with the assignment of last time'));
    if (!this.#assignment && cached) this.#accept(cached, true);
    this.#schedule(this.#assignment ? REFRESH_MS : RETRY_MS);
  }

  async stop(): Promise<void> {
    this.#stopped = true;
    this.#unlisten?.();
    this.#cancelRefresh?.();
    await this.#subscription?.unsubscribe();
    await this.#refreshing;
    await this.#saving;
  }

  get current(): Assignment | undefined {
    return this.#assignment;
  }

  /** Fetch it (again), soon. */
  refresh(): void {
    this.#again = true;
    if (this.#stopped || this.#refreshing) return;
    this.#refreshing = this.#refreshUntilQuiet().finally(() => {
      this.#refreshing = undefined;
      if (this.#again) this.refresh();
    });
  }

  async #refreshUntilQuiet(): Promise<void> {
    let delay = REFRESH_MS;
    try {
      while (this.#again && !this.#stopped) {
        this.#again = false;
        await this.#fetch();
      }
    } catch (error) {
      this.#options.logger.debug({err: error}, 'the assignment could not be fetched; going on with the last one');
      this.#again = false;
      delay = RETRY_MS;
    }
    this.#schedule(delay);
  }

  #schedule(ms: number): void {
    this.#cancelRefresh?.();
    if (!this.#stopped) this.#cancelRefresh = this.#options.clock.setTimer(() => this.refresh(), ms);
  }

  async #fetch(): Promise<void> {
    const {assignment, held} = await this.#judge(await this.#source.fetch());
    const waits = !held && this.#source.outdated(assignment);
    // What is new begins; what is no longer listed goes when no restart can bring it back.
    this.#accept(assignment, held || waits);
    this.#saving = this.#source.save(assignment).then(() => void (this.#unsaved = false), (error: unknown) => {
      if (!this.#unsaved) this.#options.logger.warn({err: error}, 'the assignment could not be kept on disk, which is tried again; without the control plane a restarted agent will not know it');
      this.#unsaved = true;
      this.#schedule(RETRY_MS);
    }).then(() => {
      if (waits && this.#assignment === assignment && !this.#stopped) this.#accept(assignment, held);
    });
  }

  #accept(assignment: Assignment, held: boolean): void {
    this.#assignment = assignment;
    this.#options.onAssignment(assignment, held);
  }

  /** The assignment to act upon, and whether what it does not list must stay. */
  async #judge(assignment: Assignment): Promise<{readonly assignment: Assignment; readonly held: boolean}> {
    const observed = this.#options.observed();
    // Before the first look at the engine there may be strangers that nobody knows of yet.
    if (!observed) return {assignment, held: true};
    const strangers = strangersOf(observed, assignment.listed, assignment.revision);
    if (strangers.length === 0) {
      // A hold, or what was told before, ends with the word that there are none (left).
      if (assignment.hold || this.#told) await this.#tell([]);
      this.#told = false;
      return {assignment, held: assignment.hold};
    }
    this.#told = true;
    let known = true;
    // What is being removed already is not told again: its record may be gone by now, and it would seem unknown.
    const pending = strangers.filter(({id}) => !this.#letGo.has(id));
    // An origin holds a whole record: one at a time stays under the bus's limit.
    for (const stranger of pending) known = (await this.#tell([stranger])) && known;
    if (assignment.hold || !known) return {assignment, held: true};
    if (pending.length === 0) return {assignment, held: false};
    // What was told may have been adopted meanwhile: only an assignment from after the telling says what may go.
    const after = await this.#source.fetch();
    if (!after.hold) for (const {id} of pending) if (!after.listed.has(id)) this.#letGo.add(id);
    return {assignment: after, held: after.hold};
  }

  /** @returns whether the control plane knows of them now */
  async #tell(strangers: readonly RuntimeContainer[]): Promise<boolean> {
    const {bus, node, session} = this.#options;
    const number = session.current();
    if (number === undefined) return false;
    const containers = strangers.map((container) => ({id: container.id, running: container.state === 'running', origin: originOf(container) ?? null}));
    return (await call(bus, subjects.reportStrangers, {node}, {session: number, containers})).accepted;
  }
}
