/** What a gateway passes on, and to whom. */
import {readFileSync, statSync} from 'node:fs';
import {get} from 'node:http';
import {request, type RequestOptions} from 'node:https';
import {join} from 'node:path';
import {instanceKey, serviceInstances} from '@hivemind/service';
import {openRedisStore} from '@hivemind/store';
import {freePort, waitFor} from '@hivemind/testkit';
import {WebSocket} from 'ws';
import * as z from 'zod';
import {catalogue} from '../../src/catalogue.ts';
import type {RunningService} from '../../src/index.ts';
import {outerAddress, TestCluster} from '../services.ts';

const cluster = new TestCluster();
let gateway: RunningService;
let second: RunningService;
let container: string;

beforeAll(async () => {
  // The second gateway has a data dir of its own, as on another machine: the key is given to it.
  process.env.HIVEMIND_CLUSTER_KEY_FILE = join(cluster.dataDir, 'cluster.key');
  await cluster.startServers();
  gateway = await cluster.start('gateway');
  await cluster.start('container', {listen: `${outerAddress}:0`});
  await cluster.startEach(Object.keys(catalogue).filter((name) => name !== 'container'));
  second = await cluster.start('gateway', {dataDir: join(cluster.dataDir, 'second'), listen: `${outerAddress}:0`});
  await cluster.startAgent('n1');
  await cluster.call('POST', '/apps', {name: 'web', spec: {image: 'busybox', command: ['sh', '-c', 'echo hello; sleep 3600']}});
  await cluster.untilReady('web', 1);
  const {json} = await cluster.call('GET', '/containers?app=web');
  container = z.object({items: z.array(z.object({name: z.string()}))}).parse(json).items[0]!.name;
}, 60_000);
afterAll(async () => {
  delete process.env.HIVEMIND_CLUSTER_KEY_FILE;
  await cluster.stop();
});

const ca = (): string => readFileSync(join(cluster.dataDir, 'ca.crt'), 'utf8');

/** The status of an answer over TLS. */
const secureStatus = (url: string, options: RequestOptions = {}): Promise<number | undefined> => new Promise((resolve, reject) => {
  request(url, {ca: ca(), ...options}, (reply) => resolve(reply.resume().statusCode)).on('error', reject).end();
});

describe('a gateway off loopback', () => {
  it('serves TLS by the cluster\'s authority, and takes the token that the first one made', async () => {
    expect(second.url).toMatch(/^https:/);
    expect(await secureStatus(`${second.url}/api/v1/apps`)).toBe(401);
    expect(await secureStatus(`${second.url}/api/v1/apps`, {headers: {authorization: `Bearer ${cluster.token}`}})).toBe(200);
    await expect(secureStatus(`${second.url}/livez`, {ca: []})).rejects.toThrow();
    expect(() => statSync(join(cluster.dataDir, 'second/admin.token'))).toThrow(/ENOENT/);
  });
});

describe('a service', () => {
  const containerService = (): RunningService => [...cluster.services].find(({name}) => name === 'container')!;
  const appService = (): RunningService => [...cluster.services].find(({name}) => name === 'app')!;

  it('answers to gateways alone, liveness and metrics apart', async () => {
    const {url} = appService();
    for (const [path, status] of [['/livez', 200], ['/readyz', 200], ['/metrics', 200], ['/openapi.json', 401], ['/api/v1/apps', 401]] as const) {
      expect([path, (await fetch(url + path)).status]).toEqual([path, status]);
    }
    for (const header of ['', 'x', 'a.b.c', `${Buffer.from('{}').toString('base64url')}..`]) {
      const reply = await fetch(`${url}/api/v1/apps`, {headers: {'x-hivemind-caller': header, authorization: `Bearer ${cluster.token}`}});
      expect([reply.status, await reply.json()]).toEqual([401, expect.objectContaining({code: 'caller-unknown'})]);
    }
  });

  it('off loopback serves TLS, and lets in nobody without a gateway\'s certificate', async () => {
    const {url} = containerService();
    expect(url).toMatch(/^https:/);
    expect(await secureStatus(`${url}/livez`)).toBe(200);
    expect(await secureStatus(`${url}/api/v1/containers`)).toBe(401);
    await expect(new Promise((_resolve, reject) => get(url.replace('https', 'http'), () => undefined).on('error', reject))).rejects.toThrow();
    expect((await cluster.call('GET', '/containers')).status).toBe(200);
  });
});

