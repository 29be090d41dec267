/** Whatever is sent to any route, the answer is never a 500, and every refusal is a problem+json that says what is wrong. */
import {NodeSettings} from '@hivemind/contracts';
import {endIngress} from '@hivemind/sidecar/ingress';
import {removeTempDir, tempDir, waitFor} from '@hivemind/testkit';
import fc from 'fast-check';
import {pino} from 'pino';
import * as z from 'zod';
import type {Standalone} from '../../src/index.ts';
import {startOnFake, tokenOf} from '../fake-engine.ts';

const RUNS_PER_ROUTE = process.env.HIVEMIND_TEST_FULL === '1' ? 100 : 16;
const Document = z.object({paths: z.record(z.string(), z.record(z.string(), z.looseObject({parameters: z.array(z.looseObject({name: z.string(), in: z.string()})).optional()})))});
const Problem = z.strictObject({type: z.string(), title: z.string(), status: z.number(), code: z.string(), detail: z.string().min(1), errors: z.array(z.strictObject({path: z.string(), message: z.string().min(1)})).optional(), traceId: z.string()});

interface Route {
  readonly method: string;
  readonly path: string;
  readonly query: readonly string[];
}

interface Sent {
  readonly path: Readonly<Record<string, string>>;
  readonly query: readonly (readonly [string, string])[];
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string | undefined;
}

let dataDir: string;
let standalone: Standalone;
let token: string;
let routes: readonly Route[];
/** One that runs. */
let container = '';
const failures: string[] = [];

beforeAll(async () => {
  dataDir = tempDir('fuzz');
  const logger = pino({level: 'error'}, {write: (line: string) => void failures.push(line)});
  standalone = await startOnFake(dataDir, undefined, {logger});
  token = tokenOf(dataDir);
  const reply = await fetch(`${standalone.url}/openapi.json`, {headers: {authorization: `Bearer ${token}`}});
  routes = Object.entries(Document.parse(await reply.json()).paths).flatMap(([path, methods]) =>
    Object.entries(methods).map(([method, {parameters = []}]) => ({method: method.toUpperCase(), path, query: parameters.filter((parameter) => parameter.in === 'query').map(({name}) => name)})));
});

afterAll(async () => {
  await standalone.stop();
  await endIngress(dataDir);
  await removeTempDir(dataDir);
});

/** Resources that the requests are about; those that others refer to come first. */
const examples: Readonly<Record<string, Record<string, unknown>>> = {
  namespaces: {name: 'shop', labels: {team: 'a'}},
  configs: {name: 'settings', spec: {data: {x: 'y'}, encoding: 'text'}},
  secrets: {name: 'db', spec: {data: {password: 'hunter2'}}},
  volumes: {name: 'data', spec: {driver: 'local'}},
  // Of the engine's own: no request may set one up on the machine that tests run on.
  networks: {name: 'cluster', spec: {backend: 'none', cidr: '10.244.0.0/16'}},
  apps: {
    name: 'web', namespace: 'default', labels: {tier: 'front'}, annotations: {},
    spec: {
      image: 'busybox', command: ['sleep', '9'], replicas: 1, env: {A: 'b', P: {secret: 'db', key: 'password'}}, ports: [{name: 'http', container: 80, host: 0}], resources: {cpu: 0.1, memory: '16Mi'},
      files: [{mount: '/etc/x', config: 'settings', key: 'x'}], volumes: [{name: 'data', mount: '/data'}], dependsOn: {}, health: {readiness: {tcp: {port: 80}, interval: '1s'}},
      update: {strategy: 'rolling', maxSurge: 1}, restart: {policy: 'always', backoff: {initial: '1s'}}, placement: {constraints: [{label: 'gpu', missing: true}]}, stop: {signal: 'SIGTERM', grace: '1s'},
    },
  },
};
/** Where containers are on networks of the engine's own, no policy is taken; each is refused behind the door. */
const policy = {name: 'web', spec: {target: {app: 'web'}, ingress: [{action: 'allow', from: {app: 'web'}, ports: [{port: 80}]}]}};
/** It is taken, and HAProxy listens on this machine until the end. */
const ingress = {name: 'web', spec: {rules: [{host: 'shop.example', path: '/a', app: 'web', port: 80, headers: {'x-a': 'b'}}], listen: {http: 8080}, retries: {attempts: 1}, rateLimit: {requests: 5, per: '1s'}}};
/** Bodies of actions, by the last word of their path, with the method where that matters. */
const actions: Readonly<Record<string, unknown>> = {scale: {replicas: 2}, rollback: {revision: 1}, adopt: {mode: 'keep'}, labels: {a: 'b'}, login: {token: 'x'}, pull: {image: 'busybox'}, batch: [{method: 'GET', path: '/api/v1/apps'}], simulate: {name: 'web', spec: {image: 'busybox'}}, join: {token: 'hm1.unknown', name: 'n9', nkey: 'U', sealKey: 'x'}, fence: {confirmDead: true}, 'PUT taints': [{key: 'k', effect: 'NoSchedule'}], 'POST taints': {key: 'k', effect: 'NoSchedule'}, 'POST network-policies': policy, 'PUT network-policies': policy, 'PATCH network-policies': {spec: {mode: 'audit'}}, 'POST ingresses': ingress, 'PUT ingresses': ingress, 'PATCH ingresses': {spec: {accessLog: false}}, test: {from: {app: 'web'}, to: {app: 'web'}, port: 80}, credentials: {time: '2026-01-01T00:00:00Z', signature: 'x'}};

