import {createDecipheriv, createPublicKey, diffieHellman, generateKeyPairSync, hkdfSync, randomUUID} from 'node:crypto';
import {readFile, rm, stat, writeFile} from 'node:fs/promises';
import {call, createEmbeddedBus, type Bus} from '@hivemind/bus';
import {AppSpec, collections, ContainerTemplate, OpenedSecrets} from '@hivemind/contracts';
import * as subjects from '@hivemind/contracts/subjects';
import {createHttp, type HttpServer, type Manager} from '@hivemind/service';
import {collection, openSqliteStore, type Store} from '@hivemind/store';
import {removeTempDir, tempDir} from '@hivemind/testkit';
import {pino} from 'pino';
import {Registry} from 'prom-client';
import {createSecurityManager} from './manager.ts';
import {secretsKeyFile} from './secrets-key.ts';

const now = '2026-01-01T00:00:00.000Z';
const VALUE = 'correct-horse-battery';

let store: Store;
let bus: Bus;
let app: HttpServer;
let manager: Manager;
let dataDir: string;
let log: string[];
/** What the bus carried from the control plane to a node. */
let heard: string[];

beforeEach(async () => {
  dataDir = tempDir('security');
  store = await openSqliteStore({path: ':memory:'});
  log = [];
  heard = [];
  bus = createEmbeddedBus();
  await start();
});

afterEach(async () => {
  await app.close();
  await manager.stop();
  await bus.close();
  await store.close();
  await removeTempDir(dataDir);
});

async function start(): Promise<void> {
  const logger = pino({level: 'trace'}, {write: (line: string) => void log.push(line)});
  const metrics = new Registry();
  manager = createSecurityManager({bus, store, logger, metrics, cluster: 'c', dataDir, instance: 'i', now: () => Date.parse(now), uid: randomUUID, random: Math.random});
  app = createHttp({name: 'security', logger, metrics});
  await manager.routes(app);
  await manager.start();
}

const send = (method: 'POST' | 'PUT' | 'PATCH' | 'DELETE', url: string, payload?: Record<string, unknown>, headers: Record<string, string> = {}) => app.inject({method, url, headers, ...(payload ? {payload} : {})});
const createDb = () => send('POST', '/secrets', {name: 'db', spec: {data: {password: VALUE, user: 'root'}}});

describe('/secrets', () => {
  it('takes values and answers keys', async () => {
    const made = await createDb();
    expect([made.statusCode, made.headers.location]).toEqual([201, '/api/v1/secrets/db?namespace=default']);
    for (const reply of [made, await app.inject('/secrets/db'), await app.inject('/secrets?namespace=*')]) {
      expect(reply.body).toContain('"keys":["password","user"]');
      expect(reply.body).not.toContain(VALUE);
      expect(reply.body).not.toContain(Buffer.from(VALUE).toString('base64'));
      expect(reply.body).not.toContain('sealed');
    }
    expect((await app.inject('/secrets?namespace=other')).json()).toMatchObject({items: []});
    expect((await createDb()).json()).toMatchObject({status: 409, code: 'already-exists'});
  });

  it('replaces, and says when somebody was faster', async () => {
    const {etag} = (await createDb()).headers;
    const put = await send('PUT', '/secrets/db', {data: {password: 'new'}}, {'if-match': String(etag)});
    expect(put.json()).toMatchObject({spec: {keys: ['password']}, meta: {generation: 2}});
    expect((await send('PUT', '/secrets/db', {data: {}}, {'if-match': String(etag)})).json()).toMatchObject({status: 412});
    expect((await send('PUT', '/secrets/fresh', {data: {}})).statusCode).toBe(201);
  });

  it('writes nothing when nothing changes', async () => {
    const {etag} = (await createDb()).headers;
    const again = await send('PUT', '/secrets/db', {name: 'db', spec: {data: {user: 'root', password: VALUE}}});
    expect([again.statusCode, again.headers.etag]).toEqual([200, etag]);
    const labelled = await send('PATCH', '/secrets/db', {labels: {tier: 'back'}});
    expect(labelled.json()).toMatchObject({labels: {tier: 'back'}, meta: {generation: 1}});
    expect(labelled.headers.etag).not.toBe(etag);
  });

  it('patches single keys', async () => {
    await createDb();
    const patched = await send('PATCH', '/secrets/db', {spec: {data: {user: null, token: Buffer.from('t').toString('base64')}, encoding: 'base64'}});
    expect(patched.json()).toMatchObject({spec: {keys: ['password', 'token']}, meta: {generation: 2}});
    await useOnNode('db', 'n1');
    expect(await openAs('n1', 1, ['db'])).toEqual({'default/db': {password: Buffer.from(VALUE).toString('base64'), token: 'dA=='}});
  });

  it('refuses what is no base64, too much, or unknown', async () => {
    expect((await send('POST', '/secrets', {name: 'a', spec: {data: {k: 'not base64!'}, encoding: 'base64'}})).json()).toMatchObject({status: 422, errors: [{path: 'spec.data.k', message: 'is not base64, as encoding says'}]});
    expect((await send('POST', '/secrets', {name: 'a', spec: {data: {k: 'x'.repeat(300_000)}}})).json()).toMatchObject({status: 422, errors: [{path: 'spec.data'}]});
    expect((await send('POST', '/secrets', {name: 'a', spec: {date: {k: 'v'}}})).body).toContain('did you mean data?');
    expect((await send('PATCH', '/secrets/a', {spec: {data: {}}})).json()).toMatchObject({status: 404, code: 'secret-not-found'});
  });

  it('is kept while an app uses it', async () => {
    await createDb();
    const apps = collection(collections.apps).in(store);
    const spec = AppSpec.parse({image: 'x', env: {P: {secret: 'db', key: 'password'}}});
    await apps.put('default/web', {name: 'web', namespace: 'default', labels: {}, annotations: {}, spec, revision: 1, stopped: false, restarts: 0, meta: {uid: 'u', generation: 1, createdAt: now, updatedAt: now}});
    expect((await send('DELETE', '/secrets/db')).json()).toMatchObject({status: 409, code: 'secret-in-use', detail: expect.stringContaining('web')});
    await apps.delete('default/web');
    expect((await send('DELETE', '/secrets/db')).statusCode).toBe(200);
    expect((await app.inject('/secrets/db')).statusCode).toBe(404);
  });
});

