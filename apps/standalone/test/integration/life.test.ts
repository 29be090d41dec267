/** The whole process with a fake engine: what it keeps, what it is again after a stop or a crash, and how it goes. */
import {readFileSync, rmSync, statSync, writeFileSync} from 'node:fs';
import {request} from 'node:http';
import {request as secureRequest} from 'node:https';
import {join} from 'node:path';
import {FakeEngine} from '@hivemind/container/testing';
import {App} from '@hivemind/contracts';
import {openSqliteStore} from '@hivemind/store';
import {removeTempDir, tempDir, waitFor} from '@hivemind/testkit';
import {clusterIdentity} from '../../src/identity.ts';
import {startStandalone, type Standalone, type StandaloneOptions} from '../../src/index.ts';
import {silent, startOnFake, tokenOf} from '../fake-engine.ts';

let dataDir: string;
let engine: FakeEngine;
let running: Standalone | undefined;
const logger = silent;

beforeEach(() => {
  dataDir = join(tempDir('standalone'), 'data');
  engine = new FakeEngine(Date.now);
});
afterEach(async () => {
  await running?.stop();
  running = undefined;
  await removeTempDir(dataDir);
});

async function up(options: Partial<StandaloneOptions> = {}): Promise<Standalone> {
  running = await startOnFake(dataDir, engine, options);
  return running;
}

async function call(method: string, path: string, body?: unknown): Promise<{status: number; json: unknown}> {
  const token = tokenOf(dataDir);
  const init = body === undefined ? {} : {body: JSON.stringify(body), headers: {'content-type': 'application/json', authorization: `Bearer ${token}`}};
  const reply = await fetch(`${running?.url}${path}`, {method, headers: {authorization: `Bearer ${token}`}, ...init});
  const text = await reply.text();
  return {status: reply.status, json: text === '' ? undefined : JSON.parse(text)};
}

async function untilReady(name: string, replicas: number): Promise<void> {
  await waitFor(async () => App.parse((await call('GET', `/api/v1/apps/${name}`)).json).status.replicas.ready === replicas, {what: `${replicas} ready replicas of ${name}`});
}

it('runs an app, and stops without stopping its containers', async () => {
  await up();
  expect((await fetch(`${running?.url}/readyz`)).status).toBe(200);
  expect((await call('POST', '/api/v1/apps', {name: 'web', spec: {image: 'busybox', replicas: 2}})).status).toBe(201);
  await untilReady('web', 2);
  await running?.stop();
  expect(engine.containers.size).toBe(2);
  await up();
  await untilReady('web', 2);
  expect(engine.containers.size).toBe(2);
});

it('keeps what it keeps to itself', async () => {
  await up();
  await call('POST', '/api/v1/secrets', {name: 'db', spec: {data: {password: 'hunter2'}}});
  expect(statSync(dataDir).mode & 0o777).toBe(0o700);
  for (const file of ['admin.token', 'cluster.key', 'cluster.json', 'store.db']) expect([file, statSync(join(dataDir, file)).mode & 0o777]).toEqual([file, 0o600]);
});

it('refuses a data dir that is in use, and lets go of what it had started', async () => {
  await up();
  await expect(startStandalone({dataDir, listen: '127.0.0.1:0', noAgent: true, logger})).rejects.toMatchObject({code: 'store-locked'});
  const {port} = new URL(running?.url ?? '');
  await running?.stop();
  running = undefined;
  const blocker = await startStandalone({dataDir: join(dataDir, 'other'), listen: `127.0.0.1:${port}`, noAgent: true, logger});
  await expect(startStandalone({dataDir, listen: `127.0.0.1:${port}`, noAgent: true, logger})).rejects.toMatchObject({code: 'address-in-use'});
  await blocker.stop();
  await up({noAgent: true});
});

