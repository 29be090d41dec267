/** The gateway as a client sees it: real HTTP, a SQLite store on disk, a manager with a few routes. */
import {randomUUID} from 'node:crypto';
import {stat, writeFile, chmod} from 'node:fs/promises';
import {connect} from 'node:net';
import {join} from 'node:path';
import {createEmbeddedBus} from '@hivemind/bus';
import {collections, DnsLabel, NodeRecord} from '@hivemind/contracts';
import {created, type Manager, type ManagerContext} from '@hivemind/service';
import {collection, openSqliteStore, type Store} from '@hivemind/store';
import {removeTempDir, tempDir, waitFor} from '@hivemind/testkit';
import {pino} from 'pino';
import {Registry} from 'prom-client';
import * as z from 'zod';
import {adminToken, adminTokenFile, createGateway, Status, tokenHash, type Gateway} from '../../src/index.ts';

const now = '2026-01-01T00:00:00.000Z';
const meta = {uid: 'u1', generation: 1, createdAt: now, updatedAt: now};
const volume = (name: string, namespace = 'default') => ({name, namespace, labels: {}, annotations: {}, spec: {driver: 'local' as const}, meta});

let dataDir: string;
let store: Store;
let gateway: Gateway;
let url: string;
let token: string;
const logLines: string[] = [];
const logger = pino({level: 'debug'}, {write: (line: string) => void logLines.push(line)});

/** Writes volumes, slowly if told to. */
function volumesManager(context: ManagerContext): Manager {
  const volumes = collection(collections.volumes).in(context.store);
  return {
    name: 'storage',
    routes(app) {
      app.post('/volumes', {schema: {body: z.strictObject({name: DnsLabel})}}, async (request, reply) => {
        const stored = await volumes.put(`default/${request.body.name}`, volume(request.body.name), {expect: 0});
        return created(reply, `/api/v1/volumes/${request.body.name}`, {name: request.body.name, meta: {version: stored.version}});
      });
      app.get('/volumes/:name', {schema: {params: z.object({name: z.string()})}}, async (request) => ({name: request.params.name}));
    },
    start: async () => undefined,
    stop: async () => undefined,
  };
}

beforeAll(async () => {
  dataDir = tempDir('gateway');
  store = await openSqliteStore({path: join(dataDir, 'store.db')});
  const context: ManagerContext = {
    bus: createEmbeddedBus(), store, logger, metrics: new Registry(), cluster: 'c-test', dataDir, instance: 'test',
    now: () => Date.now(), uid: () => randomUUID(), random: () => Math.random(),
  };
  token = await adminToken(dataDir);
  gateway = await createGateway({context, managers: [volumesManager(context)], adminTokenHash: tokenHash(token), version: '0.0.1', listen: {host: '127.0.0.1', port: 0}});
  url = await gateway.listen();
});

afterAll(async () => {
  await gateway.stop();
  await store.close();
  await removeTempDir(dataDir);
});

const call = (path: string, init: RequestInit = {}) => fetch(`${url}${path}`, {redirect: 'manual', ...init, headers: {authorization: `Bearer ${token}`, ...init.headers}});
const send = (path: string, body: unknown, headers: Record<string, string> = {}) => call(path, {method: 'POST', body: JSON.stringify(body), headers: {'content-type': 'application/json', ...headers}});

