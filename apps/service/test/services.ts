/** A cluster of services on real servers, for tests: each with a connection to store and bus of its own. */
import {readFileSync} from 'node:fs';
import {networkInterfaces} from 'node:os';
import {join} from 'node:path';
import {startAgent, type Agent} from '@hivemind/agent';
import {connectNatsBus, type Bus} from '@hivemind/bus';
import {createFakeRuntime, FakeEngine} from '@hivemind/container/testing';
import {App} from '@hivemind/contracts';
import {removeTempDir, startNats, startRedis, tempDir, waitFor, type NatsServer, type RedisServer} from '@hivemind/testkit';
import {pino, type Logger} from 'pino';
import {serviceNames, startService, type RunningService, type ServiceOptions} from '../src/index.ts';

export const logger: Logger = pino({level: process.env.HIVEMIND_TEST_LOG ?? 'silent'});

/** An address of this machine that is not loopback: what goes there stays within it. */
export const outerAddress = Object.values(networkInterfaces()).flatMap((all) => all ?? []).find(({family, internal}) => family === 'IPv4' && !internal)?.address ?? '';

export interface Reply {
  readonly status: number;
  readonly json: unknown;
  readonly headers: Headers;
}

/** Everything that was started is stopped by `stop`, in the opposite order. */
export class TestCluster {
  readonly dataDir = join(tempDir('services'), 'data');
  readonly engine = new FakeEngine(Date.now);
  readonly services = new Set<RunningService>();
  nats!: Pick<NatsServer, 'url' | 'stop'>;
  redis!: RedisServer;
  readonly #agents: {readonly agent: Agent; readonly bus: Bus}[] = [];

  async startServers(): Promise<void> {
    [this.nats, this.redis] = await Promise.all([startNats(), startRedis()]);
  }

  async start(name: string, options: Partial<ServiceOptions> = {}): Promise<RunningService> {
    const service = await startService({name, bus: this.nats.url, store: this.redis.url, dataDir: this.dataDir, listen: '127.0.0.1:0', logger, ...options});
    this.services.add(service);
    return service;
  }

  /** One of each that is not there yet. */
  async startAll(): Promise<void> {
    const running = new Set([...this.services].map(({name}) => name));
    await this.startEach(serviceNames.filter((name) => !running.has(name)));
  }

  /** Side by side. Where one fails the others are known, so that they are stopped. */
  async startEach(names: readonly string[], options: Partial<ServiceOptions> = {}): Promise<void> {
    const started = await Promise.allSettled(names.map((name) => this.start(name, options)));
    for (const each of started) if (each.status === 'rejected') throw each.reason;
  }

  async stopService(service: RunningService): Promise<void> {
    this.services.delete(service);
    await service.stop();
  }

  /** A machine with containers in memory. */
  async startAgent(name: string): Promise<Agent> {
    const bus = await connectNatsBus({servers: this.nats.url, name: `agent ${name}`});
    const {json} = await this.call('GET', '/status');
    const cluster = String(Object(json).cluster);
    const agent = await startAgent({bus, name, cluster, dataDir: join(this.dataDir, name), runtime: createFakeRuntime({engine: this.engine, cluster}), address: '127.0.0.1', logger});
    this.#agents.push({agent, bus});
    return agent;
  }

  get token(): string {
    return readFileSync(join(this.dataDir, 'admin.token'), 'utf8').trim();
  }

  gateway(): RunningService {
    const found = [...this.services].find(({name}) => name === 'gateway');
    if (!found) throw new Error('no gateway was started');
    return found;
  }

  /** A request to `/api/v1` + path with the admin token. */
  async call(method: string, path: string, body?: unknown, headers: Record<string, string> = {}, base: string = this.gateway().url): Promise<Reply> {
    const content = body === undefined ? {} : {body: JSON.stringify(body)};
    const reply = await fetch(`${base}/api/v1${path}`, {method, headers: {authorization: `Bearer ${this.token}`, ...(body === undefined ? {} : {'content-type': 'application/json'}), ...headers}, ...content});
    const text = await reply.text();
    return {status: reply.status, json: text === '' ? undefined : JSON.parse(text), headers: reply.headers};
  }

  async untilReady(name: string, replicas: number, deadlineMs = 20_000): Promise<void> {
    await waitFor(async () => {
      const {status, json} = await this.call('GET', `/apps/${name}`);
      const found = App.safeParse(json).data?.status;
      if (found?.phase === 'running' && found.replicas.ready === replicas && found.replicas.running === replicas) return true;
      throw new Error(`${status}: ${JSON.stringify(found ?? json)}`);
    }, {what: `${replicas} ready replicas of ${name}`, deadlineMs});
  }

  async stop(): Promise<void> {
    for (const {agent, bus} of this.#agents.splice(0)) {
      await agent.stop();
      await bus.close();
    }
    await Promise.all([...this.services].map((service) => service.stop()));
    this.services.clear();
    // Not there where the start of a test failed.
    await Promise.all([this.nats as typeof this.nats | undefined, this.redis as typeof this.redis | undefined].map((server) => server?.stop()));
    await removeTempDir(this.dataDir);
  }
}