it('serves others over TLS, by the authority of its own cluster', async () => {
  await up({noAgent: true, listen: '0.0.0.0:0'});
  const {port} = new URL(running?.url ?? '');
  const statusWith = (ca: Buffer | undefined) => new Promise<number | undefined>((resolve, reject) => {
    secureRequest({host: '127.0.0.1', port, path: '/api/v1/status', ca, headers: {authorization: `Bearer ${tokenOf(dataDir)}`}}, (reply) => resolve(reply.resume().statusCode)).on('error', reject).end();
  });
  expect(await statusWith(readFileSync(join(dataDir, 'ca.crt')))).toBe(200);
  await expect(statusWith(undefined)).rejects.toMatchObject({code: expect.stringMatching(/SELF_SIGNED|UNABLE_TO/)});
  await expect(fetch(`http://127.0.0.1:${port}/livez`)).rejects.toThrow();
});

it('leads at once after a crash, without waiting for the leases of its earlier life', async () => {
  await up({noAgent: true});
  await running?.stop();
  const store = await openSqliteStore({path: join(dataDir, 'store.db')});
  // As a killed process leaves it: somebody leads, under a lease that lasts.
  const lease = await store.grantLease(600_000);
  for (const election of ['app', 'deployment']) await store.campaign(election, 'killed', lease.id);
  await store.close();
  await up();
  expect((await call('POST', '/api/v1/apps', {name: 'web', spec: {image: 'busybox'}})).status).toBe(201);
  await untilReady('web', 1);
});

it('opens no WebSocket without the token', async () => {
  await up();
  const upgrade = {connection: 'upgrade', upgrade: 'websocket', 'sec-websocket-version': '13', 'sec-websocket-key': 'dGhlIHNhbXBsZSBub25jZQ=='};
  const statusOf = (headers: Record<string, string>) => new Promise<number | undefined>((resolve, reject) => {
    const outgoing = request(`${running?.url}/api/v1/containers/web-1/exec?command=sh`, {headers: {...upgrade, ...headers}}, (reply) => resolve(reply.resume().statusCode));
    outgoing.on('upgrade', (reply, socket) => {
      socket.destroy();
      resolve(reply.statusCode);
    }).on('error', reject).end();
  });
  expect(await statusOf({})).toBe(401);
  expect(await statusOf({authorization: `Bearer ${tokenOf(dataDir)}`})).toBe(404);
});

it('says so when nothing runs containers here', async () => {
  await up({noAgent: true});
  const {json} = await call('GET', '/api/v1/status');
  expect(json).toMatchObject({nodes: [], managers: expect.arrayContaining(['app', 'deployment', 'scheduler', 'node', 'container', 'storage', 'health', 'security', 'membership'])});
});

describe('identity', () => {
  const now = Date.parse('2026-01-01T00:00:00Z');
  const identityOf = async (earlier: () => Promise<readonly string[]>) => {
    const store = await openSqliteStore({path: join(dataDir, 'store.db')});
    try {
      const id = await clusterIdentity({dataDir, store, earlier, now, logger});
      return {id, held: (await store.get('cluster', 'adoption')) !== undefined};
    } finally {
      await store.close();
    }
  };

  it('is made once, and is then the same', async () => {
    const first = await identityOf(async () => []);
    expect(first.held).toBe(false);
    expect(await identityOf(async () => { throw new Error('not asked again'); })).toEqual(first);
  });

  it('is taken up again from the engine when the data dir was deleted, with everything held', async () => {
    expect(await identityOf(async () => ['earlier-cluster', 'another'])).toEqual({id: 'earlier-cluster', held: true});
    rmSync(join(dataDir, 'cluster.json'));
    expect(await identityOf(async () => ['earlier-cluster'])).toEqual({id: 'earlier-cluster', held: true});
  });

  it('is new when the engine cannot be asked', async () => {
    expect(await identityOf(async () => { throw new Error('no engine'); })).toMatchObject({held: false});
  });

  it('is not guessed when its file is damaged', async () => {
    await identityOf(async () => []);
    for (const text of ['', '{"id":', '{"id":"x"}']) {
      writeFileSync(join(dataDir, 'cluster.json'), text);
      await expect(identityOf(async () => ['earlier-cluster'])).rejects.toMatchObject({code: 'data-dir-damaged'});
    }
  });
});