describe('who may', () => {
  it('answers nothing but liveness, readiness and login without a token', async () => {
    for (const path of ['/livez', '/readyz']) expect((await fetch(url + path)).status).toBe(200);
    for (const path of ['/', '/api/v1/status', '/api/v1/version', '/api/v1/events', '/api/v1/volumes/a', '/metrics', '/openapi.json', '/docs', '/nowhere']) {
      const reply = await fetch(url + path, {redirect: 'manual'});
      expect([path, reply.status]).toEqual([path, 401]);
      expect(reply.headers.get('www-authenticate')).toBe('Bearer');
      expect(await reply.json()).toMatchObject({code: 'unauthorized', status: 401});
    }
  });

  it('refuses a wrong token, and one that begins like the right one', async () => {
    for (const wrong of ['nope', token.slice(0, -1), `${token}x`]) {
      expect((await fetch(`${url}/api/v1/version`, {headers: {authorization: `Bearer ${wrong}`}})).status).toBe(401);
    }
    expect((await fetch(`${url}/api/v1/version`, {headers: {authorization: `Basic ${token}`}})).status).toBe(401);
    expect((await call('/api/v1/version')).status).toBe(200);
  });

  it('checks a token at login', async () => {
    const login = (body: unknown) => fetch(`${url}/api/v1/auth/login`, {method: 'POST', headers: {'content-type': 'application/json'}, body: JSON.stringify(body)});
    expect((await login({token})).status).toBe(204);
    expect((await login({token: 'nope'})).status).toBe(401);
    expect((await login({tokne: token})).status).toBe(422);
  });

  it('keeps the token in a file of mode 0600, and gives the same again', async () => {
    const path = adminTokenFile(dataDir);
    await chmod(path, 0o644);
    expect(await adminToken(dataDir)).toBe(token);
    expect((await stat(path)).mode & 0o777).toBe(0o600);
  });

  it('makes a token where a crash left an empty file', async () => {
    const other = tempDir('token');
    await writeFile(adminTokenFile(other), '', {mode: 0o644});
    expect(await adminToken(other)).toMatch(/^hm_[\w-]{43}$/);
    expect((await stat(adminTokenFile(other))).mode & 0o777).toBe(0o600);
    await removeTempDir(other);
  });

  it('never logs the token', async () => {
    await call('/api/v1/version');
    expect(logLines.length).toBeGreaterThan(0);
    expect(logLines.join('')).not.toContain(token);
  });
});

describe('its own routes', () => {
  it('tells the state of the cluster', async () => {
    const report = {capacity: {cpu: 1, memory: 1, disk: 1, pods: 1}, labels: {}, address: '127.0.0.1', agentVersion: '0', runtime: {name: 'docker', version: '1', available: true}};
    const meta = {uid: 'u', generation: 1, createdAt: now, updatedAt: now};
    for (const name of ['n1', 'n2', 'n3']) await collection(collections.nodes).in(store).put(name, NodeRecord.parse({name, labels: {}, annotations: {}, spec: {address: '127.0.0.1'}, meta}));
    for (const name of ['n1', 'n2']) await collection(collections.nodeStatus).in(store).put(name, {name, session: 1, lastSeenAt: now, report});
    await collection(collections.nodeVerdicts).in(store).put('n1', {name: 'n1', state: 'unreachable', degraded: false, reason: 'LeaseLapsed', message: 'it is not heard', since: now});
    await collection(collections.cluster).in(store).put('adoption', {held: true, reason: 'The data dir is new.', since: now});
    const status = Status.parse(await (await call('/api/v1/status')).json());
    expect(status).toMatchObject({
      cluster: 'c-test', tls: 'loopback', managers: ['storage'], bus: {driver: 'embedded', connected: true}, store: {driver: 'sqlite'},
      // As ruled; not ruled yet; never heard.
      nodes: [{name: 'n1', ready: false, runtime: {name: 'docker'}}, {name: 'n2', ready: true}, {name: 'n3', ready: false, runtime: {available: false}}], adoption: {held: true},
    });
    expect(status.warnings).toEqual([expect.stringContaining('hivemind cluster adopt'), expect.stringContaining('n1 does not report'), expect.stringContaining('n3 does not report')]);
  });

  it('documents the managers\' routes with its own', async () => {
    const document = z.object({paths: z.record(z.string(), z.unknown())}).parse(await (await call('/openapi.json')).json());
    expect(Object.keys(document.paths)).toEqual(expect.arrayContaining(['/api/v1/status', '/api/v1/volumes', '/api/v1/volumes/{name}', '/api/v1/batch', '/api/v1/events']));
    expect((await call('/')).headers.get('location')).toBe('/docs');
  });

  it('honours Idempotency-Key', async () => {
    const first = await send('/api/v1/volumes', {name: 'once'}, {'idempotency-key': 'a-key'});
    const again = await send('/api/v1/volumes', {name: 'once'}, {'idempotency-key': 'a-key'});
    expect([first.status, again.status, again.headers.get('etag')]).toEqual([201, 201, first.headers.get('etag')]);
    expect((await send('/api/v1/volumes', {name: 'once'})).status).toBe(409);
  });
});

