/**
 * The machine's containers, each with a loop of its own: what happens to one (an assignment, an engine event, a verdict, a
 * timer) only moves what is known of it; then its plan is made anew, and the first step of it done.
 */
import {fencingOf, isError} from '@hivemind/contracts';
import type {Clock} from '@hivemind/controller';
import type {NodeHook, Runtime, RuntimeContainer, Verdict} from '@hivemind/runtime';
import type {Logger} from 'pino';
import type {Assignment} from './assignment.ts';
import type {Contact} from './core/isolation.ts';
import {afterExit, afterFailure, afterRestartRequest, afterUnhealthy, afterVerdict, type Cause, type Exit, recalled, seenRunning} from './core/memory.ts';
import {planContainer} from './core/plan.ts';
import {statusOf} from './core/status.ts';
import type {Action, Executors, Step, StepOf} from './core/steps.ts';
import {originOf} from './core/timeline.ts';
import type {ContainerEvent} from './engine-watch.ts';
import {type Entry, newEntry, situationOf} from './entry.ts';
import {causeOf, workerErrors} from './errors.ts';
import {readLastLines} from './last-lines.ts';
import type {Ledger} from './ledger.ts';
import type {ContainerReport, Reporter} from './reporter.ts';
import type {Session} from './session.ts';

export interface ContainersOptions {
  readonly node: string;
  readonly session: Session;
  readonly runtime: Runtime;
  readonly hooks: readonly NodeHook[];
  readonly executors: Executors<Entry>;
  readonly reporter: Reporter;
  readonly ledger: Ledger;
  readonly clock: Clock;
  readonly logger: Logger;
}

/** After an engine that did not answer, and for what is being taken down. */
const RETRY_MS = 1_000;

export class Containers {
  readonly #options: ContainersOptions;
  readonly #entries = new Map<string, Entry>();
  readonly #ending = new AbortController();
  /** What ran while the engine was asked for its list knows better than the list. */
  readonly #busyWhileListing = new Set<Entry>();
  #held = true;
  /** The session under which the assignment was given. */
  #assignedUnder: number | undefined;
  #engineUp = false;
  #listed = false;

  constructor(options: ContainersOptions) {
    this.#options = options;
  }

  /** What the engine has; undefined before the first look at it. */
  observed(): readonly RuntimeContainer[] | undefined {
    return this.#listed ? [...this.#entries.values()].flatMap(({observed}) => observed ?? []) : undefined;
  }

  assign({listed, records, session}: Assignment, held: boolean): void {
    this.#held = held;
    this.#assignedUnder = session;
    for (const id of listed) {
      const entry = this.#entry(id);
      entry.record = records.get(id) ?? entry.record;
      // What was reported while the store did not know it (law 12) was refused: adopted, it is reported anew.
      if (!entry.wanted) this.#want(entry);
    }
    for (const entry of this.#entries.values()) {
      if (entry.wanted && !listed.has(entry.id)) this.#unwant(entry);
      this.#wake(entry);
    }
  }