it('passes lists, refusals and conditional writes as they are', async () => {
  expect((await cluster.call('GET', '/apps?limit=1&labelSelector=a%3Db')).json).toMatchObject({items: []});
  const wrong = await cluster.call('GET', '/apps/nope');
  expect([wrong.status, wrong.headers.get('content-type')]).toEqual([404, expect.stringContaining('application/problem+json')]);
  expect((await cluster.call('POST', '/apps', {name: 'x', spec: {image: 'busybox', replcas: 2}})).status).toBe(422);
  expect((await cluster.call('PATCH', '/apps/web', {labels: {a: 'b'}}, {'if-match': '"1"'})).status).toBe(412);
  expect((await cluster.call('PUT', '/namespaces', {})).status).toBe(405);
  const [first, again] = [await cluster.call('POST', '/configs', {name: 'c', spec: {data: {}}}, {'idempotency-key': 'k'}), await cluster.call('POST', '/configs', {name: 'c', spec: {data: {}}}, {'idempotency-key': 'k'})];
  expect([first.status, again.status, again.headers.get('idempotency-replayed'), again.json]).toEqual([201, 201, 'true', first.json]);
  expect((await cluster.call('POST', '/batch', [{method: 'GET', path: '/api/v1/apps/web'}, {method: 'GET', path: '/api/v1/apps/nope'}])).json).toMatchObject([{status: 200}, {status: 404}]);
});

it('lets machines in by what they bring, not by the token of people', async () => {
  const ask = (path: string, init: RequestInit = {}) => fetch(`${gateway.url}/api/v1${path}`, init);
  const authority = await ask('/nodes/authority');
  expect([authority.status, z.object({ca: z.string()}).parse(await authority.json()).ca]).toEqual([200, ca()]);
  const join = await ask('/nodes/join', {method: 'POST', headers: {'content-type': 'application/json'}, body: JSON.stringify({token: 'hm1.x', name: 'n2', nkey: 'U', sealKey: ''})});
  expect([join.status, await join.json()]).toEqual([422, expect.objectContaining({code: 'join-token-malformed'})]);
  for (const path of ['/nodes', '/nodes/n1', '/nodes/join-tokens']) expect((await ask(path)).status).toBe(401);
});

it('documents what all services answer', async () => {
  const document: unknown = await (await fetch(`${gateway.url}/openapi.json`, {headers: {authorization: `Bearer ${cluster.token}`}})).json();
  const {info, paths} = z.object({info: z.object({description: z.string().optional()}), paths: z.record(z.string(), z.unknown())}).parse(document);
  expect(info.description).toBeUndefined();
  for (const entry of Object.values(catalogue)) for (const segment of entry.segments) expect(Object.keys(paths).some((path) => path.startsWith(`/api/v1/${segment}`))).toBe(true);
  expect(Object.keys(paths)).toEqual(expect.arrayContaining(['/api/v1/status', '/api/v1/events', '/api/v1/containers/{id}/exec']));
});

it('shows every instance and its version', async () => {
  const {json} = await cluster.call('GET', '/status');
  const {services, warnings} = z.object({services: z.array(z.object({service: z.string(), version: z.string()})), warnings: z.array(z.string())}).parse(json);
  expect(services.map(({service}) => service).toSorted()).toEqual([...Object.keys(catalogue), 'gateway', 'gateway'].toSorted());
  expect(warnings.filter((warning) => warning.includes('No instance'))).toEqual([]);
});

it('streams logs while they come, and lets go of them when the reader goes', async () => {
  const stop = new AbortController();
  const reply = await fetch(`${gateway.url}/api/v1/containers/${container}/logs?follow=true&format=text`, {headers: {authorization: `Bearer ${cluster.token}`}, signal: stop.signal});
  const reader = reply.body!.getReader();
  expect(Buffer.from((await reader.read()).value ?? []).toString()).toBe('hello\n');
  stop.abort();
  await expect(reader.read()).rejects.toThrow();
});