describe('batch', () => {
  it('makes requests in order, each with its own answer', async () => {
    const reply = await send('/api/v1/batch', [
      {method: 'POST', path: '/api/v1/volumes', body: {name: 'batched'}},
      {method: 'POST', path: '/api/v1/volumes', body: {name: 'batched'}},
      {method: 'GET', path: '/api/v1/volumes/batched'},
    ]);
    expect(reply.status).toBe(200);
    expect(await reply.json()).toEqual([
      {status: 201, etag: expect.stringMatching(/^"\d+"$/), location: '/api/v1/volumes/batched', body: {name: 'batched', meta: {version: expect.any(Number)}}},
      {status: 409, body: expect.objectContaining({code: 'already-exists'})},
      {status: 200, body: {name: 'batched'}},
    ]);
  });

  it('refuses batches in batches, streams, and more than 100', async () => {
    const reply = await send('/api/v1/batch', [{method: 'POST', path: '/api/v1/batch', body: []}, {method: 'GET', path: '/api/v1/events'}]);
    expect(await reply.json()).toEqual([{status: 422, body: expect.objectContaining({code: 'not-in-batch'})}, {status: 422, body: expect.objectContaining({code: 'not-in-batch'})}]);
    expect((await send('/api/v1/batch', Array.from({length: 101}, () => ({method: 'GET', path: '/api/v1/version'})))).status).toBe(422);
    expect((await send('/api/v1/batch', [{method: 'GET', path: '/livez'}])).status).toBe(422);
  });
});

interface SseEvent {
  readonly id?: string;
  readonly event?: string;
  readonly data?: unknown;
}

/** Reads server-sent events until `enough`, then leaves. */
async function readEvents(path: string, enough: (events: readonly SseEvent[]) => boolean, headers: Record<string, string> = {}): Promise<SseEvent[]> {
  const leave = new AbortController();
  const deadline = setTimeout(() => leave.abort(new Error('waited 10 s for events')), 10_000);
  const events: SseEvent[] = [];
  try {
    const reply = await call(path, {headers, signal: leave.signal});
    expect(reply.headers.get('content-type')).toMatch('text/event-stream');
    let text = '';
    for await (const chunk of reply.body ?? []) {
      text += Buffer.from(chunk).toString('utf8');
      const blocks = text.split('\n\n');
      text = blocks.pop() ?? '';
      for (const block of blocks) events.push(parseEvent(block));
      if (enough(events)) return events;
    }
    return events;
  } finally {
    clearTimeout(deadline);
    leave.abort();
  }
}

function parseEvent(block: string): SseEvent {
  const fields = Object.fromEntries(block.split('\n').map((line) => [line.slice(0, line.indexOf(':')), line.slice(line.indexOf(':') + 1).trim()]));
  return {...fields, ...(fields.data === undefined ? {} : {data: JSON.parse(fields.data)})};
}

const changesOf = (events: readonly SseEvent[]) => events.flatMap(({data}) => (data === undefined ? [] : [data]));