describe('admission', () => {
  it('admits what exists and refuses what does not, with the nearest name', async () => {
    await createDb();
    const ask = (env: Record<string, {secret: string; key: string}>) => call(bus, subjects.admit, {}, {namespace: 'default', name: 'web', spec: AppSpec.parse({image: 'x', env})});
    expect(await ask({P: {secret: 'db', key: 'password'}})).toEqual({errors: []});
    expect(await ask({P: {secret: 'bd', key: 'password'}})).toEqual({errors: [{path: 'spec.env.P.secret', message: 'secret bd does not exist in namespace default: did you mean db?'}]});
    expect(await ask({P: {secret: 'db', key: 'pass'}})).toMatchObject({errors: [{path: 'spec.env.P.key'}]});
  });
});

describe('opening for a node', () => {
  it('gives a node the secrets of its containers alone', async () => {
    await createDb();
    await send('POST', '/secrets', {name: 'other', spec: {data: {k: 'v'}}});
    await useOnNode('db', 'n1');
    expect(await openAs('n1', 1, ['db'])).toEqual({'default/db': {password: Buffer.from(VALUE).toString('base64'), user: 'cm9vdA=='}});
    const {missing} = await ask('n1', 1, ['db', 'other', 'gone']);
    expect(missing).toEqual([{namespace: 'default', name: 'other'}, {namespace: 'default', name: 'gone'}]);
    await collection(collections.nodeLeases).in(store).put('n2', {name: 'n2', session: 7, lease: 'l'});
    expect(await openAs('n2', 7, ['db'])).toEqual({});
  });

  it('refuses an old session, and a key that is none', async () => {
    await createDb();
    await useOnNode('db', 'n1');
    await expect(ask('n1', 2, ['db'])).rejects.toMatchObject({code: 'session-expired', status: 409});
    await expect(ask('nobody', 1, ['db'])).rejects.toMatchObject({code: 'session-expired'});
    await expect(ask('n1', 1, ['db'], 'AAAA')).rejects.toMatchObject({code: 'invalid-input'});
  });

  it('sends nothing and logs nothing in the clear', async () => {
    await createDb();
    await useOnNode('db', 'n1');
    await openAs('n1', 1, ['db']);
    await send('PATCH', '/secrets/db', {spec: {data: {password: 42}}});
    const {records} = await store.list('secrets');
    const everything = [...log, ...heard, ...records.map(({value}) => value)].join('\n');
    expect(heard.join('')).toMatch(/"sealed":"[\w+/]{50}/);
    for (const clue of [VALUE, Buffer.from(VALUE).toString('base64'), Buffer.from(VALUE).toString('hex')]) expect(everything).not.toContain(clue);
  });
});

describe('the key', () => {
  it('is a file of mode 0600, and opens after a restart', async () => {
    await createDb();
    expect((await stat(secretsKeyFile(dataDir))).mode & 0o777).toBe(0o600);
    await restart();
    await useOnNode('db', 'n1');
    expect(Object.keys(await openAs('n1', 1, ['db']))).toEqual(['default/db']);
  });

  it('is not made anew over secrets that were sealed with a lost one, and may be put back', async () => {
    await createDb();
    const key = await readFile(secretsKeyFile(dataDir));
    await rm(secretsKeyFile(dataDir));
    await restart();
    const refused = await send('POST', '/secrets', {name: 'b', spec: {data: {}}});
    expect(refused.json()).toMatchObject({status: 503, code: 'secrets-key-missing'});
    expect((await app.inject('/secrets/db')).statusCode).toBe(200);
    await writeFile(secretsKeyFile(dataDir), key);
    expect((await send('POST', '/secrets', {name: 'b', spec: {data: {}}})).statusCode).toBe(201);
  });

  it('says when it is another one', async () => {
    await createDb();
    await writeFile(secretsKeyFile(dataDir), Buffer.alloc(32, 9).toString('base64'));
    await restart();
    expect((await send('PATCH', '/secrets/db', {spec: {data: {a: 'b'}}})).json()).toMatchObject({status: 503, code: 'secret-unreadable'});
    await writeFile(secretsKeyFile(dataDir), 'short');
    await restart();
    expect((await send('POST', '/secrets', {name: 'b', spec: {data: {}}})).json()).toMatchObject({status: 503, code: 'secrets-key-invalid'});
  });
});

async function restart(): Promise<void> {
  await app.close();
  await manager.stop();
  await start();
}

/** A container on `node` (whose session is 1) that uses a secret. */
async function useOnNode(secret: string, node: string): Promise<void> {
  const template = ContainerTemplate.parse({image: 'x', env: {P: {secret, key: 'password'}}});
  await collection(collections.containers).in(store).put('web-1', {id: 'web-1', namespace: 'default', app: 'web', appUid: 'u', revision: 1, node, generation: 1, template, ports: [], mode: 'replicated', createdAt: now});
  await collection(collections.assignments).in(store).put(node, {node, containers: [{id: 'web-1', generation: 1}]});
  await collection(collections.nodeLeases).in(store).put(node, {name: node, session: 1, lease: 'l'});
}

const PREFIX = Buffer.from('302a300506032b656e032100', 'hex');
const pair = generateKeyPairSync('x25519');
const publicKey = pair.publicKey.export({format: 'der', type: 'spki'}).subarray(PREFIX.length).toString('base64');

async function ask(node: string, session: number, names: readonly string[], key = publicKey) {
  const reply = await call(bus, subjects.openSecrets, {node}, {session, publicKey: key, secrets: names.map((name) => ({namespace: 'default', name}))});
  heard.push(JSON.stringify(reply));
  return reply;
}

async function openAs(node: string, session: number, names: readonly string[]): Promise<OpenedSecrets> {
  const reply = await ask(node, session, names);
  const theirs = createPublicKey({key: Buffer.concat([PREFIX, Buffer.from(reply.publicKey, 'base64')]), format: 'der', type: 'spki'});
  const key = Buffer.from(hkdfSync('sha256', diffieHellman({privateKey: pair.privateKey, publicKey: theirs}), Buffer.alloc(0), 'hivemind.secrets', 32));
  const sealed = Buffer.from(reply.sealed, 'base64');
  const decipher = createDecipheriv('aes-256-gcm', key, Buffer.from(reply.nonce, 'base64'), {authTagLength: 16});
  decipher.setAuthTag(sealed.subarray(-16));
  return OpenedSecrets.parse(JSON.parse(Buffer.concat([decipher.update(sealed.subarray(0, -16)), decipher.final()]).toString('utf8')));
}
type OpenedSecrets = Readonly<Record<string, Readonly<Record<string, string>>>>;
