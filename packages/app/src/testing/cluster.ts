/** A cluster in one process around the app manager: its neighbours in miniature, machines that are simulated. */
import {createEmbeddedBus, listen, serve, call, type Bus} from '@hivemind/bus';
import {App, resourceKey, revisionKey, type AllocationRecord, type AppRecord, type ContainerRecord, type ContainerStatus} from '@hivemind/contracts';
import * as subjects from '@hivemind/contracts/subjects';
import {createHttp, type HttpServer, type Manager, type ManagerContext} from '@hivemind/service';
import {informer, openSqliteStore, type Store} from '@hivemind/store';
import {waitFor} from '@hivemind/testkit';
import {pino} from 'pino';
import {Registry} from 'prom-client';
import {createAppManager} from '../control/manager.ts';
import {allocations, apps, containers, containerStatus, nodeLeases, nodes, nodeStatus, rollouts, volumes} from '../control/collections.ts';
import {aStatus} from './builders.ts';

export const logger = pino({level: process.env['LOG'] ?? 'silent'});

export interface NodeOptions {
  readonly name: string;
  /** Bytes. */
  readonly memory?: number;
  readonly session?: number;
}

/** Answers the status that a machine reports of a container it was told to run. */
export type Behaviour = (record: ContainerRecord) => Partial<ContainerStatus>;

export interface ClusterOptions {
  readonly nodes?: readonly NodeOptions[];
  /** What the managers and machines talk through; default: the embedded bus as it is. */
  readonly wrap?: (bus: Bus) => Bus;
  readonly admit?: (spec: AppRecord['spec']) => readonly {readonly path: string; readonly message: string}[];
}

export class TestCluster {
  readonly store: Store;
  readonly bus: Bus;
  readonly http: HttpServer;
  readonly machines = new Map<string, Machine>();
  manager: Manager;
  /** Of every machine; a test may change it. */
  behave: Behaviour = () => ({});
  /** Called when volumes are claimed, before they are. */
  onClaim: (claims: readonly {readonly namespace: string; readonly name: string; readonly node: string}[]) => Promise<void> = async () => undefined;
  /** What the scheduler says of machines where it puts several at once. */
  passedOver: readonly {readonly node: string; readonly reason: string}[] = [];
  readonly #ended = new AbortController();
  #instances = 0;
  #uids = 0;

  private constructor(store: Store, bus: Bus) {
    this.store = store;
    this.bus = bus;
    this.manager = createAppManager(this.context());
    this.http = createHttp({logger, metrics: new Registry(), name: 'test'});
  }

  static async start(options: ClusterOptions = {}): Promise<TestCluster> {
    const store = await openSqliteStore({path: ':memory:'});
    const plain = createEmbeddedBus({logger});
    const cluster = new TestCluster(store, options.wrap?.(plain) ?? plain);
    await cluster.#neighbours(options);
    for (const node of options.nodes ?? [{name: 'n1'}]) await cluster.addNode(node);
    await cluster.http.register(async (app) => cluster.manager.routes(app), {prefix: '/api/v1'});
    await cluster.manager.start();
    return cluster;
  }

  context(): ManagerContext {
    this.#instances += 1;
    return {
      store: this.store, bus: this.bus, logger, metrics: new Registry(), cluster: 'c1', dataDir: '/nowhere', instance: `app-${this.#instances}`,
      now: Date.now, uid: () => `00000000-0000-4000-8000-${String(++this.#uids).padStart(12, '0')}`, random: Math.random,
    };
  }

  /** As after a crash: another manager over the same store. Routes stay with the first. */
  async restartManager(): Promise<void> {
    await this.manager.stop();
    this.manager = createAppManager(this.context());
    await this.manager.start();
  }

  async addNode({name, memory = 8 * 2 ** 30, session = 1}: NodeOptions): Promise<void> {
    const meta = {uid: `uid-${name}`, generation: 1, createdAt: new Date().toISOString(), updatedAt: new Date().toISOString()};
    const capacity = {cpu: 4000, memory, disk: 2 ** 36, pods: 500};
    const report = {capacity, labels: {}, address: '10.0.0.1', runtime: {name: 'fake', version: '1', available: true}, agentVersion: '0'};
    await this.store.transact({
      writes: [
        nodes.putting(name, {name, labels: {}, annotations: {}, spec: {unschedulable: false, taints: [], address: '10.0.0.1'}, meta}),
        nodeStatus.putting(name, {name, report, session, lastSeenAt: meta.createdAt}),
        nodeLeases.putting(name, {name, session, lease: 'none'}),
      ],
    });
    const machine = new Machine(this, name, session);
    this.machines.set(name, machine);
    await machine.start();
  }

