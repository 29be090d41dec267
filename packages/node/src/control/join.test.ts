import {randomBytes} from 'node:crypto';
import {call, createEmbeddedBus, type Bus} from '@hivemind/bus';
import {collections, credentialsChallenge, NodeReport, type JoinRequest} from '@hivemind/contracts';
import * as subjects from '@hivemind/contracts/subjects';
import {createHttp, type HttpServer, type Manager, type ManagerContext} from '@hivemind/service';
import {collection, openSqliteStore, type Store} from '@hivemind/store';
import {waitFor} from '@hivemind/testkit';
import {authorityHash, newJoinToken} from '@hivemind/trust';
import {createKeyPair, sign} from '@hivemind/trust/node';
import {pino} from 'pino';
import {Registry} from 'prom-client';
import {createNodeManager} from './manager.ts';

const logger = pino({level: 'silent'});
const report = NodeReport.parse({capacity: {cpu: 2000, memory: 1e9, disk: 1e10}, labels: {}, address: '10.0.0.1', runtime: {name: 'fake', version: '1', available: true}, agentVersion: '0'});
const HOUR = 3_600_000;

describe('joining', () => {
  let store: Store;
  let bus: Bus;
  let manager: Manager;
  let http: HttpServer;
  let base: string;
  let now: number;
  let context: ManagerContext;

  beforeEach(async () => {
    now = Date.parse('2026-01-01T00:00:00Z');
    store = await openSqliteStore({path: ':memory:'});
    bus = createEmbeddedBus();
    const clusterKey = randomBytes(32);
    context = {store, bus, logger, metrics: new Registry(), cluster: 'cluster-1', dataDir: '/nowhere', instance: 'test', now: () => now, uid: () => randomBytes(8).toString('hex'), random: () => 0.5, clusterKey: async () => clusterKey, busUrls: ['nats://127.0.0.1:1']};
    await serve(context);
  });

  afterEach(async () => {
    await manager.stop();
    await http.close();
    await bus.close();
    await store.close();
  });

  async function serve(host: ManagerContext): Promise<void> {
    manager = createNodeManager(host);
    http = createHttp({logger, metrics: host.metrics, name: 'test'});
    await manager.routes(http);
    await manager.start();
    base = await http.listen({port: 0, host: '127.0.0.1'});
  }

  const ask = async (method: string, url: string, body?: unknown) => {
    const answer = await fetch(`${base}${url}`, {method, ...(body === undefined ? {} : {headers: {'content-type': 'application/json'}, body: JSON.stringify(body)})});
    const text = await answer.text();
    return {status: answer.status, body: text === '' ? undefined : JSON.parse(text)};
  };
  const newToken = async (options: object = {}): Promise<string> => (await ask('POST', '/nodes/join-tokens', options)).body.token;
  const machine = async (name: string, token: string, fields: Partial<JoinRequest> = {}): Promise<JoinRequest> => ({token, name, nkey: createKeyPair('user').publicKey, sealKey: 'c2VhbA==', ...fields});
  const join = (request: JoinRequest) => ask('POST', '/nodes/join', request);

  it('gives a machine all that it needs, and nothing that the store keeps in the clear', async () => {
    const {status, body: created} = await ask('POST', '/nodes/join-tokens', {ttl: '10m', labels: {zone: 'a'}});
    expect(status).toBe(201);
    expect(created.expiresAt).toBe('2026-01-01T00:10:00.000Z');
    const {body: authority} = await ask('GET', '/nodes/authority');
    expect(created.token).toContain(authorityHash(authority.ca));
    const joined = await join(await machine('n1', created.token));
    expect(joined).toMatchObject({status: 200, body: {cluster: 'cluster-1', name: 'n1', ca: authority.ca, labels: {zone: 'a'}, busUrls: ['nats://127.0.0.1:1'], busValidMs: HOUR, gossipSeeds: []}});
    expect(Buffer.from(joined.body.gossipKey, 'base64')).toHaveLength(32);
    const claims = JSON.parse(Buffer.from(joined.body.busJwt.split('.')[1], 'base64url').toString());
    expect(claims).toMatchObject({name: 'n1', exp: now / 1000 + 3600, nats: {sub: {allow: expect.arrayContaining(['_INBOX_n1.>'])}}});
    const kept = (await Promise.all(['join-tokens', 'node-identities', 'cluster-trust'].map(async (name) => (await store.list(name)).records))).flat().map(({value}) => value).join();
    for (const secret of [created.token.split('.')[2], joined.body.gossipKey]) expect(kept).not.toContain(secret);
    expect((await ask('GET', '/nodes/join-tokens')).body.items).toEqual([{id: created.id, createdAt: '2026-01-01T00:00:00.000Z', expiresAt: created.expiresAt, uses: 1, usedBy: ['n1'], labels: {zone: 'a'}}]);
  });

  it('refuses a token that is used up, save for the machine that used it', async () => {
    const token = await newToken({uses: 2});
    const first = await machine('n1', token);
    expect((await join(first)).status).toBe(200);
    expect((await join(await machine('n2', token))).status).toBe(200);
    expect(await join(await machine('n3', token))).toMatchObject({status: 403, body: {code: 'join-token-used', detail: expect.stringContaining('n1, n2')}});
    expect((await join(first)).status).toBe(200);
  });

  it('lets no more machines in than a token is for, when they come at once', async () => {
    const token = await newToken({uses: 3});
    const machines = await Promise.all(Array.from({length: 8}, (_, index) => machine(`n${index}`, token)));
    const codes = (await Promise.all(machines.map(join))).map(({status, body}) => (status === 200 ? 'ok' : body.code));
    expect(codes.toSorted()).toEqual([...Array.from({length: 5}, () => 'join-token-used'), 'ok', 'ok', 'ok']);
  });

  it('refuses a token that has expired, was forged, deleted, or is none', async () => {
    const token = await newToken({ttl: '10m'});
    const [, id = '', secret = '', hash = ''] = token.split('.');
    const forged = {status: 403, body: {code: 'join-token-invalid'}};
    expect(await join(await machine('n1', `hm1.${id}.${'A'.repeat(43)}.${hash}`))).toMatchObject(forged);
    expect(await join(await machine('n1', `hm1.000000000000.${secret}.${hash}`))).toMatchObject(forged);
    expect(await join(await machine('n1', token.slice(0, -1)))).toMatchObject({status: 422, body: {code: 'join-token-malformed', errors: [{path: 'token'}]}});
    now += 600_000;
    expect(await join(await machine('n1', token))).toMatchObject({status: 403, body: {code: 'join-token-expired', detail: expect.stringContaining('00:10:00')}});
    const other = await newToken();
    expect((await ask('DELETE', `/nodes/join-tokens/${other.split('.')[1]}`)).status).toBe(204);
    expect(await join(await machine('n1', other))).toMatchObject(forged);
    expect(await ask('DELETE', '/nodes/join-tokens/none')).toMatchObject({status: 404, body: {code: 'join-token-not-found'}});
  });

  it('refuses what is of another cluster', async () => {
    const token = await newToken();
    expect(await join(await machine('n1', newJoinToken('B'.repeat(43)).token))).toMatchObject({status: 403, body: {code: 'join-other-cluster'}});
    expect(await join(await machine('n1', token, {cluster: 'cluster-2'}))).toMatchObject({status: 403, body: {code: 'join-other-cluster', detail: expect.stringContaining('--data-dir')}});
    expect((await join(await machine('n1', token, {cluster: 'cluster-1'}))).status).toBe(200);
  });

  it('refuses a second machine of one name, heard or not', async () => {
    const token = await newToken({uses: 5});
    expect((await join(await machine('n1', token))).status).toBe(200);
    expect(await join(await machine('n1', token))).toMatchObject({status: 409, body: {code: 'node-name-taken', detail: expect.stringContaining('hivemind node rm n1'), errors: [{path: 'name'}]}});
    await call(bus, subjects.registerNode, {node: 'local'}, {report, instance: 'i'});
    expect(await join(await machine('local', token))).toMatchObject({status: 409, body: {code: 'node-name-taken', detail: expect.stringContaining('heard of now')}});
    expect((await ask('GET', '/nodes/join-tokens')).body.items[0].usedBy).toEqual(['n1']);
  });

  it('names the field that is wrong', async () => {
    const token = await newToken();
    const path = (name: string) => ({status: 422, body: {errors: [expect.objectContaining({path: expect.stringContaining(name)})]}});
    expect(await join(await machine('Not A Name', token))).toMatchObject(path('name'));
    expect(await join(await machine('n1', token, {nkey: 'UAAA'}))).toMatchObject(path('nkey'));
    expect(await ask('POST', '/nodes/join', {...(await machine('n1', token)), admin: true})).toMatchObject({status: 422});
    expect(await ask('POST', '/nodes/join-tokens', {ttl: 'soon'})).toMatchObject(path('ttl'));
    expect(await ask('POST', '/nodes/join-tokens', {ttl: '60d'})).toMatchObject(path('ttl'));
    expect(await ask('POST', '/nodes/join-tokens', {uses: 0})).toMatchObject(path('uses'));
    expect(await ask('POST', '/nodes/join-tokens', {labels: {'hivemind.io/os': 'x'}})).toMatchObject(path('labels'));
  });

  it('slows down who guesses', async () => {
    const guess = await machine('n1', newJoinToken(authorityHash((await ask('GET', '/nodes/authority')).body.ca)).token);
    for (let attempt = 0; attempt < 20; attempt++) expect((await join(guess)).status).toBe(403);
    expect(await join(guess)).toMatchObject({status: 429, body: {code: 'too-many-attempts'}});
    now += 60_000;
    expect((await join(guess)).status).toBe(403);
  });

  it('renews credentials over the bus, and over HTTP for a machine that signs with its key', async () => {
    const key = createKeyPair('user');
    await join(await machine('n1', await newToken(), {nkey: key.publicKey}));
    expect(await call(bus, subjects.renewCredentials, {node: 'n1'}, {})).toMatchObject({validMs: HOUR});
    const time = new Date(now).toISOString();
    const renew = (signature: string, at = time, node = 'n1') => ask('POST', `/nodes/${node}/credentials`, {time: at, signature});
    const challenge = (at: string) => sign(key, credentialsChallenge('cluster-1', 'n1', at));
    expect(await renew(challenge(time))).toMatchObject({status: 200, body: {busValidMs: HOUR, busUrls: ['nats://127.0.0.1:1']}});
    expect(await renew(sign(createKeyPair('user'), credentialsChallenge('cluster-1', 'n1', time)))).toMatchObject({status: 403, body: {code: 'signature-invalid'}});
    expect(await renew('nonsense')).toMatchObject({status: 403, body: {code: 'signature-invalid'}});
    // Clocks may be apart by minutes, not by hours.
    const [soon, late] = [10, 60].map((minutes) => new Date(now - minutes * 60_000).toISOString());
    expect((await renew(challenge(soon ?? ''), soon)).status).toBe(200);
    expect(await renew(challenge(late ?? ''), late)).toMatchObject({status: 403, body: {code: 'clock-apart', detail: expect.stringContaining('60 minutes')}});
    expect(await renew(challenge(time), time, 'n2')).toMatchObject({status: 403, body: {code: 'node-removed'}});
    await expect(call(bus, subjects.renewCredentials, {node: 'n2'}, {})).rejects.toMatchObject({code: 'node-removed'});
  });

  it('knows a machine again by its credentials after the store was emptied, and nobody by others', async () => {
    const key = createKeyPair('user');
    const {body: {busJwt: jwt}} = await join(await machine('n1', await newToken(), {nkey: key.publicKey}));
    const forget = (): Promise<boolean> => collection(collections.nodeIdentities).in(store).delete('n1');
    await forget();
    await expect(call(bus, subjects.renewCredentials, {node: 'n1'}, {})).rejects.toMatchObject({code: 'node-removed'});
    await expect(call(bus, subjects.renewCredentials, {node: 'n2'}, {jwt})).rejects.toMatchObject({code: 'node-removed'});
    const [header, body, signature] = jwt.split('.');
    const forged = Buffer.from(JSON.stringify({...JSON.parse(Buffer.from(body, 'base64url').toString()), name: 'n2'})).toString('base64url');
    for (const bad of [`${header}.${forged}.${signature}`, 'nonsense', 'a.b.c', `${header}.${body}.`]) {
      await expect(call(bus, subjects.renewCredentials, {node: 'n2'}, {jwt: bad})).rejects.toMatchObject({code: 'node-removed'});
    }
    expect(await call(bus, subjects.renewCredentials, {node: 'n1'}, {jwt, sealKey: 'c2VhbA=='})).toMatchObject({validMs: HOUR});
    expect((await collection(collections.nodeIdentities).in(store).get('n1'))?.value).toMatchObject({nkey: key.publicKey, sealKey: 'c2VhbA=='});
    await forget();
    now += HOUR;
    await expect(call(bus, subjects.renewCredentials, {node: 'n1'}, {jwt})).rejects.toMatchObject({code: 'node-removed'});
  });

  it('voids the key of a machine that is removed: it gets nothing more, and joins only with a new key', async () => {
    const token = await newToken({uses: 2});
    const request = await machine('n1', token);
    const {body: {busJwt: jwt}} = await join(request);
    await call(bus, subjects.registerNode, {node: 'n1'}, {report, instance: 'i'});
    await waitFor(async () => (await ask('DELETE', '/nodes/n1')).status === 200, {what: 'the node to be removed'});
    expect((await collection(collections.busRevocations).in(store).get('account'))?.value.revoked[request.nkey]).toEqual({node: 'n1', until: now / 1000 + 900});
    // It may speak until the bus has heard: that makes it no node again.
    await expect(call(bus, subjects.registerNode, {node: 'n1'}, {report, instance: 'i'})).rejects.toMatchObject({code: 'node-removed'});
    await expect(call(bus, subjects.renewCredentials, {node: 'n1'}, {jwt})).rejects.toMatchObject({code: 'node-removed'});
    expect(await join(request)).toMatchObject({status: 403, body: {code: 'node-removed'}});
    expect((await join(await machine('n1', token))).status).toBe(200);
  });

  it('is not offered where the bus is inside the process, and says so', async () => {
    await manager.stop();
    await http.close();
    const {busUrls: _, ...alone} = context;
    await serve({...alone, metrics: new Registry()});
    expect(await ask('POST', '/nodes/join-tokens')).toMatchObject({status: 409, body: {code: 'join-not-offered', detail: expect.stringContaining('--advertise')}});
    expect(await join(await machine('n1', newJoinToken('B'.repeat(43)).token))).toMatchObject({status: 409, body: {code: 'join-not-offered'}});
  });
});
