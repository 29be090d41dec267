/**
 * A cluster in one process: every manager, and machines that are whole agents on engines in memory. A machine can be cut off
 * and plugged in again; time that nobody needs to wait for is skipped.
 */
import type {Agent} from '@hivemind/agent';
import {createAppManager} from '@hivemind/app/control';
import {busErrors, createEmbeddedBus, type Bus} from '@hivemind/bus';
import {createContainerManager} from '@hivemind/container/control';
import {createFakeRuntime, type FakeRuntime} from '@hivemind/container/testing';
import {App, collections, Container, listOf, Node, type AppSpecInput} from '@hivemind/contracts';
import type {Clock} from '@hivemind/controller';
import {createDeploymentManager} from '@hivemind/deployment/control';
import {createNodeManager} from '@hivemind/node/control';
import {createSchedulerManager} from '@hivemind/scheduler/control';
import {createSecurityManager} from '@hivemind/security/control';
import {createHttp, flushEvents, type HttpServer, type Manager, type ManagerContext} from '@hivemind/service';
import {createStorageManager} from '@hivemind/storage/control';
import {collection, openSqliteStore, type Store} from '@hivemind/store';
import {ManualClock} from '@hivemind/store/testing';
import {removeTempDir, tempDir, waitFor} from '@hivemind/testkit';
import {setImmediate as turn} from 'node:timers/promises';
import {pino} from 'pino';
import {Registry} from 'prom-client';

const logger = pino({level: process.env['LOG'] ?? 'silent'});
const CLUSTER = 'c1-cluster';
const leases = collection(collections.nodeLeases);

interface Timer {
  readonly callback: () => void;
  readonly at: number;
  handle: NodeJS.Timeout | undefined;
}

/** The machine's clock, which a test may push forward. */
export class SkippingClock implements Clock {
  #skipped = 0;
  readonly #timers = new Set<Timer>();

  now(): number {
    return Date.now() + this.#skipped;
  }

  monotonic(): number {
    return performance.now() + this.#skipped;
  }

  setTimer(callback: () => void, ms: number): () => void {
    const timer: Timer = {callback, at: this.monotonic() + ms, handle: undefined};
    this.#timers.add(timer);
    this.#arm(timer);
    return () => this.#disarm(timer);
  }

  /** In steps, so that nobody takes it for a stall of the process. */
  async skip(ms: number, stepMs = 500): Promise<void> {
    for (let left = ms; left > 0; left -= stepMs) {
      this.#skipped += Math.min(left, stepMs);
      for (const timer of [...this.#timers].toSorted((a, b) => a.at - b.at)) {
        if (timer.at > this.monotonic()) this.#arm(timer);
        else if (this.#timers.has(timer)) this.#fire(timer);
      }
      for (let turns = 0; turns < 20; turns++) await turn();
    }
  }

  #arm(timer: Timer): void {
    clearTimeout(timer.handle);
    timer.handle = setTimeout(() => this.#fire(timer), Math.max(0, timer.at - this.monotonic())).unref();
  }

  #fire(timer: Timer): void {
    this.#disarm(timer);
    timer.callback();
  }

  #disarm(timer: Timer): void {
    clearTimeout(timer.handle);
    this.#timers.delete(timer);
  }
}

export interface MachineOptions {
  readonly labels?: Readonly<Record<string, string>>;
}

export class Machine {
  readonly name: string;
  readonly runtime: FakeRuntime = createFakeRuntime({cluster: CLUSTER});
  readonly #dataDir = tempDir('machine');
  readonly #cluster: Machines;
  #agent: Agent | undefined;
  #cut = false;

  constructor(cluster: Machines, name: string) {
    this.#cluster = cluster;
    this.name = name;
  }

