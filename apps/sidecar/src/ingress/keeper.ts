/**
 * Keeps HAProxy as the agent's plan says, also while there is no agent: found when it runs already, started again when it was
 * killed, reloaded only where the plan has another structure, and else told of containers through its socket.
 */
import {existsSync} from 'node:fs';
import {readFile} from 'node:fs/promises';
import {LOOK_AT_PLACES, placesOf, type ProxyPlan, type ProxyState, readPlan, stepsTo} from '@hivemind/discovery/ingress';
import type {Logger} from 'pino';
import {ProxyProcess, takenPort} from './proxy-process.ts';
import {ask, tell} from './runtime-socket.ts';

export interface IngressKeeperOptions {
  /** What the agent wants; undefined: nothing is kept, as there is no data dir. */
  readonly file: string | undefined;
  /** Of HAProxy's files and sockets. */
  readonly dir: string;
  readonly logger: Pick<Logger, 'info' | 'warn'>;
  /** Calls once after `ms`; answers how to cancel. */
  readonly setTimer: (callback: () => void, ms: number) => () => void;
  /** Monotonic ms. */
  readonly now: () => number;
}

/** Whether it lives is looked at so often, ms. */
const LOOK_EVERY_MS = 500;
/** Everything is looked at so often, ms. */
const WHOLE_EVERY_MS = 5_000;
/** While connections to some who have left are not over, ms: at first, how much later each time, and at most. */
const LEAVING = {first: 20, growth: 1.5, most: 500};
/** To answer after a start or a reload, and to end. */
const WITHIN_MS = 5_000;
const POLL_MS = 20;
/** Places that were moved are read again; more often than this something is amiss. */
const MOST_ROUNDS = 3;

const messageOf = (error: unknown): string => (error instanceof Error ? error.message : String(error));

const NOTHING: ProxyState = {version: '', running: false, problem: ''};

export class IngressKeeper {
  readonly #options: IngressKeeperOptions;
  readonly #proxy: ProxyProcess;
  #state = NOTHING;
  #working: Promise<void> = Promise.resolve();
  /** Monotonic ms. */
  #wholeAt = 0;
  /** ms until it is looked at again how those fare who leave; undefined: all of them are gone. */
  #leaving: number | undefined;
  #cancel = (): void => undefined;
  #stopped = false;
  /** The plan that HAProxy refused, not to be tried again and again. */
  #refused: string | undefined;

  constructor(options: IngressKeeperOptions) {
    this.#options = options;
    this.#proxy = new ProxyProcess(options.dir);
  }

  get state(): ProxyState {
    return this.#state;
  }