const hostileText = fc.oneof(
  fc.constantFrom('', ' ', '.', '..', '*', '%', '%00', '\u0000', '__proto__', 'constructor', 'toString', 'null', '-1', '0', '1e9', '99999999999999999999', 'NaN', 'true', '\ud800', '😀', 'a/b', "'; --", '${x}', 'x'.repeat(300), 'A', 'web-', 'default/web', '0-0'),
  fc.string({unit: 'binary', maxLength: 20}),
);
/** Of the resource that the path is about, mostly. */
const names = (path: string): fc.Arbitrary<string> => fc.oneof({weight: 4, arbitrary: fc.constant(nameFor(path))}, {weight: 1, arbitrary: fc.constantFrom('web', 'default', 'n1')}, {weight: 2, arbitrary: hostileText});

function nameFor(path: string): string {
  const kind = path.split('/')[3] ?? '';
  return kind === 'nodes' ? 'n1' : kind === 'deployments' ? 'web' : kind === 'containers' || kind === 'scheduler' ? container : z.string().catch('web').parse(examples[kind]?.name);
}
const hostileValue: fc.Arbitrary<unknown> = fc.oneof(
  hostileText,
  fc.constantFrom(null, true, -1, 0, 1.5, 3, 65_536, 1e9, -1e308, [], {}, [[]], [null], {'': ''}, {constructor: {}}, {spec: {}}, '64Mi', '10s', '250m'),
  fc.jsonValue({maxDepth: 2}),
);

/** What a route takes, as a person would write it. */
function rightBody({method, path}: Route): unknown {
  if (method === 'DELETE' || path.startsWith('/api/v1/deployments/')) return {};
  const words = path.split('/').filter((word) => word !== '' && !word.startsWith('{'));
  const last = words.at(-1) ?? '';
  const action = actions[`${method} ${last}`] ?? actions[last];
  if (action !== undefined) return action;
  if (path.endsWith('/plan')) return examples.apps;
  return path.endsWith('}') || words.length === 3 ? (examples[words[2] ?? ''] ?? {}) : {};
}

/** Queries that a route cannot do without. */
const rightQuery: Readonly<Record<string, readonly (readonly [string, string])[]>> = {'DELETE /api/v1/nodes/{name}/taints': [['key', 'k']], 'POST /api/v1/images/build': [['tag', 'web']], 'GET /api/v1/images/export': [['image', 'busybox']], 'GET /api/v1/containers/{id}/exec': [['command', 'sh']]};

/** A right body with one thing in it replaced, added or removed. */
const mutated = (body: unknown): fc.Arbitrary<unknown> =>
  fc.tuple(fc.nat(), fc.oneof({weight: 3, arbitrary: fc.tuple(fc.constantFrom('replace', 'add'), hostileValue)}, {weight: 1, arbitrary: fc.tuple(fc.constant('remove'), fc.constant(null))}))
    .map(([choice, [change, value]]) => mutate(body, choice, change, value));