  async start({labels}: MachineOptions = {}): Promise<void> {
    const {startAgent} = await import('@hivemind/agent');
    this.#agent = await startAgent({bus: this.#cable(), dataDir: this.#dataDir, name: this.name, cluster: CLUSTER, runtime: this.runtime, address: '127.0.0.1', clock: this.#cluster.clock, logger, ...(labels ? {labels} : {})});
  }

  async stop(): Promise<void> {
    await this.#agent?.stop();
    await removeTempDir(this.#dataDir);
  }

  /** Ids of what runs here, whoever knows of it. */
  running(): readonly string[] {
    return [...this.runtime.engine.containers.values()].filter(({process}) => process !== undefined).map(({spec}) => spec.record.id).toSorted();
  }

  /** Nothing comes through to it, nor from it; what runs there runs on. Its lease lapses. */
  async cut(): Promise<void> {
    this.#cut = true;
    const lease = await leases.in(this.#cluster.store).get(this.name);
    if (lease) await this.#cluster.store.revokeLease(lease.value.lease);
  }

  plug(): void {
    this.#cut = false;
  }

  #cable(): Bus {
    const {bus} = this.#cluster;
    const through = async <T>(what: () => Promise<T>): Promise<T> => {
      if (this.#cut) throw busErrors.disconnected('The cable is cut.');
      return what();
    };
    return {
      ...bound(bus),
      publish: (subject, data, headers) => through(() => bus.publish(subject, data, headers)),
      request: (subject, data, options) => through(() => bus.request(subject, data, options)),
      openStream: (subject, params, options) => through(() => bus.openStream(subject, params, options)),
      subscribe: (pattern, handler, options) => bus.subscribe(pattern, (message) => (this.#cut ? undefined : handler(message)), options),
      respond: (pattern, handler, options) => bus.respond(pattern, (message, context) => through(() => handler(message, context)), options),
      close: async () => undefined,
    };
  }
}

function bound(bus: Bus): Pick<Bus, 'serveStreams' | 'onStatus'> {
  return {serveStreams: (pattern, handler, options) => bus.serveStreams(pattern, handler, options), onStatus: (listener) => bus.onStatus(listener)};
}

export interface MachinesOptions {
  /** What managers and agents talk through; default: the embedded bus as it is. */
  readonly wrap?: (bus: Bus) => Bus;
}

export class Machines implements AsyncDisposable {
  readonly store: Store;
  readonly bus: Bus;
  readonly clock = new SkippingClock();
  readonly machines = new Map<string, Machine>();
  readonly #http: HttpServer;
  readonly #dataDir = tempDir('machines');
  #managers: readonly Manager[] = [];
  #uids = 0;

  private constructor(store: Store, bus: Bus) {
    this.store = store;
    this.bus = bus;
    this.#http = createHttp({logger, metrics: new Registry(), name: 'test'});
  }

  static async start(names: readonly string[], {wrap = (bus) => bus}: MachinesOptions = {}): Promise<Machines> {
    // Leases lapse when a test says so, and not because this process was busy.
    const cluster = new Machines(await openSqliteStore({path: ':memory:', clock: new ManualClock()}), wrap(createEmbeddedBus({logger})));
    cluster.#managers = cluster.#makeManagers();
    await cluster.#http.register(async (app) => {
      for (const manager of cluster.#managers) await manager.routes(app);
    }, {prefix: '/api/v1'});
    await Promise.all(cluster.#managers.map((manager) => manager.start()));
    for (const name of names) await cluster.add(name);
    return cluster;
  }

  async add(name: string, options: MachineOptions = {}): Promise<Machine> {
    const machine = new Machine(this, name);
    this.machines.set(name, machine);
    await machine.start(options);
    await this.until(`${name} to take containers`, async () => (await this.node(name)).status.conditions.every(({type, status}) => type !== 'RuntimeAvailable' || status === 'true'));
    return machine;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all([...this.machines.values()].map((machine) => machine.stop()));
    await Promise.all(this.#managers.map((manager) => manager.stop()));
    await this.#http.close();
    await this.bus.close();
    await flushEvents(this.store);
    await this.store.close();
    await removeTempDir(this.#dataDir);
  }

  machine(name: string): Machine {
    const machine = this.machines.get(name);
    if (!machine) throw new Error(`no machine ${name}`);
    return machine;
  }

  async ask(method: 'GET' | 'POST' | 'PATCH' | 'PUT' | 'DELETE', path: string, body?: unknown): Promise<{readonly status: number; readonly body: unknown}> {
    const answer = await this.#http.inject({method, url: `/api/v1${path}`, ...(body === undefined ? {} : {payload: JSON.stringify(body), headers: {'content-type': 'application/json'}})});
    return {status: answer.statusCode, body: answer.json()};
  }

  /** An app that sleeps; stops at once. */
  async deploy(name: string, spec: Partial<AppSpecInput> = {}): Promise<void> {
    const {status, body} = await this.ask('POST', '/apps', {name, spec: {image: 'busybox', command: ['sleep', '3600'], stop: {signal: 'SIGKILL', grace: '1s', drain: '0s'}, update: {healthyFor: '0s'}, ...spec}});
    if (status !== 201) throw new Error(`POST /apps answered ${status}: ${JSON.stringify(body)}`);
  }

  async app(name: string): Promise<App> {
    return App.parse((await this.ask('GET', `/apps/${name}`)).body);
  }

  async node(name: string): Promise<Node> {
    return Node.parse((await this.ask('GET', `/nodes/${name}`)).body);
  }

  /** Containers of an app that were not told to go, as the API shows them. */
  async containers(app: string): Promise<readonly Container[]> {
    return listOf(Container).parse((await this.ask('GET', `/containers?app=${app}&limit=1000`)).body).items;
  }

  /** Ready containers of an app on each machine. */
  async placesOf(app: string): Promise<readonly string[]> {
    return (await this.containers(app)).filter(({status}) => status.ready).map(({spec}) => spec.node).toSorted();
  }

  async reasons(name: string): Promise<readonly string[]> {
    const {items} = await collection(collections.events).in(this.store).list();
    return items.filter(({value}) => value.name === name).map(({value}) => value.reason);
  }

  async until(what: string, condition: () => Promise<boolean> | boolean): Promise<void> {
    await waitFor(condition, {what, deadlineMs: 20_000});
  }

  /** Where messages are lost: until agents have asked by themselves, as they do every half a minute. */
  async settles(what: string, condition: () => Promise<boolean> | boolean): Promise<void> {
    await this.until(what, async () => {
      if (await condition()) return true;
      await this.clock.skip(10_000, 1_000);
      return false;
    });
  }

  /** Until an app has so many ready containers. */
  ready(app: string, count: number): Promise<void> {
    return this.until(`${count} of ${app} to be ready`, async () => (await this.placesOf(app)).length === count);
  }

  /** Until a machine is shown in this phase; time is skipped meanwhile. */
  async phase(name: string, phase: string, skipMs = 0): Promise<void> {
    await this.clock.skip(skipMs);
    await this.until(`${name} to be ${phase}`, async () => (await this.node(name)).status.phase === phase);
  }

  #makeManagers(): readonly Manager[] {
    const {store, bus, clock} = this;
    const context = (instance: string): ManagerContext => ({
      store, bus, logger, metrics: new Registry(), cluster: CLUSTER, dataDir: this.#dataDir, instance,
      now: () => clock.now(), uid: () => `00000000-0000-4000-8000-${String(++this.#uids).padStart(12, '0')}`, random: Math.random,
    });
    return [
      createNodeManager(context('node'), {clock}),
      createAppManager(context('app'), {clock}),
      createDeploymentManager(context('deployment')),
      createSchedulerManager(context('scheduler')),
      createContainerManager(context('container')),
      createStorageManager(context('storage')),
      createSecurityManager(context('security')),
    ];
  }
}