  async stop(): Promise<void> {
    for (const machine of this.machines.values()) await machine.stop();
    await this.manager.stop();
    this.#ended.abort();
    await this.http.close();
    await this.bus.close();
    await this.store.close();
  }

  async request(method: 'GET' | 'POST' | 'PUT' | 'PATCH' | 'DELETE', path: string, body?: unknown, headers: Record<string, string> = {}) {
    return this.http.inject({method, url: `/api/v1${path}`, ...(body === undefined ? {} : {payload: JSON.stringify(body), headers: {'content-type': 'application/json', ...headers}})});
  }

  /** The status of an app as the API answers it. */
  async status(app = 'web'): Promise<App['status']> {
    return App.parse((await this.request('GET', `/apps/${app}`)).json()).status;
  }

  /** Until the app has this phase. */
  async until(phase: App['status']['phase'], app = 'web'): Promise<void> {
    await waitFor(async () => (await this.request('GET', `/apps/${app}`)).json().status?.phase === phase, {deadlineMs: 5000, what: `app ${app} to be ${phase}`});
  }

  async containers(app = 'web'): Promise<readonly ContainerRecord[]> {
    const {items} = await containers.in(this.store).list();
    return items.map(({value}) => value).filter((record) => record.app === app);
  }

  async #neighbours(options: ClusterOptions): Promise<void> {
    await serve(this.bus, subjects.admit, {}, async ({spec}) => ({errors: [...(options.admit?.(spec) ?? [])]}));
    await serve(this.bus, subjects.explainStrategy, {}, async () => ({strategy: 'rolling' as const}));
    await serve(this.bus, subjects.claimVolumes, {}, async ({claims}) => {
      await this.onClaim(claims);
      const now = new Date().toISOString();
      for (const {namespace, name, node} of claims) {
        await volumes.in(this.store).put(resourceKey(namespace, name), {name, namespace, labels: {}, annotations: {}, spec: {driver: 'local'}, node, meta: {uid: name, generation: 1, createdAt: now, updatedAt: now}});
      }
      return {};
    });
    await serve(this.bus, subjects.place, {}, async ({requests, ignore, onEmpty}) => this.#place(requests, ignore, onEmpty));
    this.#deployment();
  }

  /** First fit by memory and host ports: enough to be a scheduler. */
  async #place(requests: readonly {id: string; memory: number; ports: readonly {container: number; protocol: 'tcp' | 'udp'; host?: number | string | undefined}[]}[], ignore: readonly string[], onEmpty: boolean) {
    const known = await nodeStatus.in(this.store).list();
    const rooms = await Promise.all(known.items.map(async ({key, value}) => {
      const stored = await allocations.in(this.store).get(key);
      const held: AllocationRecord['containers'] = onEmpty ? {} : Object.fromEntries(Object.entries(stored?.value.containers ?? {}).filter(([id]) => !ignore.includes(id)));
      const taken = new Set(Object.values(held).flatMap(({ports}) => ports.map(({host}) => host)));
      return {node: key, version: stored?.version ?? 0, free: value.report.capacity.memory - Object.values(held).reduce((sum, {memory}) => sum + memory, 0), taken};
    }));
    const placements = [];
    const refusals = [];
    for (const {id, memory, ports} of requests) {
      const wanted = ports.flatMap(({host}) => (typeof host === 'number' && host > 0 ? [host] : []));
      const room = rooms.find(({free, taken}) => memory <= free && !wanted.some((host) => taken.has(host)));
      if (room) {
        room.free -= memory;
        for (const host of wanted) room.taken.add(host);
        placements.push({id, node: room.node, ports: ports.map(({container, protocol, host}) => ({container, protocol, ...(typeof host === 'number' ? {host} : {})}))});
      } else {
        refusals.push({id, nodes: rooms.map(({node, free}) => (memory > free ? {node, reason: `asks ${memory} of memory, ${free} free`, filter: 'memory'} : {node, reason: 'host port is taken', filter: 'ports'}))});
      }
    }
    return {placements, refusals, allocationVersions: Object.fromEntries(rooms.map(({node, version}) => [node, version])), ...(placements.length > 1 ? {passedOver: [...this.passedOver]} : {})};
  }

  /** Counts the newest revision alone, at once. */
  #deployment(): void {
    const following = informer({store: this.store, collection: apps, signal: this.#ended.signal});
    following.onChange((key, before, after) => {
      const app = after?.value;
      if (!app) {
        for (let revision = 1; revision <= (before?.value.revision ?? 0); revision++) void rollouts.in(this.store).delete(`${key}/${String(revision).padStart(8, '0')}`).catch(() => undefined);
        return;
      }
      const replicas = app.stopped ? 0 : app.spec.replicas;
      void rollouts.in(this.store).put(revisionKey(app.namespace, app.name, app.revision), {
        id: `${app.meta.uid}-${app.revision}`, appUid: app.meta.uid, app: app.name, namespace: app.namespace, revision: app.revision, previous: null, phase: 'completed', strategy: 'recreate',
        counts: [{revision: app.revision, replicas, weight: 100}], generation: app.meta.generation, reason: 'Completed', message: '', startedAt: app.meta.createdAt, progress: 0,
      }).catch(() => undefined);
    });
  }
}