function mutate(body: unknown, choice: number, change: string, value: unknown): unknown {
  const copy: unknown = structuredClone(body);
  const places: {parent: object; key: string}[] = [];
  const visit = (parent: unknown): void => {
    if (typeof parent !== 'object' || parent === null) return;
    for (const key of Object.keys(parent)) {
      places.push({parent, key});
      visit(Reflect.get(parent, key));
    }
  };
  visit(copy);
  const place = places[choice % Math.max(1, places.length)];
  if (!place) return copy;
  if (change === 'remove') Reflect.deleteProperty(place.parent, place.key);
  else Reflect.set(place.parent, change === 'add' ? `${place.key}x` : place.key, value);
  return copy;
}

const bodyText = (route: Route): fc.Arbitrary<string> => fc.oneof(
  {weight: 4, arbitrary: fc.constant(JSON.stringify(rightBody(route)))},
  {weight: 1, arbitrary: fc.nat(9).map((n) => JSON.stringify({...Object(rightBody(route)), name: `new-${n}`}))},
  {weight: 6, arbitrary: mutated(rightBody(route)).map((body) => JSON.stringify(body))},
  {weight: 2, arbitrary: fc.json({maxDepth: 3})},
  {weight: 1, arbitrary: fc.string()},
  {weight: 1, arbitrary: fc.constantFrom('', 'null', '[]', '{}', '{"name":', '"x"', '[{}]', '{"name":"web","name":"web"}', 'a: [b', '&a [*a]', '{"spec":null}', '{"__proto__":{}}')},
  {weight: 1, arbitrary: fc.array(fc.record({method: fc.constantFrom('GET', 'POST', 'DELETE'), path: fc.oneof(fc.constantFrom('/api/v1/apps', '/api/v1/batch'), hostileText), body: hostileValue}), {maxLength: 2}).map((body) => JSON.stringify(body))},
);
const takesTar = ({path}: Route): boolean => /\/(build|import)$/.test(path);
const contentType = (route: Route): fc.Arbitrary<string> => fc.oneof({weight: 15, arbitrary: fc.constant(takesTar(route) ? 'application/x-tar' : 'application/json')}, {weight: 2, arbitrary: fc.constantFrom('application/yaml', 'application/merge-patch+json', 'application/x-tar', 'text/plain', 'multipart/form-data; boundary=x', 'nonsense')});
const visible = (text: string): boolean => /^[\x21-\x7e]{1,100}$/.test(text);
const extraHeaders = fc.dictionary(fc.constantFrom('if-match', 'idempotency-key', 'last-event-id', 'traceparent'), hostileText.filter(visible), {maxKeys: 1});

function requests(route: Route): fc.Arbitrary<Sent> {
  const parameters = [...route.path.matchAll(/\{([^}]+)\}/g)].map(([, name = '']) => name);
  const hasBody = route.method !== 'GET';
  return fc.record({
    path: fc.tuple(...parameters.map(() => names(route.path))).map((values) => Object.fromEntries(parameters.map((name, index) => [name, values[index] ?? '']))),
    query: fc.oneof({weight: 3, arbitrary: fc.constant(rightQuery[`${route.method} ${route.path}`] ?? [])}, {weight: 2, arbitrary: fc.array(fc.tuple(fc.oneof({weight: 5, arbitrary: fc.constantFrom('namespace', ...route.query)}, {weight: 1, arbitrary: hostileText}), fc.oneof(names(route.path), hostileText)), {minLength: 1, maxLength: 2})}),
    headers: fc.tuple(extraHeaders, contentType(route)).map(([extra, type]) => (hasBody ? {...extra, 'content-type': type} : extra)),
    body: hasBody ? fc.option(bodyText(route), {nil: undefined}) : fc.constant(undefined),
  });
}

/** What a person would send, with nothing changed. */
function rightRequest(route: Route): Sent {
  const hasBody = route.method !== 'GET';
  return {
    path: Object.fromEntries([...route.path.matchAll(/\{([^}]+)\}/g)].map(([, name = '']) => [name, nameFor(route.path)])),
    query: rightQuery[`${route.method} ${route.path}`] ?? [],
    headers: hasBody ? {'content-type': takesTar(route) ? 'application/x-tar' : 'application/json'} : {},
    body: hasBody ? JSON.stringify(rightBody(route)) : undefined,
  };
}