describe('events', () => {
  it('tells of changes, and goes on where a reader left', async () => {
    const list = await store.revision();
    await send('/api/v1/volumes', {name: 'v1'});
    const first = await readEvents(`/api/v1/events?kind=Volume&revision=${list.epoch}-${list.n}`, (events) => changesOf(events).length >= 1);
    expect(changesOf(first)).toEqual([{type: 'created', kind: 'Volume', namespace: 'default', name: 'v1'}]);
    const place = first.findLast(({id}) => id !== undefined)?.id ?? '';
    expect(place).toMatch(new RegExp(`^${list.epoch}-\\d+$`));
    await send('/api/v1/volumes', {name: 'v2'});
    await collection(collections.volumes).in(store).delete('default/v1');
    const rest = await readEvents('/api/v1/events?kind=Volume', (events) => changesOf(events).length >= 2, {'last-event-id': place});
    expect(changesOf(rest)).toEqual([{type: 'created', kind: 'Volume', namespace: 'default', name: 'v2'}, {type: 'deleted', kind: 'Volume', namespace: 'default', name: 'v1'}]);
  });

  it('filters by namespace and name', async () => {
    const {epoch, n} = await store.revision();
    const volumes = collection(collections.volumes).in(store);
    for (const [namespace, name] of [['other', 'a'], ['default', 'a'], ['default', 'b']] as const) await volumes.put(`${namespace}/${name}`, volume(name, namespace));
    const events = await readEvents(`/api/v1/events?namespace=default&name=b&revision=${epoch}-${n}`, (seen) => changesOf(seen).length >= 1);
    expect(changesOf(events)).toEqual([{type: 'created', kind: 'Volume', namespace: 'default', name: 'b'}]);
  });

  it('resets a reader whose place is gone', async () => {
    const {epoch} = await store.revision();
    await store.compact((await store.revision()).n);
    for (const place of [`${epoch}-1`, 'another-epoch-1']) {
      const events = await readEvents('/api/v1/events', (seen) => seen.some(({event}) => event === 'reset'), {'last-event-id': place});
      const reset = events.find(({event}) => event === 'reset');
      expect(reset?.data).toMatchObject({type: 'reset'});
      expect(reset?.id).toMatch(new RegExp(`^${epoch}-\\d+$`));
    }
  });

  it('refuses what is no kind and no revision', async () => {
    expect(await (await call('/api/v1/events?kind=Ap')).json()).toMatchObject({status: 422, errors: [{path: 'kind', message: expect.stringContaining('did you mean App?')}]});
    expect((await call('/api/v1/events?revision=yesterday')).status).toBe(422);
  });

  it('cuts off a reader that does not keep up, and goes on serving', async () => {
    const {port, hostname} = new URL(url);
    const {epoch, n} = await store.revision();
    const socket = connect(Number(port), hostname);
    socket.write(`GET /api/v1/events?revision=${epoch}-${n} HTTP/1.1\r\nhost: x\r\nauthorization: Bearer ${token}\r\n\r\n`);
    await new Promise((resolve) => socket.once('data', resolve));
    socket.pause();
    // Names as long as they may be: about 300 bytes an event, until the kernel's buffers and the megabyte here are full.
    const cut = () => logLines.some((line) => line.includes('reader is too slow'));
    for (let round = 0; round < 400 && !cut(); round++) {
      await store.transact({writes: Array.from({length: 200}, (_, index) => ({op: 'put', collection: 'volumes', key: `${'n'.repeat(63)}/${'v'.repeat(250)}-${index}`, value: '{}'}))});
      await new Promise((next) => setImmediate(next));
    }
    await waitFor(cut, {what: 'the slow reader to be cut off'});
    socket.destroy();
    expect((await call('/api/v1/version')).status).toBe(200);
  });
});

it('ends event streams when it stops', async () => {
  const context: ManagerContext = {bus: createEmbeddedBus(), store, logger, metrics: new Registry(), cluster: 'c', dataDir, instance: 'i', now: () => Date.now(), uid: () => randomUUID(), random: () => Math.random()};
  const other = await createGateway({context, managers: [], adminTokenHash: tokenHash('t'), version: '0', listen: {host: '127.0.0.1', port: 0}});
  const address = await other.listen();
  const reply = await fetch(`${address}/api/v1/events`, {headers: {authorization: 'Bearer t'}});
  const reader = reply.body?.getReader();
  await reader?.read();
  const stopped = other.stop();
  for (let done = false; !done; ) done = (await reader?.read())?.done ?? true;
  await stopped;
  await expect(fetch(`${address}/livez`)).rejects.toThrow();
});

it('says when an address is taken, and that others are served in the clear', async () => {
  const context: ManagerContext = {bus: createEmbeddedBus(), store, logger, metrics: new Registry(), cluster: 'c', dataDir, instance: 'i', now: () => Date.now(), uid: () => randomUUID(), random: () => Math.random()};
  const options = {context, managers: [], adminTokenHash: tokenHash('t'), version: '0'};
  const taken = await createGateway({...options, listen: {host: '127.0.0.1', port: Number(new URL(url).port)}});
  await expect(taken.listen()).rejects.toMatchObject({code: 'address-in-use'});
  await taken.stop();
  const open = await createGateway({...options, listen: {host: '0.0.0.0', port: 0}});
  const status = await open.http.inject({url: '/api/v1/status', headers: {authorization: 'Bearer t'}});
  expect(status.json()).toMatchObject({tls: 'off', warnings: expect.arrayContaining([expect.stringContaining('TLS is off')])});
  await open.stop();
});
