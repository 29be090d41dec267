/** One process with every manager, on a bus and a store that others can reach. */
import {join} from 'node:path';
import {createFakeRuntime, FakeEngine} from '@hivemind/container/testing';
import {App} from '@hivemind/contracts';
import {freePort, removeTempDir, startNats, startRedis, tempDir, waitFor} from '@hivemind/testkit';
import {connect} from 'nats';
import {startStandalone, type Standalone, type StandaloneOptions} from '../../src/index.ts';
import {silent as logger, tokenOf} from '../fake-engine.ts';

let dir: string;
let token: string;
const running: Standalone[] = [];
const engine = new FakeEngine(Date.now);

beforeEach(() => (dir = tempDir('beside')));
afterEach(async () => {
  for (const standalone of running.splice(0)) await standalone.stop();
  engine.containers.clear();
  await removeTempDir(dir);
});

async function up(options: Omit<StandaloneOptions, 'logger' | 'listen'>): Promise<Standalone> {
  const standalone = await startStandalone({listen: '127.0.0.1:0', logger, ...options});
  running.push(standalone);
  return standalone;
}

async function call({url}: Standalone, method: string, path: string, body?: unknown): Promise<{status: number; json: unknown}> {
  const headers = {authorization: `Bearer ${token}`, ...(body === undefined ? {} : {'content-type': 'application/json'})};
  const reply = await fetch(`${url}/api/v1${path}`, {method, headers, ...(body === undefined ? {} : {body: JSON.stringify(body)})});
  return {status: reply.status, json: await reply.json()};
}

const untilReady = (standalone: Standalone, name: string, replicas: number): Promise<unknown> =>
  waitFor(async () => App.parse((await call(standalone, 'GET', `/apps/${name}`)).json).status.replicas.ready === replicas, {what: `${replicas} ready replicas of ${name}`, deadlineMs: 30_000});

it('works on NATS and Redis, beside another one that takes over', async () => {
  const [nats, redis] = await Promise.all([startNats(), startRedis()]);
  try {
    const shared = {bus: nats.url, store: redis.url};
    const first = await up({dataDir: join(dir, 'a'), shared, noAgent: true});
    token = tokenOf(join(dir, 'a'));
    const second = await up({dataDir: join(dir, 'b'), shared, runtime: createFakeRuntime({engine, cluster: first.cluster}), nodeName: 'n1'});
    expect(second.cluster).toBe(first.cluster);
    expect((await call(first, 'POST', '/apps', {name: 'web', spec: {image: 'busybox', replicas: 2}})).status).toBe(201);
    await untilReady(second, 'web', 2);
    running.splice(running.indexOf(first), 1);
    await first.stop();
    expect((await call(second, 'POST', '/apps/web/scale', {replicas: 3})).status).toBe(200);
    await untilReady(second, 'web', 3);
  } finally {
    for (const standalone of running.splice(0)) await standalone.stop();
    await Promise.all([nats.stop(), redis.stop()]);
  }
});

it('starts a bus for further machines, which nobody else may use, and is the same after a restart', async () => {
  const busPort = await freePort();
  const options = {dataDir: join(dir, 'a'), advertise: '127.0.0.1', busPort};
  const {cluster, stop} = await up({...options, noAgent: true});
  await stop();
  const standalone = await up({...options, runtime: createFakeRuntime({engine, cluster}), nodeName: 'n1'});
  token = tokenOf(options.dataDir);
  expect((await call(standalone, 'GET', '/status')).json).toMatchObject({bus: {driver: 'nats', connected: true}, cluster});
  expect((await call(standalone, 'POST', '/apps', {name: 'web', spec: {image: 'busybox', replicas: 2}})).status).toBe(201);
  await untilReady(standalone, 'web', 2);
  await expect(connect({servers: `127.0.0.1:${busPort}`, reconnect: false, tls: {ca: ''}})).rejects.toThrow();
  expect((await call(standalone, 'POST', '/nodes/join-tokens', {})).status).toBe(201);
});

it('says what is missing, or in the way', async () => {
  const taken = await startNats();
  try {
    await expect(up({dataDir: join(dir, 'a'), advertise: '127.0.0.1', busPort: taken.port, noAgent: true})).rejects.toMatchObject({code: 'nats-server-failed', message: expect.stringContaining(String(taken.port))});
  } finally {
    await taken.stop();
  }
  await expect(up({dataDir: join(dir, 'b'), shared: {bus: 'nats://127.0.0.1:1', store: 'file:store.db'}, noAgent: true})).rejects.toMatchObject({code: 'not-shared', message: expect.stringContaining('redis://')});
});
