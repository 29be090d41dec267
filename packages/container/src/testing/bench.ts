/** The container manager with what it talks to: a store, a bus, one machine with a fake engine. For tests. */
import {createEmbeddedBus, call, type Bus} from '@hivemind/bus';
import {Container, type ContainerRecord, type ContainerStatus} from '@hivemind/contracts';
import * as subjects from '@hivemind/contracts/subjects';
import {createHttp, stopHttp, type HttpServer, type Manager} from '@hivemind/service';
import {openSqliteStore, type Store} from '@hivemind/store';
import {waitFor} from '@hivemind/testkit';
import {pino} from 'pino';
import {Registry} from 'prom-client';
import {serveContainerNode} from '../node/serve.ts';
import {containerRecord, containerSpec, createFakeRuntime, type ContainerOverrides, type FakeRuntime} from './index.ts';
import {createContainerManager} from '../control/manager.ts';
import {containers, containerStatus, nodeLeases} from '../control/tables.ts';

const logger = pino({level: process.env['LOG'] ?? 'silent'});

export class TestBench {
  readonly store: Store;
  readonly bus: Bus = createEmbeddedBus({logger});
  readonly runtime: FakeRuntime = createFakeRuntime();
  readonly http: HttpServer = createHttp({logger, metrics: new Registry(), name: 'test'});
  readonly restarted: string[] = [];
  readonly #manager: Manager;
  #stopNode: () => Promise<void> = () => Promise.resolve();
  /** `http://127.0.0.1:port`, once it listens. */
  url = '';

  private constructor(store: Store) {
    this.store = store;
    this.#manager = createContainerManager({
      store, bus: this.bus, logger, metrics: new Registry(), cluster: 'test', dataDir: '/nowhere', instance: 'i1',
      now: Date.now, uid: () => crypto.randomUUID(), random: Math.random,
    });
  }

  /** With node n1 connected under session 1. */
  static async start(): Promise<TestBench> {
    const bench = new TestBench(await openSqliteStore({path: ':memory:'}));
    await bench.register('n1', 1);
    await bench.http.register(async (app) => bench.#manager.routes(app), {prefix: '/api/v1'});
    await bench.#manager.start();
    const {bus, runtime, restarted} = bench;
    const node = await serveContainerNode({bus, node: 'n1', runtime, logger, restart: async (id) => void (await Promise.resolve(restarted.push(id)))});
    bench.#stopNode = () => node.stop();
    bench.url = await bench.http.listen({host: '127.0.0.1', port: 0});
    return bench;
  }

  async stop(): Promise<void> {
    // A client that was refused amid a large body may not be done with it.
    await stopHttp(this.http, 2_000);
    await this.#manager.stop();
    await this.disconnectNode();
    await this.bus.close();
    await this.store.close();
  }

  /** The machine's agent goes away; its session stays. */
  async disconnectNode(): Promise<void> {
    await this.#stopNode();
    this.#stopNode = () => Promise.resolve();
  }

  async register(name: string, session: number): Promise<void> {
    await nodeLeases.in(this.store).put(name, {name, session, lease: `lease-${session}`});
  }

  /** As the app manager does it; resolves when it is to be seen. */
  async place(overrides: ContainerOverrides = {}): Promise<ContainerRecord> {
    const record = containerRecord(overrides);
    await containers.in(this.store).put(record.id, record);
    await waitFor(async () => (await this.get(`/containers/${record.id}`)).status === 200, {what: 'the container to be seen'});
    return record;
  }

  /** Places it, and runs the script on the machine. */
  async run(script: string, overrides: ContainerOverrides = {}): Promise<ContainerRecord> {
    const record = await this.place({...overrides, template: {args: ['sh', '-c', script], ...overrides.template}});
    await this.runtime.start(await this.runtime.create(containerSpec(record, {name: record.id})));
    return record;
  }

  /** What the machine would report. */
  report(statuses: Readonly<Record<string, Partial<ContainerStatus>>>, {session = 1, sequence, full = false, node = 'n1', bus = this.bus}: {session?: number; sequence?: number; full?: boolean; node?: string; bus?: Bus} = {}): Promise<unknown> {
    const reports = Object.entries(statuses).map(([id, status]) => ({id, namespace: 'default', app: 'web', status: {phase: 'running' as const, ready: true, ...status}}));
    return call(bus, subjects.reportStatus, {node}, {session, ...(sequence === undefined ? {} : {sequence}), full, containers: reports});
  }

  async stored(id: string): Promise<ContainerStatus | undefined> {
    return (await containerStatus.in(this.store).get(id))?.value.status;
  }

  /** The container as the API shows it. */
  async shown(id: string): Promise<Container> {
    return Container.parse(await (await this.get(`/containers/${id}`)).json());
  }

  get(path: string): Promise<Response> {
    return fetch(`${this.url}/api/v1${path}`);
  }

  post(path: string, body?: unknown): Promise<Response> {
    return fetch(`${this.url}/api/v1${path}`, {method: 'POST', ...(body === undefined ? {} : {headers: {'content-type': 'application/json'}, body: JSON.stringify(body)})});
  }
}
