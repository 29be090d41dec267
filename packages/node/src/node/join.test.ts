import {randomBytes} from 'node:crypto';
import {mkdir, readFile, stat, writeFile} from 'node:fs/promises';
import {join} from 'node:path';
import {call, createEmbeddedBus, serve as serveRequests, type Bus} from '@hivemind/bus';
import {NodeReport} from '@hivemind/contracts';
import * as subjects from '@hivemind/contracts/subjects';
import {FakeClock} from '@hivemind/controller/testing';
import {createHttp, type HttpServer, type Manager} from '@hivemind/service';
import {openSqliteStore, type Store} from '@hivemind/store';
import {removeTempDir, tempDir, waitFor} from '@hivemind/testkit';
import {createAuthority, issueCertificate, newJoinToken, openClusterAuthority, type Authority} from '@hivemind/trust';
import {pino} from 'pino';
import {Registry} from 'prom-client';
import {createNodeManager} from '../control/manager.ts';
import type {NodeCredentials} from './join-credentials.ts';
import {openMembership, type JoinOptions} from './join.ts';

const logger = pino({level: 'silent'});
const report = NodeReport.parse({capacity: {cpu: 2000, memory: 1e9, disk: 1e10}, labels: {}, address: '10.0.0.1', runtime: {name: 'fake', version: '1', available: true}, agentVersion: '0'});

