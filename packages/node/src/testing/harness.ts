/** The node manager over a store in memory whose clock a test moves, with its routes open. */
import {type Bus, call, createEmbeddedBus} from '@hivemind/bus';
import {NodeReport} from '@hivemind/contracts';
import * as subjects from '@hivemind/contracts/subjects';
import type {Clock} from '@hivemind/controller';
import {createHttp, flushEvents, type HttpServer, type Manager} from '@hivemind/service';
import {openSqliteStore, type Store} from '@hivemind/store';
import {ManualClock} from '@hivemind/store/testing';
import {waitFor} from '@hivemind/testkit';
import {pino} from 'pino';
import {Registry} from 'prom-client';
import {createNodeManager} from '../control/manager.ts';

export const logger = pino({level: process.env['LOG'] ?? 'silent'});

export function aReport(fields: Partial<NodeReport> = {}): NodeReport {
  return NodeReport.parse({capacity: {cpu: 2000, memory: 1e9, disk: 1e10}, labels: {'hivemind.io/os': 'linux'}, address: '10.0.0.1', runtime: {name: 'fake', version: '1', available: true}, agentVersion: '0', ...fields});
}

export class ManagerHarness {
  readonly store: Store;
  readonly bus: Bus;
  /** What leases are measured with. */
  readonly leases: ManualClock;
  manager!: Manager;
  readonly #clock: Clock | undefined;
  #http!: HttpServer;
  #base = '';
  #uids = 0;
  #instances = 0;

  private constructor(store: Store, bus: Bus, leases: ManualClock, clock: Clock | undefined) {
    this.store = store;
    this.bus = bus;
    this.leases = leases;
    this.#clock = clock;
  }

  /** @param clock what silence is measured with */
  static async start(clock?: Clock): Promise<ManagerHarness> {
    const leases = new ManualClock();
    const harness = new ManagerHarness(await openSqliteStore({path: ':memory:', clock: leases}), createEmbeddedBus(), leases, clock);
    await harness.#open();
    return harness;
  }

  /** Another manager over the same store. */
  async restart(): Promise<void> {
    await this.manager.stop();
    await this.#http.close();
    await this.#open();
  }

  async #open(): Promise<void> {
    const {store, bus} = this;
    const metrics = new Registry();
    this.#instances += 1;
    const context = {store, bus, logger, metrics, cluster: 'c1', dataDir: '/nowhere', instance: `test-${this.#instances}`, now: Date.now, uid: () => `uid-${(this.#uids += 1)}`, random: () => 0.5};
    this.manager = createNodeManager(context, this.#clock ? {clock: this.#clock} : {});
    this.#http = createHttp({logger, metrics, name: 'test'});
    await this.manager.routes(this.#http);
    await this.manager.start();
    this.#base = await this.#http.listen({port: 0, host: '127.0.0.1'});
  }

  async stop(): Promise<void> {
    await this.manager.stop();
    await this.#http.close();
    await this.bus.close();
    await flushEvents(this.store);
    await this.store.close();
  }

  /** One HTTP call; answers status, headers and parsed body. */
  async ask(url: string, {method = 'GET', payload, headers = {}}: {method?: string; payload?: unknown; headers?: Record<string, string>} = {}) {
    const answer = await fetch(`${this.#base}${url}`, {method, headers: {...(payload === undefined ? {} : {'content-type': 'application/json'}), ...headers}, ...(payload === undefined ? {} : {body: JSON.stringify(payload)})});
    return {status: answer.status, etag: answer.headers.get('etag'), body: await answer.json()};
  }

  register(node = 'n1', told = aReport()) {
    return call(this.bus, subjects.registerNode, {node}, {report: told, instance: 'i1'});
  }

  beat(session: number, node = 'n1', told?: NodeReport) {
    return call(this.bus, subjects.heartbeat, {node}, {session, ...(told ? {report: told} : {})});
  }

  /** Until GET `url` answers what is expected. */
  async shows(url: string, expected: object): Promise<void> {
    await waitFor(async () => {
      expect((await this.ask(url)).body).toMatchObject(expected);
      return true;
    }, {what: `${url} to show ${JSON.stringify(expected)}`});
  }
}
