/** A machine that takes ingress: the real manager, agent's half and keeper of HAProxy, with HTTP servers on loopback for containers. */
import {once} from 'node:events';
import {existsSync, readFileSync} from 'node:fs';
import {Agent, createServer, type IncomingMessage, request, type RequestListener, type Server} from 'node:http';
import {join} from 'node:path';
import {serve} from '@hivemind/bus';
import {checkCertificate, type IngressReport} from '@hivemind/contracts';
import {systemClock} from '@hivemind/controller';
import {type ProxyPlan, readPlan} from '@hivemind/discovery/ingress';
import {createDiscovery, type Discovery, MachineIngresses} from '@hivemind/discovery/node';
import {type TestCluster, testCluster} from '@hivemind/discovery/testing';
import {freePort, removeTempDir, tempDir, waitFor} from '@hivemind/testkit';
import {pairProblem} from '@hivemind/trust/certificate-pair';
import {pino} from 'pino';
import {IngressKeeper, ProxyProcess} from '../src/ingress/index.ts';

/** Data of secrets, by `namespace/name`. */
type Secrets = Map<string, Readonly<Record<string, string>>>;

export interface Reply {
  readonly status: number;
  readonly body: string;
  readonly headers: IncomingMessage['headers'];
}

const logger = pino({level: 'silent'});
const node = 'n1';
const setTimer = (callback: () => void, ms: number): (() => void) => {
  const timer = setTimeout(callback, ms);
  return () => clearTimeout(timer);
};

export class IngressMachine implements AsyncDisposable {
  readonly dir = tempDir('ingress');
  readonly secrets: Secrets = new Map();
  readonly proxy = new ProxyProcess(join(this.dir, 'sidecar', 'ingress'));
  readonly agent = new Agent({keepAlive: true});
  cluster!: TestCluster;
  keeper!: IngressKeeper;
  /** Of HAProxy. */
  http = 0;
  https = 0;
  /** That every container listens at, each at an address of its own. */
  port = 0;
  #discovery: Discovery | undefined;
  readonly #servers = new Map<string, Server>();
  readonly #ends: (() => Promise<void>)[] = [];

  static async start(): Promise<IngressMachine> {
    const machine = new IngressMachine();
    [machine.http, machine.https, machine.port] = [await freePort(), await freePort(), await freePort()];
    machine.cluster = await testCluster();
    const {bus} = machine.cluster;
    await machine.cluster.node(node, '127.0.0.1');
    await serve(bus, checkCertificate, {}, async ({namespace, secret}) => {
      const data = machine.secrets.get(`${namespace}/${secret}`);
      return {problem: data === undefined ? 'there is none' : pairProblem(data['tls.crt'] ?? '', data['tls.key'] ?? '', Date.now())};
    });
    await machine.startKeeper();
    await machine.startAgent();
    return machine;
  }

  async startKeeper(): Promise<void> {
    this.keeper = new IngressKeeper({file: join(this.dir, 'agent/ingress.json'), dir: this.proxy.dir, logger, setTimer, now: () => performance.now()});
    await this.keeper.start();
  }