describe('the machine that joins', () => {
  let store: Store;
  let bus: Bus;
  let manager: Manager;
  let authority: Authority;
  let gateway: HttpServer;
  let url: string;
  let dataDir: string;
  let clock: FakeClock;
  let asked: string[];

  beforeEach(async () => {
    store = await openSqliteStore({path: ':memory:'});
    bus = createEmbeddedBus();
    dataDir = tempDir('join');
    clock = new FakeClock(Date.parse('2026-01-01T00:00:00Z'));
    asked = [];
    const clusterKey = randomBytes(32);
    const now = (): number => clock.now();
    authority = await openClusterAuthority({store, clusterKey, cluster: 'cluster-1', now: Date.now()});
    manager = createNodeManager({store, bus, logger, metrics: new Registry(), cluster: 'cluster-1', dataDir, instance: 'test', now, uid: () => randomBytes(8).toString('hex'), random: () => 0.5, clusterKey: async () => clusterKey, busUrls: ['nats://127.0.0.1:1']});
    await manager.start();
    const {certificate, key} = await issueCertificate(authority, {name: 'gateway', addresses: ['127.0.0.1'], now: Date.now()});
    ({gateway, url} = await serve({certificate, key}));
  });

  afterEach(async () => {
    await gateway.close();
    await manager.stop();
    await bus.close();
    await store.close();
    await removeTempDir(dataDir);
  });

  async function serve(tls?: {readonly certificate: string; readonly key: string}, ca?: string): Promise<{gateway: HttpServer; url: string}> {
    const server = createHttp({logger, metrics: new Registry(), name: 'test', ...(tls ? {tls} : {})});
    server.addHook('onRequest', async (request) => void asked.push(`${request.method} ${request.url}`));
    if (ca === undefined) await server.register(async (api: HttpServer) => manager.routes(api), {prefix: '/api/v1'});
    else server.get('/api/v1/nodes/authority', async () => ({cluster: 'cluster-1', ca}));
    await server.listen({port: 0, host: '127.0.0.1'});
    const address = server.server.address();
    return {gateway: server, url: `${tls ? 'https' : 'http'}://127.0.0.1:${typeof address === 'object' ? address?.port : ''}`};
  }

  async function token(uses = 1): Promise<string> {
    const {body} = await gateway.inject({method: 'POST', url: '/api/v1/nodes/join-tokens', payload: {uses, labels: {zone: 'a'}}});
    return JSON.parse(body).token;
  }
  const enter = (options: Partial<JoinOptions> = {}): Promise<NodeCredentials> => openMembership({dataDir, name: 'n1', nameGiven: false, clock, logger, ...options});
  const joined = async (): Promise<NodeCredentials> => enter({gateway: url, token: await token()});
  const remove = async (): Promise<void> => {
    await call(bus, subjects.registerNode, {node: 'n1'}, {report, instance: 'i'});
    await waitFor(async () => (await gateway.inject({method: 'DELETE', url: '/api/v1/nodes/n1'})).statusCode === 200, {what: 'the node to be removed'});
  };
  const joinRequests = (): number => asked.filter((request) => request === 'POST /api/v1/nodes/join').length;

  it('is a node over TLS by a token alone, and the same one at the next start without it', async () => {
    const first = await joined();
    expect(first.identity).toMatchObject({name: 'n1', membership: {cluster: 'cluster-1', ca: authority.certificate, labels: {zone: 'a'}, gateway: url}});
    const file = join(dataDir, 'agent/identity.json');
    expect((await stat(file)).mode & 0o777).toBe(0o600);
    await gateway.close();
    const second = await enter({name: 'derived-otherwise'});
    expect(second.identity).toEqual(first.identity);
    expect(second.current()).toEqual(first.current());
    expect(joinRequests()).toBe(1);
  });

  it('joins in the clear on loopback only', async () => {
    const plain = await serve();
    expect((await enter({gateway: plain.url, token: await token()})).identity.membership.cluster).toBe('cluster-1');
    await plain.gateway.close();
    for (const elsewhere of ['http://10.0.0.1:4483', 'http://gateway:4483', 'ftp://127.0.0.1', 'http://127.0.0.1.evil.org:80']) {
      await expect(enter({dataDir: join(dataDir, 'other'), gateway: elsewhere, token: await token()})).rejects.toMatchObject({code: 'insecure-join'});
    }
  });

  it('tells nothing to a cluster that the token is not of', async () => {
    const theirs = newJoinToken('B'.repeat(43)).token;
    await expect(enter({gateway: url, token: theirs})).rejects.toMatchObject({code: 'authority-mismatch', message: expect.stringContaining('Nothing was sent')});
    expect(asked).toEqual(['GET /api/v1/nodes/authority']);
  });

  it('tells nothing to who shows the right authority without being vouched for by it', async () => {
    const other = await createAuthority({cluster: 'cluster-1', now: Date.now()});
    const impostor = await serve(await issueCertificate(other, {name: 'gateway', addresses: ['127.0.0.1'], now: Date.now()}), authority.certificate);
    await expect(enter({gateway: impostor.url, token: await token()})).rejects.toMatchObject({code: 'gateway-absent', message: expect.stringContaining('does not prove')});
    expect(joinRequests()).toBe(0);
    await impostor.gateway.close();
    // A certificate of the cluster, but for another address.
    const elsewhere = await serve(await issueCertificate(authority, {name: 'gateway', addresses: ['10.9.9.9'], now: Date.now()}));
    await expect(enter({gateway: elsewhere.url, token: await token()})).rejects.toMatchObject({code: 'gateway-absent'});
    expect(joinRequests()).toBe(0);
    await elsewhere.gateway.close();
  });

  it('says what is missing, and passes on why it was refused', async () => {
    await expect(enter()).rejects.toMatchObject({code: 'join-needed', message: expect.stringContaining('hivemind node join-token')});
    await expect(enter({gateway: url, token: 'hm1.nonsense'})).rejects.toMatchObject({code: 'join-token-malformed'});
    await expect(enter({gateway: 'http://127.0.0.1:1', token: await token()})).rejects.toMatchObject({code: 'gateway-absent', message: expect.stringContaining('ECONNREFUSED')});
    const spent = await token();
    await enter({gateway: url, token: spent});
    await expect(enter({dataDir: join(dataDir, 'second'), name: 'n2', gateway: url, token: spent})).rejects.toMatchObject({code: 'join-token-used'});
    await expect(enter({dataDir: join(dataDir, 'third'), gateway: url, token: await token()})).rejects.toMatchObject({code: 'node-name-taken'});
  });

  it('does not become another node, nor of another cluster, in a data dir that has one', async () => {
    await joined();
    await expect(enter({name: 'n2', nameGiven: true})).rejects.toMatchObject({code: 'identity-conflict', message: expect.stringContaining('node n1, not n2')});
    await expect(enter({gateway: url, token: newJoinToken('B'.repeat(43)).token})).rejects.toMatchObject({code: 'identity-conflict', message: expect.stringContaining('--data-dir')});
    const formerly = join(dataDir, 'formerly');
    await mkdir(join(formerly, 'agent'), {recursive: true});
    await writeFile(join(formerly, 'agent/cluster'), 'cluster-2\n');
    await expect(enter({dataDir: formerly, name: 'n3', gateway: url, token: await token()})).rejects.toMatchObject({code: 'join-other-cluster'});
    await writeFile(join(dataDir, 'agent/identity.json'), '{"name":');
    await expect(enter()).rejects.toMatchObject({code: 'identity-damaged'});
  });

  it('is the same machine when the answer to its join was lost', async () => {
    const once = await token();
    const {identity} = await enter({gateway: url, token: once});
    const {membership: _, ...begun} = identity;
    await writeFile(join(dataDir, 'agent/identity.json'), JSON.stringify(begun));
    expect((await enter({gateway: url, token: once})).identity.nkey).toBe(identity.nkey);
  });

  it('renews its credentials at half of their life, over the bus', async () => {
    const credentials = await joined();
    const before = credentials.current().jwt;
    let renewals = 0;
    credentials.onRenewed(() => renewals++);
    credentials.start(bus);
    await clock.advance(1_799_000);
    expect(renewals).toBe(0);
    await clock.advance(1_000);
    await waitFor(() => renewals === 1, {what: 'a renewal'});
    expect(credentials.current().jwt).not.toBe(before);
    expect(JSON.parse(await readFile(join(dataDir, 'agent/identity.json'), 'utf8')).membership.busJwt).toBe(credentials.current().jwt);
    await credentials.stop();
    expect(asked.some((request) => request.includes('credentials'))).toBe(false);
  });

  it('renews them by a gateway where the bus is not reached, and goes on with what it has where neither is', async () => {
    const first = await joined();
    await clock.advance(7_200_000);
    const second = await enter();
    expect(second.current().jwt).not.toBe(first.current().jwt);
    expect(asked.at(-1)).toBe('POST /api/v1/nodes/n1/credentials');
    await clock.advance(7_200_000);
    await gateway.close();
    expect((await enter()).current()).toEqual(second.current());
  });

  it('tries again where neither answers, until one does', async () => {
    const credentials = await joined();
    const quiet = createEmbeddedBus();
    let renewals = 0;
    credentials.onRenewed(() => renewals++);
    await gateway.close();
    credentials.start(quiet);
    await clock.advance(1_800_000);
    // It asks nobody until the next time: a minute at most.
    await waitFor(() => clock.pending > 0, {what: 'it to wait for the next time'});
    expect(renewals).toBe(0);
    await serveRequests(quiet, subjects.renewCredentials, {node: 'n1'}, async () => ({jwt: 'fresh', validMs: 3_600_000}));
    await clock.advance(60_000);
    await waitFor(() => renewals === 1, {what: 'a renewal'});
    expect(credentials.current().jwt).toBe('fresh');
    await credentials.stop();
    await quiet.close();
  });

  it('joins anew, with another key, when it was removed and is given a token', async () => {
    const {identity} = await joined();
    await remove();
    await expect(enter({gateway: url, token: newJoinToken('B'.repeat(43)).token})).rejects.toMatchObject({code: 'identity-conflict'});
    const again = await enter({gateway: url, token: await token()});
    expect(again.identity.name).toBe('n1');
    expect(again.identity.nkey).not.toBe(identity.nkey);
    await remove();
    await clock.advance(7_200_000);
    await expect(enter()).rejects.toMatchObject({code: 'node-removed'});
  });
});
