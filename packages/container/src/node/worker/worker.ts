/**
 * Makes the machine be as its assignment says: one idempotent step at a time for each container, all containers beside
 * each other. What happens (an assignment, an engine event, a verdict, a timer) only moves what is known; then the
 * plan is made anew.
 */
import {join} from 'node:path';
import {type Bus, call, listen, type Subscription} from '@hivemind/bus';
import {type ContainerRecord, isError, type RegistryCredentials, subjects} from '@hivemind/contracts';
import {type Clock, systemClock} from '@hivemind/controller';
import type {NodeHook, Runtime, RuntimeContainer, RuntimeEvent, Verdict} from '@hivemind/runtime';
import type {Logger} from 'pino';
import type {z} from 'zod';
import {type Assignment, AssignmentSource} from './assignment.ts';
import {afterExit, afterFailure, afterRestartRequest, afterUnhealthy, afterVerdict, type Exit, seenRunning} from './core/memory.ts';
import {planContainer} from './core/plan.ts';
import {statusOf} from './core/status.ts';
import type {Action, Executors, Step, StepOf} from './core/steps.ts';
import {originOf, strangersOf} from './core/timeline.ts';
import {type Entry, newEntry, situationOf} from './entry.ts';
import {causeOf, workerErrors} from './errors.ts';
import {createExecutors} from './executors.ts';
import {type ContainerReport, Reporter} from './reporter.ts';
import type {Session} from './session.ts';

export interface WorkerOptions {
  readonly node: string;
  readonly bus: Bus;
  readonly runtime: Runtime;
  /** Absolute; the assignment is cached in `<dataDir>/agent`. */
  readonly dataDir: string;
  readonly session: Session;
  readonly hooks: readonly NodeHook[];
  /** How to fetch an image of this container; none when absent. */
  readonly credentials?: (record: ContainerRecord, signal: AbortSignal) => Promise<z.infer<typeof RegistryCredentials> | undefined>;
  /** Called when the engine is lost, and when it is back. */
  readonly onEngine?: (available: boolean) => void;
  readonly clock?: Clock;
  readonly logger: Logger;
}

export interface Worker {
  /** Resolves when it has begun; containers come up beside. */
  start(): Promise<void>;
  /** Leaves every container as it is; finishes the steps that run. */
  stop(): Promise<void>;
  /** Stop and start now, whatever its back-off. @throws `unassigned` */
  restart(id: string): Promise<void>;
}

const REFRESH_MS = 30_000;
const RETRY_MS = 1_000;
/** How many of the last lines a crashed container shows, and how much of each. */
const LAST_LINES = 20;
const LAST_LINE_CHARACTERS = 1_000;
const LAST_LINES_DEADLINE_MS = 2_000;

export function createWorker(options: WorkerOptions): Worker {
  return new AssignmentWorker(options);
}

class AssignmentWorker implements Worker {
  readonly #options: WorkerOptions;
  readonly #clock: Clock;
  readonly #logger: Logger;
  readonly #source: AssignmentSource;
  readonly #reporter: Reporter;
  readonly #executors: Executors<Entry>;
  readonly #entries = new Map<string, Entry>();
  readonly #stopping = new AbortController();
  readonly #subscriptions: Subscription[] = [];
  readonly #tasks = new Set<Promise<unknown>>();
  #assignment: Assignment | undefined;
  /** Nothing that is not listed may be stopped or removed. */
  #held = true;
  #engineUp = false;
  #refreshing = false;
  #refreshAgain = false;
  #cancelRefresh: (() => void) | undefined;
  #cancelList: (() => void) | undefined;
  #unlisten: (() => void) | undefined;

