/**
 * A machine of its own in a real cluster: a nats-server in operator mode with TLS, managers and a gateway that reach it as
 * services do, and an agent that joined with a token.
 */
import {randomBytes, randomUUID} from 'node:crypto';
import {readFile} from 'node:fs/promises';
import {startJoinedAgent, type JoinedAgent, type JoinedAgentOptions} from '@hivemind/agent';
import {createFakeRuntime} from '@hivemind/container/testing';
import {createGateway, tokenHash, type Gateway} from '@hivemind/gateway';
import type {Manager, ManagerContext} from '@hivemind/service';
import {openSqliteStore, type Store} from '@hivemind/store';
import {removeTempDir, tempDir, waitFor} from '@hivemind/testkit';
import {openClusterTrust} from '@hivemind/trust';
import {startTrustedNats, type TrustedNats} from '@hivemind/trust/testing';
import {pino} from 'pino';
import {Registry} from 'prom-client';
import {loadManagers} from '../../src/catalogue.ts';

const logger = pino({level: 'silent'});
/** The library takes a server that is known by its address for localhost; our driver does not. */
const anyName = {checkServerIdentity: () => undefined};

describe('a machine that joined', () => {
  const cluster = randomUUID();
  const runtime = createFakeRuntime({cluster});
  let nats: TrustedNats;
  let store: Store;
  let dataDir: string;
  let managers: readonly Manager[];
  let gateway: Gateway;
  let url: string;
  let agent: JoinedAgent;

  beforeAll(async () => {
    dataDir = tempDir('joined');
    store = await openSqliteStore({path: `${dataDir}/store.db`});
    const clusterKey = randomBytes(32);
    nats = await startTrustedNats({tls: true, trust: await openClusterTrust({store, clusterKey, cluster, now: Date.now()})});
    const bus = await nats.connect(nats.serviceOptions('managers'));
    const context: ManagerContext = {
      bus, store, logger, metrics: new Registry(), cluster, dataDir, instance: 'test', now: Date.now, uid: randomUUID, random: Math.random,
      clusterKey: async () => clusterKey, busUrls: [nats.server.url.replace('nats:', 'tls:')],
    };
    managers = (await loadManagers()).map((create) => create(context));
    gateway = await createGateway({context, managers, version: '0', adminTokenHash: tokenHash('admin'), listen: {host: '127.0.0.1', port: 0}});
    await Promise.all(managers.map((manager) => manager.start()));
    url = await gateway.listen();
  });

  afterAll(async () => {
    await agent?.stop();
    await gateway?.stop();
    await Promise.all(managers?.map((manager) => manager.stop()) ?? []);
    await nats?.stop();
    await store?.close();
    await removeTempDir(dataDir);
  });

  const ask = async (method: string, path: string, body?: object) => {
    const answer = await fetch(`${url}/api/v1${path}`, {method, headers: {authorization: 'Bearer admin', ...(body ? {'content-type': 'application/json'} : {})}, ...(body ? {body: JSON.stringify(body)} : {})});
    return {status: answer.status, body: JSON.parse((await answer.text()) || 'null')};
  };
  const start = async (options: Partial<JoinedAgentOptions> = {}): Promise<JoinedAgent> => (agent = await startJoinedAgent({dataDir: `${dataDir}/n1`, runtime, address: '127.0.0.1', logger, ...options}));
  const nodeIs = (phase: string) => waitFor(async () => (await ask('GET', '/nodes/n1')).body?.status?.phase === phase, {what: `n1 to be ${phase}`, deadlineMs: 20_000});
  const processes = () => [...runtime.engine.containers.values()].map(({runtimeId, startedAt}) => ({runtimeId, startedAt}));
  /** Who is connected to the bus, as the server tells its system account. */
  const connections = async (): Promise<readonly {readonly name?: string}[]> => {
    const {connect, jwtAuthenticator} = await import('nats');
    const {jwt, seed} = nats.trust.systemCredentials({name: 'test', now: Date.now()});
    const connection = await connect({servers: nats.server.url, authenticator: jwtAuthenticator(jwt, Buffer.from(seed)), tls: {ca: nats.authority.certificate, ...anyName}});
    const answer = JSON.parse((await connection.request('$SYS.REQ.SERVER.PING.CONNZ', '{}')).string());
    await connection.close();
    return answer.data.connections;
  };
  const running = (count: number) =>
    waitFor(async () => {
      const {body} = await ask('GET', '/containers?app=web');
      return body.items?.filter((item: {status: {phase: string}}) => item.status.phase === 'running').length === count;
    }, {what: `${count} containers to run`, deadlineMs: 20_000});

  it('takes work, with the labels that its token gives', async () => {
    const {body: {token}} = await ask('POST', '/nodes/join-tokens', {labels: {disk: 'ssd'}});
    await start({gateway: url, token, name: 'n1'});
    await nodeIs('ready');
    expect((await ask('GET', '/nodes/n1')).body.labels).toMatchObject({disk: 'ssd'});
    expect((await ask('POST', '/apps', {name: 'web', spec: {image: 'busybox', replicas: 2, placement: {constraints: [{label: 'disk', in: ['ssd']}]}}})).status).toBe(201);
    await running(2);
    expect(runtime.engine.containers.size).toBe(2);
  });

  it('is as ready in every answer', async () => {
    const phases = await waitFor(async () => {
      const [{body: status}, {body: listed}, {body: health}] = await Promise.all([ask('GET', '/status'), ask('GET', '/nodes'), ask('GET', '/health/nodes')]);
      return health.items.length > 0 && {status: status.nodes[0].ready, listed: listed.items[0].status.phase, health: health.items[0].phase};
    }, {what: 'health to know of it'});
    expect(phases).toEqual({status: true, listed: 'ready', health: 'ready'});
  });

  it('is told of services, by what its own credentials let it hear and ask', async () => {
    const known = async (): Promise<string> => readFile(`${dataDir}/n1/agent/names.ndjson`, 'utf8').catch(() => '');
    await waitFor(async () => (await known()).includes('"default/web"'), {what: 'the service to be known', deadlineMs: 20_000});
    // Told, and not asked for: nothing was missed since.
    expect((await ask('POST', '/apps', {name: 'db', spec: {image: 'busybox', replicas: 0, service: {domain: 'db.example'}}})).status).toBe(201);
    await waitFor(async () => (await known()).includes('db.example'), {what: 'the other one', deadlineMs: 20_000});
    expect((await ask('DELETE', '/apps/db')).status).toBeLessThan(300);
  });

  it('is the same node when it starts again, without a token, and touches nothing', async () => {
    const before = processes();
    await agent.stop();
    await start();
    await nodeIs('ready');
    expect(processes()).toEqual(before);
  });

  it('goes on alone when the bus is away at its start, and is back with it', async () => {
    await agent.stop();
    await nats.server.terminate();
    await start();
    expect(runtime.engine.containers.size).toBe(2);
    await nats.server.start();
    await nodeIs('ready');
    await waitFor(async () => (await ask('PATCH', '/apps/web', {spec: {replicas: 3}})).status === 200, {what: 'the managers to be back too'});
    await running(3);
  });

  it('is out when it is removed', async () => {
    const isNode = ({name = ''}) => name.startsWith('node n1');
    expect((await connections()).some(isNode)).toBe(true);
    expect((await ask('DELETE', '/apps/web')).status).toBeLessThan(300);
    await waitFor(() => runtime.engine.containers.size === 0, {what: 'its containers to be gone', deadlineMs: 20_000});
    await waitFor(async () => (await ask('DELETE', '/nodes/n1?force=true')).status === 200, {what: 'the node to be removed', deadlineMs: 20_000});
    await waitFor(async () => !(await connections()).some(isNode), {what: 'the bus to have thrown it out', deadlineMs: 20_000});
    // It ends by itself: told by the gateway, since the bus does not speak with it any more.
    expect(await agent.removed).toMatchObject({code: 'node-removed'});
    await expect(start({token: (await ask('POST', '/nodes/join-tokens')).body.token, gateway: url, name: 'n1'})).resolves.toMatchObject({name: 'n1'});
    await nodeIs('ready');
  });

  it('stops what must never run twice before it is out, where it was removed unheard', async () => {
    expect((await ask('POST', '/apps', {name: 'one', spec: {image: 'busybox', singleton: true, fencing: {lease: '8s'}, stop: {grace: '1s'}}})).status).toBe(201);
    expect((await ask('POST', '/apps', {name: 'many', spec: {image: 'busybox'}})).status).toBe(201);
    const runs = (app: string): boolean => [...runtime.engine.containers.values()].some(({spec, state}) => spec.name.startsWith(app) && state === 'running');
    await waitFor(() => runs('one') && runs('many'), {what: 'both to run', deadlineMs: 20_000});
    await nats.server.terminate();
    await waitFor(async () => (await ask('DELETE', '/nodes/n1')).status === 200, {what: 'the lease to lapse', deadlineMs: 20_000});
    expect((await ask('GET', '/status')).body.nodes).toEqual([]);
    await nats.server.start();
    expect(await agent.removed).toMatchObject({code: 'node-removed'});
    expect([runs('one'), runs('many')]).toEqual([false, true]);
  });
});