/** A machine: runs what its assignment lists, removes what it does not, and reports at once. */
export class Machine {
  readonly name: string;
  /** Ids of what runs. */
  readonly runs = new Map<string, ContainerRecord>();
  /** What the control plane was told runs. */
  readonly #reported = new Set<string>();
  #cluster: TestCluster;
  #session: number;
  #looking: Promise<void> = Promise.resolve();
  #stop: () => Promise<void> = async () => undefined;

  constructor(cluster: TestCluster, name: string, session: number) {
    this.#cluster = cluster;
    this.name = name;
    this.#session = session;
  }

  async start(): Promise<void> {
    const subscription = await listen(this.#cluster.bus, subjects.assignmentChanged, {node: this.name}, () => this.look());
    // The net under lost wakes.
    const timer = setInterval(() => this.look(), 50);
    this.#stop = async () => {
      clearInterval(timer);
      await subscription.unsubscribe().catch(() => undefined);
      await this.#looking;
    };
  }

  async stop(): Promise<void> {
    await this.#stop();
  }

  look(): void {
    this.#looking = this.#looking.then(() => this.#once()).catch(() => undefined);
  }

  /** Resolves when it has looked at all it was asked to. */
  idle(): Promise<void> {
    return this.#looking;
  }

  async #once(): Promise<void> {
    const {bus} = this.#cluster;
    const reply = await call(bus, subjects.getAssignment, {node: this.name}, {session: this.#session}, {timeoutMs: 500});
    const bodies = new Map(reply.bodies.map((body) => [body.id, body]));
    const rest = reply.containers.filter(({id}) => !bodies.has(id) && !this.#reported.has(id)).map(({id}) => id);
    for (let next = 0; next < rest.length; next += 50) {
      const page = await call(bus, subjects.getContainers, {node: this.name}, {ids: rest.slice(next, next + 50)}, {timeoutMs: 500});
      for (const body of page.containers) bodies.set(body.id, body);
    }
    const listed = new Set(reply.containers.map(({id}) => id));
    if (!reply.hold) for (const [id, record] of this.runs) if (!listed.has(id)) await this.#gone(id, record);
    for (const id of listed) {
      const record = bodies.get(id);
      if (record && !this.#reported.has(id)) await this.run(record);
    }
    // What is told to go and was never here: the full report's part.
    const {items} = await containers.in(this.#cluster.store).list();
    for (const {value} of items) if (value.node === this.name && value.removedAt !== undefined && !this.runs.has(value.id)) await this.#report(value, aStatus({phase: 'removed', ready: false}));
  }

  /** Runs a container, as asked or behind everybody's back. */
  async run(record: ContainerRecord): Promise<void> {
    this.runs.set(record.id, record);
    this.#reported.add(record.id);
    await this.#report(record, aStatus({startedAt: new Date().toISOString(), readySince: new Date().toISOString(), ports: record.ports, ...this.#cluster.behave(record)}));
  }

  async #gone(id: string, record: ContainerRecord): Promise<void> {
    await this.#report(record, aStatus({phase: 'removed', ready: false}));
    this.runs.delete(id);
    this.#reported.delete(id);
  }

  async #report({id, namespace, app, node}: ContainerRecord, status: ContainerStatus): Promise<void> {
    await containerStatus.in(this.#cluster.store).put(id, {id, namespace, app, node, session: this.#session, status, reportedAt: new Date().toISOString()});
  }
}