  /** Goes on where the process before this one was. */
  async start(): Promise<void> {
    if (this.#options.file === undefined) return;
    await this.apply();
  }

  /** The agent has written another plan. Never rejects: what is wrong is in the answer. */
  async apply(): Promise<ProxyState> {
    this.#refused = undefined;
    this.#leaving = undefined;
    await this.#work();
    this.#look();
    return this.#state;
  }

  /** HAProxy's own, as Prometheus reads them; undefined: it does not run. */
  metricsSocket(): string | undefined {
    return this.#proxy.pid() === undefined ? undefined : this.#proxy.metricsSocket;
  }

  /** HAProxy runs on; it ends where the machine's data dir is gone, since nobody would find it any more. */
  async stop(): Promise<void> {
    this.#stopped = true;
    this.#cancel();
    const pid = this.#proxy.pid();
    await this.#working;
    if (pid !== undefined && !existsSync(this.#options.dir)) process.kill(pid, 'SIGTERM');
  }

  /** Again, and again after that. */
  #look(): void {
    this.#cancel();
    if (this.#stopped) return;
    this.#cancel = this.#options.setTimer(() => {
      const whole = this.#options.now() - this.#wholeAt >= WHOLE_EVERY_MS;
      const gone = this.#state.running && this.#proxy.pid() === undefined;
      if (gone) this.#options.logger.warn({}, 'HAProxy ended; it is started again');
      const done = whole || gone || this.#leaving !== undefined || (!this.#state.running && this.#state.problem !== '') ? this.#work() : Promise.resolve();
      void done.then(() => this.#look());
    }, Math.min(LOOK_EVERY_MS, this.#leaving ?? LOOK_EVERY_MS));
  }

  /** One at a time, each by the plan as it is then. */
  #work(): Promise<void> {
    this.#working = this.#working.then(async () => {
      if (this.#stopped) return;
      this.#wholeAt = this.#options.now();
      const text = await readFile(this.#options.file ?? '', 'utf8').catch(() => undefined);
      const plan = text === undefined ? undefined : readPlan(text);
      // Nothing that can be read says nothing: what runs, runs on.
      if (plan === undefined) return;
      const problem = await this.#bringTo(plan).catch(messageOf);
      const running = this.#proxy.pid() !== undefined;
      const before = this.#state;
      this.#state = {version: problem === '' ? plan.version : before.version, running, problem: [problem, plan.problem].filter((part) => part !== '').join('; ')};
      if (this.#state.problem !== before.problem && this.#state.problem !== '') this.#options.logger.warn({problem: this.#state.problem}, 'ingress is not as it should be');
      await this.#proxy.rotate().catch(() => undefined);
    });
    return this.#working;
  }

  /** @returns what is wrong; empty: it is as the plan says */
  async #bringTo(plan: ProxyPlan): Promise<string> {
    if (plan.config === '') {
      await this.#end();
      return '';
    }
    const running = await this.#structure();
    const problem = running === undefined ? await this.#begin(plan) : running === plan.structure ? '' : await this.#reload(plan).catch(messageOf);
    if (this.#proxy.pid() === undefined) return problem;
    // Also where it goes on as it was: that must lead to nobody who has left meanwhile.
    const isShort = await this.#lead(plan);
    if (problem !== '') return problem;
    this.#ports = new Set(plan.ports);
    if (isShort) return this.#replace(plan);
    // Only now: a start with containers that it was never told of would be another plan.
    await this.#proxy.write(plan.config);
    return '';
  }

  /** In all places that could be had, requests to others are under way: another process has all of them free. */
  async #replace(plan: ProxyPlan): Promise<string> {
    const problem = await this.#reload(plan);
    return problem === '' && (await this.#lead(plan)) ? 'HAProxy has not the places that its configuration says' : problem;
  }

  /** As it runs; undefined: it does not. */
  async #structure(): Promise<string | undefined> {
    if (this.#proxy.pid() === undefined) return undefined;
    const info = await this.#info();
    if (info !== undefined) return info.structure;
    // It starts just now, or hangs.
    const answered = await this.#until(async () => (await this.#info()) !== undefined || this.#proxy.pid() === undefined, this.#options.now());
    if (answered) return this.#structure();
    this.#options.logger.warn({}, 'HAProxy does not answer; it is ended');
    this.#proxy.signal('SIGKILL');
    await this.#until(async () => this.#proxy.pid() === undefined, this.#options.now());
    return undefined;
  }

  /** Of the process that takes what is new; undefined: it does not answer. */
  async #info(): Promise<{readonly structure: string; readonly pid: string} | undefined> {
    const info = await ask(this.#proxy.adminSocket, 'show info').catch(() => '');
    const of = (name: string): string | undefined => new RegExp(`^${name}: ?(.*)$`, 'im').exec(info)?.[1];
    const pid = of('Pid');
    return pid === undefined ? undefined : {structure: of('Description') ?? '', pid};
  }

  async #begin(plan: ProxyPlan): Promise<string> {
    if (this.#refused === plan.structure) return this.#state.problem;
    await this.#check(plan);
    const taken = await takenPort(plan.ports);
    if (taken !== undefined) return taken;
    await this.#proxy.adopt();
    const {ended} = await this.#proxy.start();
    let end: string | undefined;
    void ended.then((reason) => (end = reason));
    const up = await this.#until(async () => end !== undefined || (await this.#runs(plan)), this.#options.now());
    if (end !== undefined) return `HAProxy does not start: ${end}`;
    if (!up) return 'HAProxy was started and does not answer';
    this.#options.logger.info({pid: this.#proxy.pid(), ports: plan.ports}, 'HAProxy is started');
    return '';
  }

  async #reload(plan: ProxyPlan): Promise<string> {
    if (this.#refused === plan.structure) return this.#state.problem;
    await this.#check(plan);
    const taken = await takenPort(plan.ports.filter((port) => !this.#ports.has(port)));
    if (taken !== undefined && this.#ports.size > 0) return taken;
    const before = await this.#info();
    await this.#proxy.adopt();
    this.#proxy.reload();
    if (!(await this.#until(() => this.#runs(plan, before?.pid), this.#options.now()))) {
      await this.#proxy.goBack();
      return 'HAProxy did not take the new configuration and goes on with the one before';
    }
    this.#options.logger.info({ports: plan.ports}, 'HAProxy has a new configuration');
    return '';
  }

  /** Those it listens at, as far as that is known: of a process that was found it is not. */
  #ports: ReadonlySet<number> = new Set();

  /** In another process than `before`. */
  async #runs(plan: ProxyPlan, before?: string): Promise<boolean> {
    const info = await this.#info();
    if (info?.structure !== plan.structure || info.pid === before) return false;
    this.#ports = new Set(plan.ports);
    return true;
  }

  async #check(plan: ProxyPlan): Promise<void> {
    await this.#proxy.check(plan.config).catch((error: unknown) => {
      this.#refused = plan.structure;
      throw error;
    });
  }

  /** It leads to those who are in rotation, and nobody else. @returns whether some of them have no place */
  async #lead({servers}: ProxyPlan): Promise<boolean> {
    const {adminSocket} = this.#proxy;
    for (let round = 0; round < MOST_ROUNDS; round++) {
      const {commands, closing, isShort, isLeaving} = stepsTo(servers, placesOf(await ask(adminSocket, LOOK_AT_PLACES)));
      await tell(adminSocket, [...commands, ...closing]);
      if (commands.length > 0) continue;
      this.#leaving = isLeaving ? Math.min(LEAVING.most, (this.#leaving ?? LEAVING.first) * LEAVING.growth) : undefined;
      return isShort;
    }
    throw new Error('HAProxy does not take the containers that it is told of');
  }

  async #end(): Promise<void> {
    if (this.#proxy.pid() === undefined) return;
    // What is under way may end by itself; nothing new is taken.
    this.#proxy.signal('SIGTERM');
    if (!(await this.#until(async () => this.#proxy.pid() === undefined, this.#options.now()))) this.#proxy.signal('SIGKILL');
    await this.#proxy.clear();
    this.#options.logger.info({}, 'no ingress is left here: HAProxy is ended');
  }

  /** @returns whether it came true in time */
  async #until(condition: () => Promise<boolean>, since: number): Promise<boolean> {
    while (!(await condition())) {
      if (this.#options.now() - since >= WITHIN_MS) return false;
      await new Promise<void>((resolve) => void this.#options.setTimer(resolve, POLL_MS));
    }
    return true;
  }
}