it('passes uploads on as they come', async () => {
  const reply = await fetch(`${gateway.url}/api/v1/images/build?tag=made`, {method: 'POST', headers: {authorization: `Bearer ${cluster.token}`, 'content-type': 'application/x-tar'}, body: new Uint8Array(3 * 1024 * 1024)});
  expect([reply.status, reply.headers.get('content-type'), await reply.text()]).toEqual([200, 'application/x-ndjson', expect.stringContaining('Built made')]);
});

describe('WebSockets', () => {
  const url = (path: string): string => `${gateway.url.replace('http', 'ws')}/api/v1${path}`;
  const outputOf = (socket: WebSocket): Promise<{text: string; control: unknown; protocol: string}> => new Promise((resolve, reject) => {
    let text = '';
    let control: unknown;
    socket.on('message', (data: Buffer) => (data[0] === 3 ? (control = JSON.parse(data.subarray(1).toString())) : (text += data.subarray(1).toString())));
    socket.on('close', () => resolve({text, control, protocol: socket.protocol}));
    socket.on('error', reject);
  });

  it('run commands in containers; a browser gives the token as a subprotocol', async () => {
    const withHeader = new WebSocket(url(`/containers/${container}/exec?command=echo&command=hi`), {headers: {authorization: `Bearer ${cluster.token}`}});
    expect(await outputOf(withHeader)).toEqual({text: 'hi\n', control: {exitCode: 0}, protocol: ''});
    const asBrowser = new WebSocket(url(`/containers/${container}/exec?command=echo&command=hi`), ['hivemind.exec.v1', `bearer.${cluster.token}`]);
    expect(await outputOf(asBrowser)).toEqual({text: 'hi\n', control: {exitCode: 0}, protocol: 'hivemind.exec.v1'});
  });

  it('carry input both ways', async () => {
    const socket = new WebSocket(url(`/containers/${container}/exec?command=cat&stdin=true`), {headers: {authorization: `Bearer ${cluster.token}`}});
    const output = outputOf(socket);
    socket.on('open', () => {
      socket.send(Buffer.concat([Buffer.of(0), Buffer.alloc(200_000, 'x')]));
      socket.send(Buffer.concat([Buffer.of(3), Buffer.from('{"endInput":true}')]));
    });
    expect((await output).text.length).toBe(200_000);
  });

  it.each([
    ['without a token', `/containers/web/exec?command=sh`, {}, 401],
    ['of a container that is not there', '/containers/nope/exec?command=sh', undefined, 404],
    ['of what is no WebSocket', '/apps', undefined, 200],
  ])('are answered %s before the upgrade', async (_what, path, headers, status) => {
    const socket = new WebSocket(url(path), {headers: headers ?? {authorization: `Bearer ${cluster.token}`}});
    socket.on('error', () => undefined);
    expect(await new Promise((resolve) => socket.on('unexpected-response', (_request, reply) => resolve(reply.resume().statusCode)))).toBe(status);
    socket.terminate();
  });
});

describe('with two instances of a manager', () => {
  it('asks them in turn', async () => {
    const other = await cluster.start('deployment');
    const {url} = other;
    const served = async (): Promise<number> => Number(/hivemind_http_request_seconds_count\{[^}]*route="\/api\/v1\/deployments"[^}]*\} (\d+)/.exec(await (await fetch(`${url}/metrics`)).text())?.[1] ?? 0);
    await waitFor(async () => {
      await cluster.call('GET', '/deployments');
      return (await served()) >= 2;
    }, {what: 'the second one to be asked'});
    await cluster.stopService(other);
  });

  it('asks another one when one is registered and does not answer', async () => {
    const store = await openRedisStore({url: cluster.redis.url});
    const ghost = {service: 'deployment', instance: 'ghost', url: `http://127.0.0.1:${await freePort()}`, version: '0', startedAt: new Date().toISOString()};
    await serviceInstances.in(store).put(instanceKey(ghost), ghost);
    await waitFor(async () => JSON.stringify((await cluster.call('GET', '/status')).json).includes('ghost'), {what: 'the gateway to hear of it'});
    for (let asked = 0; asked < 6; asked++) expect((await cluster.call('GET', '/deployments')).status).toBe(200);
    expect((await cluster.call('POST', '/deployments/web/pause', {})).json).toMatchObject({code: expect.not.stringMatching(/no-instance|instance-lost/)});
    await serviceInstances.in(store).delete(instanceKey(ghost));
    await store.close();
  });
});