async function send(route: Route, {path, query, headers, body}: Sent): Promise<{status: number; type: string; text: string}> {
  const encode = (text: string): string => encodeURIComponent(text.toWellFormed());
  const url = route.path.replace(/\{([^}]+)\}/g, (_all, name: string) => encode(path[name] ?? '') || '%20');
  const search = query.map(([name, value]) => `${encode(name)}=${encode(value)}`).join('&');
  const leave = new AbortController();
  const deadline = setTimeout(() => leave.abort(new Error(`${route.method} ${url} was not answered within 20 s`)), 20_000);
  try {
    const reply = await fetch(`${standalone.url}${url}${search === '' ? '' : `?${search}`}`, {method: route.method, redirect: 'manual', signal: leave.signal, headers: {authorization: `Bearer ${token}`, ...headers}, ...(body === undefined ? {} : {body})});
    const type = reply.headers.get('content-type') ?? '';
    // What streams is right to: it is not waited for.
    const text = reply.status < 400 ? '' : await reply.text();
    if (reply.status < 400) await reply.body?.cancel();
    return {status: reply.status, type, text};
  } finally {
    clearTimeout(deadline);
  }
}

/** What is about to be asked for is there, whatever the requests before did to it. */
async function restore(): Promise<void> {
  const headers = {authorization: `Bearer ${token}`, 'content-type': 'application/json'};
  for (const [kind, body] of Object.entries(examples)) {
    // What is being removed is refused until it is gone.
    const put = (): Promise<Response> => fetch(`${standalone.url}/api/v1/${kind}/${z.string().parse(body.name)}`, {method: 'PUT', headers, body: JSON.stringify(body)});
    await waitFor(async () => (await put()).ok, {what: `${kind} to be put back`, deadlineMs: 20_000});
  }
  // Requests drain, taint, close and forget the machine too; forgotten, it registers again.
  for (const [method, path, body] of [['POST', 'n1/maintenance', {enabled: false}], ['POST', 'n1/uncordon', {}], ['PATCH', 'n1', {spec: {unschedulable: false, taints: []}}], ['PATCH', 'settings', NodeSettings.parse({})]] as const) {
    await fetch(`${standalone.url}/api/v1/nodes/${path}`, {method, headers, body: JSON.stringify(body)});
  }
  container = await waitFor(async () => {
    const reply = await fetch(`${standalone.url}/api/v1/containers?app=web`, {headers});
    return z.object({items: z.array(z.object({name: z.string()}))}).parse(await reply.json()).items[0]?.name;
  }, {what: 'a container to ask about', deadlineMs: 30_000});
}

/** Answers that only come from behind the door where input is checked. */
const isReached = (status: number, text: string): boolean => status < 400 || [401, 403, 404, 409, 412, 426, 503, 504].includes(status) || text.includes('"policies-unenforced"');

it('never answers 500', async () => {
  expect(routes.length).toBeGreaterThan(40);
  for (const route of routes) {
    await restore();
    let reached = false;
    const refusals = new Set<string>();
    await fc.assert(fc.asyncProperty(requests(route), async (request) => {
      const {status, type, text} = await send(route, request);
      reached ||= isReached(status, text);
      if (status < 400) return;
      refusals.add(`${status} ${text}`);
      const shown = `${route.method} ${route.path} answered ${status} ${text}`;
      if (status === 500 || status === 502) throw new Error(`${shown}\n${failures.at(-1) ?? ''}`);
      if (!type.startsWith('application/problem+json')) throw new Error(`${shown}: ${type} is not a problem`);
      const problem = Problem.safeParse(JSON.parse(text));
      if (!problem.success) throw new Error(`${shown}: ${z.prettifyError(problem.error)}`);
      if (problem.data.status !== status) throw new Error(`${shown}: the problem says ${problem.data.status}`);
    }), {numRuns: RUNS_PER_ROUTE, interruptAfterTimeLimit: 15_000});
    // Else the property would hold for a door that lets nobody in. Few requests may all have been hostile: then the right one decides.
    if (!reached) {
      const {status, text} = await send(route, rightRequest(route));
      reached = isReached(status, text);
      refusals.add(`${status} ${text}`);
    }
    if (!reached) throw new Error(`No request reached what answers ${route.method} ${route.path}:\n${[...refusals].slice(-5).join('\n')}`);
  }
  expect(failures.filter((line) => line.includes('request failed'))).toEqual([]);
}, 600_000);