  async startAgent(): Promise<void> {
    const {bus} = this.cluster;
    const discovery = this.#discovery = createDiscovery({bus, node, dataDir: this.dir, listen: [], virtualIps: false, clock: systemClock, random: Math.random, logger});
    const ingress = new MachineIngresses({
      bus, node, dataDir: this.dir, cluster: 'c1', services: discovery, session: {onRegistered: () => () => undefined}, sidecar: {applyIngress: () => this.keeper.apply()}, clock: systemClock, logger,
      openSecrets: async (namespace, names) => new Map(names.map((name) => [name, new Map(Object.entries(this.secrets.get(`${namespace}/${name}`) ?? {}).map(([key, value]) => [key, Buffer.from(value)]))])),
    });
    await discovery.start();
    await ingress.start();
    this.#ends.push(async () => {
      await ingress.stop();
      await discovery.stop();
    });
  }

  async stopAgent(): Promise<void> {
    for (const end of this.#ends.splice(0)) await end();
  }

  /** A container of `app` that listens, ready from now on. */
  async container(id: string, app: string, address: string, answer: RequestListener = (_request, response) => void response.end(id)): Promise<Server> {
    const server = createServer({keepAliveTimeout: 60_000}, answer);
    server.listen(this.port, address);
    await once(server, 'listening');
    this.#servers.set(id, server);
    await this.cluster.container(id, {app, address});
    return server;
  }

  /** As it is stopped: out of rotation, and when no machine leads anybody to it any more, and its connections are over, gone at once. */
  async removeContainer(id: string, app: string, address: string): Promise<void> {
    await this.cluster.container(id, {app, address, removed: true});
    const waitedFor = await this.#discovery?.left(id, 10_000, AbortSignal.timeout(20_000));
    if (waitedFor !== undefined) throw new Error(`${id} is still asked, by ${waitedFor}`);
    await waitFor(async () => (await this.connections(id)) === 0, {what: `connections to ${id} to be over`, deadlineMs: 10_000});
    this.kill(id);
    await this.cluster.removeContainer(id);
  }

  /** To a container, also those on which nothing is asked. */
  connections(id: string): Promise<number> {
    return new Promise((resolve, reject) => {
      const server = this.#servers.get(id);
      if (server === undefined) return resolve(0);
      server.getConnections((error, count) => (error ? reject(error) : resolve(count)));
    });
  }

  /** At once, with what it is doing. */
  kill(id: string): void {
    const server = this.#servers.get(id);
    server?.close();
    server?.closeAllConnections();
  }

  async app(name: string, port = this.port): Promise<void> {
    await this.cluster.app(name, {ports: [{name: 'http', container: port}]});
  }

  /** @returns what the API answers */
  put(name: string, spec: Readonly<Record<string, unknown>>) {
    return this.cluster.ask(`/ingresses/${name}?namespace=shop`, {method: 'PUT', body: {name, spec: {listen: {http: this.http, https: this.https}, ...spec}}});
  }

  /** The same, and waits until HAProxy is so. */
  async serves(name: string, spec: Readonly<Record<string, unknown>>): Promise<void> {
    const {status, body} = await this.put(name, spec);
    if (status >= 400) throw new Error(JSON.stringify(body));
    await waitFor(async () => (await this.report(name)).state === 'current' && this.keeper.state.running, {what: `${name} to be served`}).catch((error: unknown) => {
      throw new Error(JSON.stringify(this.keeper.state), {cause: error});
    });
    // On these, one more answer would be as it was before the reload.
    for (const socket of Object.values(this.agent.freeSockets).flat()) socket?.destroy();
  }

  remove(name: string) {
    return this.cluster.ask(`/ingresses/${name}?namespace=shop`, {method: 'DELETE'});
  }

  async report(name: string): Promise<IngressReport & {readonly state: string}> {
    const {body} = await this.cluster.ask(`/ingresses/${name}/nodes?namespace=shop`);
    return body.items?.[0] as unknown as IngressReport & {readonly state: string};
  }

  get(path: string, {host = 'shop.example', headers = {}, method = 'GET', agent = this.agent}: {host?: string; headers?: Readonly<Record<string, string>>; method?: string; agent?: Agent} = {}): Promise<Reply> {
    return new Promise((resolve, reject) => {
      const sent = request({host: '127.0.0.1', port: this.http, path, method, agent, headers: {host, ...headers}}, (response) => {
        let body = '';
        response.setEncoding('utf8').on('data', (chunk: string) => (body += chunk)).once('end', () => resolve({status: response.statusCode ?? 0, body, headers: response.headers})).once('error', reject);
      });
      sent.once('error', (error) => reject(new Error(`${method} ${path}`, {cause: error}))).end();
    });
  }

  /** Waits until `path` is answered so. */
  async answers(path: string, expected: {readonly status?: number; readonly body?: string}, options: Parameters<IngressMachine['get']>[1] = {}): Promise<Reply> {
    let last: unknown;
    return waitFor(async () => {
      const reply = await this.get(path, options).catch((error: unknown) => void (last = error));
      last = reply ?? last;
      return reply && (expected.status === undefined || reply.status === expected.status) && (expected.body === undefined || reply.body === expected.body) ? reply : undefined;
    }, {what: `${path} to be answered with ${JSON.stringify(expected)}`, deadlineMs: 10_000}).catch(async (error: unknown) => {
      throw new Error(`it was ${JSON.stringify(last)}; ${JSON.stringify(this.keeper.state)}`, {cause: error});
    });
  }

  /** What HAProxy is to be. */
  plan(): ProxyPlan {
    return readPlan(readFileSync(join(this.dir, 'agent/ingress.json'), 'utf8'))!;
  }

  /** As it was written last, one object a line. */
  accessLog(): readonly Readonly<Record<string, unknown>>[] {
    const path = join(this.proxy.dir, 'access.log');
    return (existsSync(path) ? readFileSync(path, 'utf8') : '').split('\n').filter((line) => line.startsWith('{')).map((line) => JSON.parse(line) as Record<string, unknown>);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.agent.destroy();
    await this.stopAgent();
    await this.keeper.stop();
    this.proxy.signal('SIGTERM');
    await waitFor(() => this.proxy.pid() === undefined, {what: 'HAProxy to end'});
    await this.proxy.clear();
    for (const id of this.#servers.keys()) this.kill(id);
    await this.cluster.close();
    await removeTempDir(this.dir);
  }
}