  constructor(options: WorkerOptions) {
    this.#options = options;
    this.#clock = options.clock ?? systemClock;
    this.#logger = options.logger;
    this.#source = new AssignmentSource(options.bus, options.node, options.session, join(options.dataDir, 'agent', 'assignment.json'));
    this.#reporter = new Reporter({bus: options.bus, node: options.node, session: options.session, snapshot: () => this.#snapshot(), clock: this.#clock, logger: options.logger});
    this.#executors = createExecutors({
      runtime: options.runtime,
      hooks: options.hooks,
      credentials: options.credentials ?? (() => Promise.resolve(undefined)),
      surroundings: (record) => this.#surroundings(record),
      clock: this.#clock,
      logger: this.#logger,
      onVerdict: (entry, verdict) => this.#onVerdict(entry, verdict),
      onProgress: (entry) => this.#publish(entry),
      onForgotten: (entry) => this.#onForgotten(entry),
    });
  }

  async start(): Promise<void> {
    const {bus, node, session} = this.#options;
    this.#subscriptions.push(await listen(bus, subjects.assignmentChanged, {node}, () => this.#refresh()));
    this.#unlisten = session.onRegistered(() => this.#refresh());
    const cached = await this.#source.cached();
    this.#spawn(this.#watchEngine());
    if (session.current() !== undefined) await this.#fetch().catch((error: unknown) => this.#logger.info({err: error}, 'the control plane does not answer; going on with the assignment of last time'));
    if (!this.#assignment && cached) this.#accept(cached, true);
    this.#scheduleRefresh(REFRESH_MS);
  }

  async stop(): Promise<void> {
    this.#unlisten?.();
    this.#cancelRefresh?.();
    this.#cancelList?.();
    await Promise.all(this.#subscriptions.map((subscription) => subscription.unsubscribe()));
    this.#stopping.abort();
    for (const entry of this.#entries.values()) {
      entry.cancelWake?.();
      entry.abort.abort(this.#stopping.signal.reason);
    }
    await Promise.all([...this.#entries.values()].map(({busy}) => busy));
    for (const {record, memory} of this.#entries.values()) if (record && memory.watched) for (const hook of this.#options.hooks) hook.stopped?.(record);
    await this.#reporter.stop();
    await Promise.all(this.#tasks);
  }

  async restart(id: string): Promise<void> {
    const entry = this.#entries.get(id);
    if (!entry?.wanted || !entry.record) throw workerErrors.unassigned(`The node ${this.#options.node} has no container ${id}.`);
    entry.memory = afterRestartRequest(entry.memory, {reason: 'RestartRequested', message: 'a restart was asked for'});
    if (!isRunning(entry.observed)) entry.memory = {...entry.memory, restart: undefined};
    this.#wake(entry);
    await entry.busy;
  }

  // --- assignment -----------------------------------------------------------------------------------------------------

  #refresh(): void {
    if (this.#stopping.signal.aborted) return;
    this.#refreshAgain = true;
    if (this.#refreshing) return;
    this.#refreshing = true;
    this.#spawn(this.#refreshUntilQuiet());
  }

  async #refreshUntilQuiet(): Promise<void> {
    let delay = REFRESH_MS;
    try {
      while (this.#refreshAgain) {
        this.#refreshAgain = false;
        await this.#fetch();
      }
    } catch (error) {
      this.#logger.debug({err: error}, 'the assignment could not be fetched; going on with the last one');
      delay = RETRY_MS;
    } finally {
      this.#refreshing = false;
    }
    this.#scheduleRefresh(delay);
  }

  #scheduleRefresh(ms: number): void {
    this.#cancelRefresh?.();
    if (!this.#stopping.signal.aborted) this.#cancelRefresh = this.#clock.setTimer(() => this.#refresh(), ms);
  }

  async #fetch(): Promise<void> {
    const assignment = await this.#source.fetch();
    this.#accept(assignment, await this.#mustHold(assignment));
    this.#spawn(this.#source.save(assignment).catch((error: unknown) => this.#logger.warn({err: error}, 'the assignment could not be kept on disk; without the control plane a restarted agent will not know it')));
  }

  /** Law 12: strangers from another past are told to the control plane; only what it says after it knows them is acted upon. */
  async #mustHold(assignment: Assignment): Promise<boolean> {
    const observed = [...this.#entries.values()].flatMap((entry) => entry.observed ?? []);
    const strangers = strangersOf(observed, assignment.listed, assignment.revision);
    const known = await this.#tellStrangers(strangers);
    // Before the first look at the engine there may be strangers that nobody knows of yet.
    if (assignment.hold || !known || !this.#engineUp) return true;
    return strangers.length > 0 && (await this.#source.fetch()).hold;
  }

  /** @returns whether the control plane knows of all of them now */
  async #tellStrangers(strangers: readonly RuntimeContainer[]): Promise<boolean> {
    const session = this.#options.session.current();
    if (session === undefined) return strangers.length === 0;
    let known = true;
    // An origin holds a whole record: one at a time stays under the bus's limit.
    for (const stranger of strangers) {
      const containers = [{id: stranger.id, running: isRunning(stranger), origin: originOf(stranger) ?? null}];
      const {accepted} = await call(this.#options.bus, subjects.reportStrangers, {node: this.#options.node}, {session, containers});
      known &&= accepted;
    }
    return known;
  }

  #accept(assignment: Assignment, held: boolean): void {
    this.#assignment = assignment;
    this.#held = held;
    for (const id of assignment.listed) {
      const entry = this.#entry(id);
      entry.record = assignment.records.get(id) ?? entry.record;
      entry.wanted = true;
    }
    for (const entry of this.#entries.values()) {
      if (entry.wanted && !assignment.listed.has(entry.id)) this.#unwant(entry);
      this.#wake(entry);
    }
  }

  #unwant(entry: Entry): void {
    entry.wanted = false;
    if (entry.doing === 'pull' || entry.doing === 'create') entry.abort.abort(workerErrors.unassigned(`${entry.id} is no longer wanted.`));
  }

  #surroundings(record: ContainerRecord) {
    const {node, dataDir} = this.#options;
    if (!this.#assignment) throw new TypeError('a container is made before an assignment is known');
    const {cluster, revision, records} = this.#assignment;
    const replicas = [...records.values()].filter((other) => other.appUid === record.appUid).length;
    return {cluster, node, dataDir, revision, replicas};
  }

  // --- the engine -----------------------------------------------------------------------------------------------------

  async #watchEngine(): Promise<void> {
    const {signal} = this.#stopping;
    try {
      for await (const event of this.#options.runtime.events(signal)) this.#onEvent(event);
    } catch (error) {
      if (!signal.aborted) this.#logger.error({err: error}, 'the engine is no longer watched');
    }
  }

  #onEvent(event: RuntimeEvent): void {
    if (!('id' in event)) return event.type === 'connected' ? this.#listEngine() : this.#setEngine(false);
    const entry = this.#entries.get(event.id);
    if (!entry) return event.type === 'started' ? this.#listEngine() : undefined;
    if (event.type === 'oom') entry.outOfMemory = true;
    const known = entry.observed?.runtimeId === event.runtimeId && !entry.busy;
    if (!known || event.type === 'removed') entry.stale = true;
    else if (event.type === 'started') entry.stale ||= !isRunning(entry.observed);
    else if (event.type === 'exited') this.#onExit(entry, {exitCode: event.exitCode, oomKilled: entry.outOfMemory, startedAt: entry.observed?.startedAt, finishedAt: event.time});
    this.#wake(entry);
  }

  #onExit(entry: Entry, exit: Exit): void {
    const {observed, record, memory} = entry;
    if (observed) entry.observed = {...observed, state: 'exited', exitCode: exit.exitCode, finishedAt: exit.finishedAt, pid: undefined, ip: undefined, ports: []};
    this.#hooksStopped(entry);
    if (!record || memory.judged) return;
    entry.memory = afterExit(memory, exit, record, this.#clock.now());
    const {outcome, trouble} = entry.memory;
    const cause = outcome ?? trouble;
    if (cause) this.#tell(entry, cause.reason === 'Completed' ? 'normal' : 'warning', cause.reason, cause.message);
    if (observed && exit.exitCode !== 0) this.#spawn(this.#readLastLogs(entry, observed.runtimeId, exit.finishedAt));
  }

  #listEngine(): void {
    this.#cancelList?.();
    this.#spawn(
      this.#list().catch((error: unknown) => {
        if (this.#stopping.signal.aborted) return;
        this.#logger.warn({err: error}, 'the containers of the engine could not be listed; trying again');
        this.#cancelList = this.#clock.setTimer(() => this.#listEngine(), RETRY_MS);
      }),
    );
  }

  async #list(): Promise<void> {
    const busyBefore = new Set([...this.#entries.values()].filter(({busy}) => busy));
    const containers = new Map((await this.#options.runtime.list()).map((container) => [container.id, container]));
    for (const container of containers.values()) this.#entry(container.id);
    for (const entry of this.#entries.values()) {
      // A step that ran meanwhile knows better than the list.
      if (entry.busy || busyBefore.has(entry)) entry.stale = true;
      else this.#observe(entry, containers.get(entry.id));
    }
    this.#setEngine(true);
    this.#reporter.start();
    for (const entry of this.#entries.values()) this.#wake(entry);
    // Strangers may have shown themselves, and what was held for want of a look can go.
    if (this.#assignment) this.#refresh();
  }

  #setEngine(up: boolean): void {
    if (this.#engineUp === up) return;
    this.#engineUp = up;
    this.#options.onEngine?.(up);
  }

  /** The engine's own answer, newer than all that is known. */
  #observe(entry: Entry, container: RuntimeContainer | undefined): void {
    const before = entry.observed;
    entry.stale = false;
    entry.observed = container;
    if (container) entry.record ??= originOf(container)?.container;
    if (isRunning(container)) {
      // Another engine container, or one that was started again behind our back: the hooks watch it anew.
      if (before && (before.runtimeId !== container?.runtimeId || (before.pid !== undefined && container.pid !== before.pid))) this.#hooksStopped(entry);
      entry.memory = seenRunning(entry.memory);
    } else if (container && (container.state === 'exited' || container.state === 'dead')) {
      this.#onExit(entry, {exitCode: container.exitCode ?? 0, oomKilled: container.oomKilled || entry.outOfMemory, startedAt: container.startedAt, finishedAt: container.finishedAt});
    } else {
      this.#hooksStopped(entry);
      if (!container && before && entry.wanted) this.#tell(entry, 'warning', 'RemovedOutside', 'its container was removed in the engine; making it again');
    }
  }

  #hooksStopped(entry: Entry): void {
    if (!entry.memory.watched || !entry.record) return;
    entry.memory = {...entry.memory, watched: false, ready: false, readySince: undefined};
    for (const hook of this.#options.hooks) hook.stopped?.(entry.record);
  }

  async #readLastLogs(entry: Entry, runtimeId: string, until: string | undefined): Promise<void> {
    const signal = AbortSignal.any([this.#stopping.signal, AbortSignal.timeout(LAST_LINES_DEADLINE_MS)]);
    const lines: string[] = [];
    try {
      for await (const {line} of this.#options.runtime.logs(runtimeId, {tail: LAST_LINES, until, follow: false}, signal)) lines.push(line.slice(0, LAST_LINE_CHARACTERS));
    } catch (error) {
      this.#logger.debug({err: error, container: entry.id}, 'its last lines could not be read');
    }
    if (lines.length === 0) return;
    entry.memory = {...entry.memory, lastLogs: lines.slice(-LAST_LINES)};
    this.#publish(entry);
  }

  // --- one container --------------------------------------------------------------------------------------------------

  #entry(id: string): Entry {
    const known = this.#entries.get(id);
    if (known) return known;
    const entry = newEntry(id);
    this.#entries.set(id, entry);
    return entry;
  }

  #wake(entry: Entry): void {
    if (this.#entries.get(entry.id) !== entry) return;
    this.#publish(entry);
    if (entry.busy) {
      entry.again = true;
      return;
    }
    if (!this.#engineUp || this.#stopping.signal.aborted) return;
    entry.busy = this.#run(entry).finally(() => {
      entry.busy = undefined;
      // Between its last look and now.
      if (entry.again) this.#wake(entry);
    });
  }

  async #run(entry: Entry): Promise<void> {
    do {
      entry.again = false;
      entry.cancelWake?.();
      if (!(await this.#freshen(entry))) return;
      const plan = planContainer(situationOf(entry, this.#held), this.#clock.now());
      if (plan.wakeAt !== undefined) entry.cancelWake = this.#clock.setTimer(() => this.#wake(entry), plan.wakeAt - this.#clock.now());
      const [step] = plan.steps;
      if (step) entry.again = (await this.#execute(entry, step)) || entry.again;
    } while (entry.again && this.#engineUp && !this.#stopping.signal.aborted && this.#entries.get(entry.id) === entry);
  }

  /** @returns whether the engine answered */
  async #freshen(entry: Entry): Promise<boolean> {
    while (entry.stale) {
      entry.stale = false;
      try {
        const container = await this.#options.runtime.inspect(entry.id);
        const moved = entry.stale;
        this.#observe(entry, container);
        entry.stale = moved;
        this.#publish(entry);
      } catch (error) {
        entry.stale = true;
        this.#retry(entry, error);
        return false;
      }
    }
    return true;
  }

  /** @returns whether to plan again at once */
  async #execute(entry: Entry, step: Step): Promise<boolean> {
    entry.doing = step.action;
    entry.progress = undefined;
    entry.abort = new AbortController();
    if (step.action !== 'watch' && step.action !== 'forget') this.#publish(entry);
    try {
      await this.#perform(entry, step, entry.abort.signal);
      return true;
    } catch (error) {
      return this.#onFailure(entry, step, error);
    } finally {
      entry.doing = undefined;
      if (this.#entries.get(entry.id) === entry) this.#publish(entry);
    }
  }

  #perform<A extends Action>(entry: Entry, step: StepOf<A>, signal: AbortSignal): Promise<void> {
    return this.#executors[step.action](entry, step, signal);
  }

  #onFailure(entry: Entry, step: Step, error: unknown): boolean {
    if (entry.abort.signal.aborted) return true;
    entry.stale = step.action !== 'pull';
    if (isError(error, 'runtime-unavailable') || !entry.record) {
      this.#retry(entry, error);
      return false;
    }
    if (isError(error, 'container-not-found')) return true;
    const cause = causeOf(error);
    this.#logger.warn({err: error, container: entry.id, step: step.action}, 'a step failed; it is tried again');
    this.#tell(entry, 'warning', cause.reason, cause.message);
    // Back-off is for bringing up; what is being taken down is tried again soon.
    if (!entry.wanted || step.action === 'stop' || step.action === 'remove') {
      entry.memory = {...entry.memory, trouble: cause};
      this.#retry(entry, error);
      return false;
    }
    entry.memory = afterFailure(entry.memory, cause, entry.record, this.#clock.now());
    return true;
  }

  #retry(entry: Entry, error: unknown): void {
    this.#logger.debug({err: error, container: entry.id}, 'looking again in a moment');
    entry.cancelWake?.();
    entry.cancelWake = this.#clock.setTimer(() => this.#wake(entry), RETRY_MS);
  }

  #onVerdict(entry: Entry, verdict: Verdict): void {
    if (!entry.record || !entry.memory.watched || this.#entries.get(entry.id) !== entry) return;
    const now = this.#clock.now();
    entry.memory = afterVerdict(entry.memory, verdict.ready, verdict.message, now);
    if (verdict.restart && !entry.memory.restart) {
      entry.memory = afterUnhealthy(entry.memory, verdict.restart, entry.record, now);
      this.#tell(entry, 'warning', verdict.restart.reason, verdict.restart.message);
      this.#wake(entry);
    } else {
      this.#publish(entry);
    }
  }

  #onForgotten(entry: Entry): void {
    entry.cancelWake?.();
    this.#entries.delete(entry.id);
    const {record} = entry;
    if (record) this.#reporter.report({id: entry.id, namespace: record.namespace, app: record.app, status: {...statusOf(situationOf(entry, this.#held), undefined, undefined), phase: 'removed', ready: false}});
  }

  // --- reports --------------------------------------------------------------------------------------------------------

  #publish(entry: Entry): void {
    const report = this.#reportOf(entry);
    // Before the first look at the engine, what is known of a container may be wrong.
    if (!report || !this.#engineUp) return;
    const text = JSON.stringify(report.status);
    if (text === entry.reported) return;
    entry.reported = text;
    this.#reporter.report(report);
  }

  #reportOf(entry: Entry): ContainerReport | undefined {
    const {id, record} = entry;
    return record && {id, namespace: record.namespace, app: record.app, status: statusOf(situationOf(entry, this.#held), entry.doing, entry.progress)};
  }

  #snapshot(): readonly ContainerReport[] {
    return [...this.#entries.values()].flatMap((entry) => this.#reportOf(entry) ?? []);
  }

  #tell(entry: Entry, type: 'normal' | 'warning', reason: string, message: string): void {
    if (!entry.record) return;
    const {namespace} = entry.record;
    this.#reporter.event({time: new Date(this.#clock.now()).toISOString(), namespace, kind: 'Container', name: entry.id, type, reason, message, node: this.#options.node, container: entry.id});
  }

  #spawn(task: Promise<unknown>): void {
    this.#tasks.add(task);
    void task.catch((error: unknown) => this.#logger.error({err: error}, 'something broke in the worker')).finally(() => this.#tasks.delete(task));
  }
}

function isRunning(container: RuntimeContainer | undefined): boolean {
  return container?.state === 'running' || container?.state === 'paused';
}