  onListing(): void {
    this.#busyWhileListing.clear();
    for (const entry of this.#entries.values()) if (entry.busy) this.#busyWhileListing.add(entry);
  }

  onList(containers: ReadonlyMap<string, RuntimeContainer>): void {
    for (const id of containers.keys()) this.#entry(id);
    this.#engineUp = true;
    this.#listed = true;
    for (const entry of this.#entries.values()) {
      if (entry.busy || this.#busyWhileListing.has(entry)) entry.stale = true;
      else this.#observe(entry, containers.get(entry.id));
      this.#wake(entry);
    }
  }

  /** The engine is away: no status changes until it is back. */
  onLost(): void {
    this.#engineUp = false;
  }

  onEvent(event: ContainerEvent): void {
    const entry = this.#entries.get(event.id);
    if (!entry) return;
    if (event.type === 'oom') entry.outOfMemory = true;
    const known = entry.observed?.runtimeId === event.runtimeId && !entry.busy;
    // Nobody is connected to what has ended.
    if (entry.doing === 'drain' && event.type !== 'oom') entry.abort.abort();
    // The step that starts it says so itself.
    if (event.type === 'started' && entry.doing === 'start') return;
    if (!known || event.type === 'removed') entry.stale = true;
    else if (event.type === 'started') entry.stale ||= !isRunning(entry.observed);
    else if (event.type === 'exited') this.#onExit(entry, {exitCode: event.exitCode, oomKilled: entry.outOfMemory, startedAt: entry.observed?.startedAt, finishedAt: event.time});
    this.#wake(entry);
  }

  onVerdict(entry: Entry, verdict: Verdict): void {
    if (!entry.record || !entry.memory.watched || this.#entries.get(entry.id) !== entry) return;
    const now = this.#options.clock.now();
    entry.memory = afterVerdict(entry.memory, verdict.ready, verdict.message, now);
    if (verdict.restart && !entry.memory.restart) {
      entry.memory = afterUnhealthy(entry.memory, verdict.restart, entry.record, now);
      this.tell(entry, verdict.restart);
      this.#wake(entry);
    } else {
      this.publish(entry);
    }
  }

  /** @throws `unassigned` */
  async restart(id: string): Promise<void> {
    const entry = this.#entries.get(id);
    if (!entry?.wanted || !entry.record) throw workerErrors.unassigned(`The node ${this.#options.node} has no container ${id}.`);
    entry.memory = afterRestartRequest(entry.memory, isRunning(entry.observed) ? {reason: 'RestartRequested', message: 'a restart was asked for'} : undefined);
    this.#wake(entry);
    await entry.busy;
  }

  /** Whether something runs, or may, that is stopped when the control plane is not heard for long. */
  hasGuarded(): boolean {
    return [...this.#entries.values()].some(({record, observed, busy}) => record !== undefined && fencingOf(record.template)?.onIsolation === 'stop' && (!this.#engineUp || busy !== undefined || isRunning(observed)));
  }

  /** Leaves every container as it is; finishes the steps that run. */
  async stop(): Promise<void> {
    this.#ending.abort();
    for (const entry of this.#entries.values()) {
      entry.cancelWake?.();
      entry.abort.abort(this.#ending.signal.reason);
    }
    await Promise.all([...this.#entries.values()].flatMap(({busy, reading}) => [busy, reading]));
    for (const entry of this.#entries.values()) this.#hooksStopped(entry);
  }

  snapshot(): readonly ContainerReport[] {
    return [...this.#entries.values()].flatMap((entry) => this.#reportOf(entry) ?? []);
  }

  /** Reports a container's status if that changed. */
  publish(entry: Entry): void {
    this.#options.ledger.note(entry.id, entry.memory);
    const report = this.#reportOf(entry);
    // Before the first look at the engine, what is known of a container may be wrong.
    if (!report || !this.#listed || this.#ending.signal.aborted) return;
    const text = JSON.stringify(report.status);
    if (text === entry.reported) return;
    entry.reported = text;
    this.#options.reporter.report(report);
  }

  /** Something happened to it, for people. */
  tell({id, record}: Entry, {reason, message}: Cause): void {
    if (!record) return;
    const {clock, node, reporter} = this.#options;
    reporter.event({time: new Date(clock.now()).toISOString(), namespace: record.namespace, kind: 'Container', name: id, type: reason === 'Completed' ? 'normal' : 'warning', reason, message, node, container: id});
  }

  forget(entry: Entry): void {
    const report = this.#reportOf(entry);
    entry.cancelWake?.();
    this.#entries.delete(entry.id);
    this.#options.ledger.forget(entry.id);
    if (report) this.#options.reporter.report({...report, status: {...report.status, phase: 'removed', ready: false}});
  }

  // --- what is known --------------------------------------------------------------------------------------------------

  #entry(id: string): Entry {
    const known = this.#entries.get(id);
    if (known) return known;
    const entry = newEntry(id);
    entry.memory = recalled(entry.memory, this.#options.ledger.past(id));
    this.#entries.set(id, entry);
    return entry;
  }

  #want(entry: Entry): void {
    entry.wanted = true;
    entry.reported = '';
    entry.memory = {...entry.memory, drained: false};
    if (entry.doing === 'drain') entry.abort.abort();
  }

  #unwant(entry: Entry): void {
    entry.wanted = false;
    if (entry.doing === 'pull' || entry.doing === 'create') entry.abort.abort(workerErrors.unassigned(`${entry.id} is no longer wanted.`));
  }

  /** The engine's own answer, newer than all that is known. */
  #observe(entry: Entry, container: RuntimeContainer | undefined): void {
    const before = entry.observed;
    entry.stale = false;
    entry.observed = container;
    if (container) entry.record ??= originOf(container)?.container;
    if (container && isRunning(container)) {
      // Another one than before, or started again behind our back: the hooks watch it anew.
      const another = before && (before.runtimeId !== container.runtimeId || (before.pid !== undefined && container.pid !== before.pid));
      if (another) this.#hooksStopped(entry);
      entry.memory = seenRunning(entry.memory);
    } else if (container?.state === 'exited' || container?.state === 'dead') {
      const {exitCode = 0, oomKilled, startedAt, finishedAt} = container;
      this.#onExit(entry, {exitCode, oomKilled: oomKilled || entry.outOfMemory, startedAt, finishedAt});
    } else {
      this.#hooksStopped(entry);
      if (!container && before && entry.wanted && !entry.memory.outcome) this.tell(entry, {reason: 'RemovedOutside', message: 'its container was removed in the engine; making it again'});
    }
  }

  #onExit(entry: Entry, exit: Exit): void {
    const {observed, record, memory} = entry;
    if (observed) entry.observed = {...observed, state: observed.state === 'dead' ? 'dead' : 'exited', exitCode: exit.exitCode, finishedAt: exit.finishedAt, pid: undefined, ip: undefined, ports: []};
    this.#hooksStopped(entry);
    // What was judged, or is known to be over from before this process, is not judged again.
    if (!record || memory.judged || memory.outcome) return;
    entry.memory = afterExit(memory, exit, record, this.#options.clock.now());
    const cause = entry.memory.outcome ?? entry.memory.trouble;
    if (cause) this.tell(entry, cause);
    if (observed && exit.exitCode !== 0) entry.reading = this.#readLastLines(entry, observed.runtimeId, exit.finishedAt);
  }

  #hooksStopped(entry: Entry): void {
    if (!entry.memory.watched || !entry.record) return;
    entry.memory = {...entry.memory, watched: false, ready: false, readySince: undefined};
    for (const hook of this.#options.hooks) hook.stopped?.(entry.record);
  }

  /** Beside the restart, which does not wait for it. */
  async #readLastLines(entry: Entry, runtimeId: string, until: string | undefined): Promise<void> {
    const {runtime, logger} = this.#options;
    try {
      const lastLogs = await readLastLines(runtime, runtimeId, until, this.#ending.signal);
      if (lastLogs.length === 0) return;
      entry.memory = {...entry.memory, lastLogs};
      this.publish(entry);
    } catch (error) {
      logger.debug({err: error, container: entry.id}, 'its last lines could not be read');
    }
  }

  // --- what is done ---------------------------------------------------------------------------------------------------

  #wake(entry: Entry): void {
    if (this.#entries.get(entry.id) !== entry) return;
    this.publish(entry);
    if (entry.busy) {
      entry.again = true;
      return;
    }
    if (!this.#engineUp || this.#ending.signal.aborted) return;
    entry.busy = this.#run(entry).finally(() => {
      entry.busy = undefined;
      // Between its last look and now.
      if (entry.again) this.#wake(entry);
    });
  }

  async #run(entry: Entry): Promise<void> {
    const {clock} = this.#options;
    do {
      entry.again = false;
      entry.cancelWake?.();
      if (!(await this.#freshen(entry))) return;
      const {steps: [step], wakeAt} = planContainer(situationOf(entry, this.#held, this.#contact(entry)), clock.now());
      if (wakeAt !== undefined) entry.cancelWake = clock.setTimer(() => this.#wake(entry), wakeAt - clock.now());
      if (step) entry.again = (await this.#execute(entry, step)) || entry.again;
    } while (entry.again && this.#engineUp && !this.#ending.signal.aborted && this.#entries.get(entry.id) === entry);
  }

  /** Asked only where it matters: most containers may run twice. */
  #contact({record}: Entry): Contact | undefined {
    if (record === undefined || fencingOf(record.template) === undefined) return undefined;
    const {session} = this.#options;
    const current = session.current();
    return {silentMs: session.silentMs?.() ?? 0, current: current !== undefined && current === this.#assignedUnder};
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
        this.publish(entry);
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
    this.publish(entry);
    try {
      await this.#perform(entry, step, entry.abort.signal);
      return true;
    } catch (error) {
      return this.#onFailure(entry, step, error);
    } finally {
      entry.doing = undefined;
      if (this.#entries.get(entry.id) === entry) this.publish(entry);
    }
  }

  #perform<A extends Action>(entry: Entry, step: StepOf<A>, signal: AbortSignal): Promise<void> {
    return this.#options.executors[step.action](entry, step, signal);
  }

  #onFailure(entry: Entry, step: Step, error: unknown): boolean {
    if (entry.abort.signal.aborted) return true;
    entry.stale = step.action !== 'pull';
    if (isError(error, 'container-not-found')) return true;
    if (isError(error, 'runtime-unavailable') || !entry.record) {
      this.#retry(entry, error);
      return false;
    }
    const cause = causeOf(error);
    this.#options.logger.warn({err: error, container: entry.id, step: step.action}, 'a step failed; it is tried again');
    this.tell(entry, cause);
    // Back-off is for bringing up; what is being taken down is tried again soon.
    if (!entry.wanted || step.action === 'stop' || step.action === 'remove') {
      entry.memory = {...entry.memory, trouble: cause};
      this.#retry(entry, error);
      return false;
    }
    entry.memory = afterFailure(entry.memory, cause, entry.record, this.#options.clock.now());
    return true;
  }

  #retry(entry: Entry, error: unknown): void {
    this.#options.logger.debug({err: error, container: entry.id}, 'looking again in a moment');
    entry.cancelWake?.();
    entry.cancelWake = this.#options.clock.setTimer(() => this.#wake(entry), RETRY_MS);
  }

  // --- what is told ---------------------------------------------------------------------------------------------------

  #reportOf(entry: Entry): ContainerReport | undefined {
    const {id, record} = entry;
    return record && {id, namespace: record.namespace, app: record.app, status: statusOf(situationOf(entry, this.#held), entry.doing, entry.progress)};
  }
}

function isRunning(container: RuntimeContainer | undefined): boolean {
  return container?.state === 'running' || container?.state === 'paused';
}
