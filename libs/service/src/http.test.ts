import {AppBody, commonErrors, Container} from '@hivemind/contracts';
import {pino} from 'pino';
import {Registry} from 'prom-client';
import * as z from 'zod';
import {createHttp, created, listQuery, listReply, manifest, type HttpServer} from './index.ts';

interface Setup {
  readonly app: HttpServer;
  readonly log: () => readonly Record<string, unknown>[];
}

function setup(ready: () => readonly string[] = () => []): Setup {
  const lines: string[] = [];
  const logger = pino({level: 'debug'}, {write: (line: string) => void lines.push(line)});
  const app = createHttp({name: 'test', version: '1.2.3', logger, metrics: new Registry(), ready});
  app.post('/api/v1/apps', {schema: {body: manifest(AppBody), summary: 'Create an app', response: {201: z.object({name: z.string(), meta: z.object({version: z.number()})})}}}, async (request, reply) =>
    created(reply, `/api/v1/apps/${request.body.name}`, {name: request.body.name, meta: {version: 7}}));
  app.patch('/api/v1/apps/:name', {schema: {body: z.record(z.string(), z.unknown())}}, async (request) => request.body);
  app.put('/api/v1/apps/:name', {schema: {body: manifest(AppBody), params: z.object({name: z.string()})}}, async (request) => request.body);
  app.post('/api/v1/apps/:name/restart', async () => ({done: true}));
  app.get('/api/v1/containers', {schema: {querystring: listQuery({item: Container, filters: ['app', 'phase']})}}, async (request) => listReply<Container>([], request.query, {epoch: 'e-1', n: 3}));
  app.get('/api/v1/broken', async () => { throw new Error('the secret inside'); });
  app.get('/api/v1/away', async () => { throw commonErrors.unavailable('Gone for a while.', {retryAfterMs: 2500}); });
  return {app, log: () => lines.map((line) => z.record(z.string(), z.unknown()).parse(JSON.parse(line)))};
}

const json = {'content-type': 'application/json'};

describe('input', () => {
  it('names the unknown field and the nearest known one', async () => {
    const {app} = setup();
    const reply = await app.inject({method: 'POST', url: '/api/v1/apps', headers: json, payload: {name: 'web', spec: {image: 'nginx', replica: 3}}});
    expect(reply.statusCode).toBe(422);
    expect(reply.headers['content-type']).toMatch('application/problem+json');
    expect(reply.json()).toEqual({
      type: 'urn:hivemind:error:invalid-input', title: 'The input is not valid', status: 422, code: 'invalid-input',
      detail: 'The body is not valid: spec.replica is not a known field; did you mean replicas?',
      errors: [{path: 'spec.replica', message: 'is not a known field; did you mean replicas?'}],
      traceId: expect.stringMatching(/^[0-9a-f]{32}$/),
    });
  });

  it('reads YAML as it reads JSON', async () => {
    const {app} = setup();
    const reply = await app.inject({method: 'POST', url: '/api/v1/apps', headers: {'content-type': 'application/yaml; charset=utf-8'}, payload: 'name: web\nspec:\n  image: nginx:1\n'});
    expect(reply.statusCode).toBe(201);
    expect(reply.headers).toMatchObject({location: '/api/v1/apps/web', etag: '"7"'});
  });

  it('reads a spec written flat, and takes the name from the path', async () => {
    const {app} = setup();
    const reply = await app.inject({method: 'PUT', url: '/api/v1/apps/web', payload: {labels: {tier: 'front'}, image: 'nginx', replicas: 2}});
    expect(reply.json()).toMatchObject({name: 'web', labels: {tier: 'front'}, spec: {image: 'nginx', replicas: 2}});
    const wrong = await app.inject({method: 'PUT', url: '/api/v1/apps/web', payload: {image: 'nginx', replica: 2}});
    expect(wrong.json()).toMatchObject({status: 422, errors: [{path: 'spec.replica', message: 'is not a known field; did you mean replicas?'}]});
  });

  it.each([
    ['application/json', '{"name": "web",\n "spec": nope}', 2, 11],
    ['application/json', '{"name": "web",\n}', 2, 1],
    ['application/json', '{"name": "we', 1, 13],
    ['application/yaml', 'name: web\nspec: [a\nb: c', 3, 1],
    ['application/yaml', 'name: web\nname: web2', 2, 1],
  ])('says where %s %j is malformed', async (type, payload, line, column) => {
    const {app} = setup();
    const reply = await app.inject({method: 'POST', url: '/api/v1/apps', headers: {'content-type': type}, payload});
    expect(reply.statusCode).toBe(400);
    expect(reply.json()).toMatchObject({code: 'malformed', detail: expect.stringContaining(`line ${line}, column ${column}:`)});
  });

  it('refuses a query and a body that a route did not ask for', async () => {
    const {app} = setup();
    const query = await app.inject({method: 'POST', url: '/api/v1/apps/web/restart?force=true'});
    expect(query.json()).toMatchObject({status: 422, errors: [{path: 'force', message: expect.stringContaining('not a known field')}]});
    const body = await app.inject({method: 'POST', url: '/api/v1/apps/web/restart', headers: json, payload: {force: true}});
    expect(body.json()).toMatchObject({status: 422, errors: [{path: 'force'}]});
    const none = await app.inject({method: 'POST', url: '/api/v1/apps/web/restart', headers: json, payload: ''});
    expect(none.statusCode).toBe(200);
  });

  it.each([
    ['no body where one is needed', {headers: {}}, 400, 'malformed'],
    ['a body over 1 MiB', {headers: json, payload: JSON.stringify({name: 'x'.repeat(1024 * 1024)})}, 413, 'too-large'],
    ['a form', {headers: {'content-type': 'application/x-www-form-urlencoded'}, payload: 'name=web'}, 415, 'unsupported-media-type'],
    ['a field that reaches the prototype', {headers: json, payload: '{"name":"web","spec":{"\\u005f_proto__":{}}}'}, 400, 'malformed'],
    ['nesting without end', {headers: json, payload: '['.repeat(5000) + ']'.repeat(5000)}, 400, 'malformed'],
    ['aliases that multiply', {headers: {'content-type': 'application/yaml'}, payload: billionLaughs()}, 400, 'malformed'],
  ])('refuses %s', async (_what, request, status, code) => {
    const {app} = setup();
    const reply = await app.inject({method: 'POST', url: '/api/v1/apps', ...request});
    expect(reply.json()).toMatchObject({status, code});
    expect(reply.statusCode).toBe(status);
  });

  it('checks list queries against the fields of the items', async () => {
    const {app} = setup();
    const reply = await app.inject('/api/v1/containers?sort=spec.nod&fields=name,statsu&limit=5000&phas=running');
    expect(reply.json()).toMatchObject({status: 422});
    const errors = z.object({errors: z.array(z.object({path: z.string(), message: z.string()}))}).parse(reply.json()).errors;
    expect(Object.fromEntries(errors.map(({path, message}) => [path, message]))).toMatchObject({
      limit: expect.stringContaining('is more than 1000'),
      sort: expect.stringContaining('did you mean node?'),
      fields: expect.stringContaining('did you mean status?'),
      phas: 'is not a known field; did you mean phase?',
    });
    expect((await app.inject('/api/v1/containers?phase=running&sort=restarts')).json()).toEqual({items: [], next: null, revision: 'e-1-3'});
  });
});

function billionLaughs(): string {
  const levels = Array.from({length: 12}, (_, level) => `a${level + 1}: &a${level + 1} [${Array.from({length: 10}, () => `*a${level}`).join(', ')}]`);
  return ['a0: &a0 [x]', ...levels].join('\n');
}

describe('routes', () => {
  it('hints at the nearest route', async () => {
    const {app} = setup();
    expect((await app.inject('/api/v1/contaners')).json()).toMatchObject({status: 404, code: 'route-not-found', detail: expect.stringContaining('Did you mean /api/v1/containers?')});
    expect((await app.inject('/containers')).json()).toMatchObject({status: 404, detail: expect.stringContaining('Did you mean /api/v1/containers?')});
    expect((await app.inject('/nothing/like/it')).json()).toMatchObject({status: 404, detail: expect.stringContaining('/docs')});
  });

  it('answers a wrong method with those that are right', async () => {
    const {app} = setup();
    const reply = await app.inject({method: 'DELETE', url: '/api/v1/apps/web'});
    expect(reply.statusCode).toBe(405);
    expect(reply.headers.allow).toBe('PATCH, PUT');
    expect(reply.json()).toMatchObject({code: 'method-not-allowed'});
  });

  it('answers a URL that cannot be decoded', async () => {
    const {app} = setup();
    expect((await app.inject('/api/v1/apps/%E0%A4%A')).json()).toMatchObject({status: 400, code: 'malformed'});
  });
});

describe('failures', () => {
  it('tells nothing of an error that is nobody\'s answer, and logs it', async () => {
    const {app, log} = setup();
    const reply = await app.inject('/api/v1/broken');
    expect(reply.statusCode).toBe(500);
    expect(reply.body).not.toMatch(/secret inside|\.ts:/);
    const traceId = z.object({traceId: z.string()}).parse(reply.json()).traceId;
    expect(log()).toContainEqual(expect.objectContaining({traceId, msg: 'request failed', err: expect.objectContaining({message: 'the secret inside'})}));
  });

  it('says when to come back', async () => {
    const {app} = setup();
    const reply = await app.inject('/api/v1/away');
    expect(reply.statusCode).toBe(503);
    expect(reply.headers['retry-after']).toBe('3');
    expect(reply.json()).not.toHaveProperty('retryAfterMs');
  });
});

describe('service', () => {
  it('keeps the trace of its caller', async () => {
    const {app} = setup();
    const traceId = '4bf92f3577b34da6a3ce929d0e0e4736';
    const reply = await app.inject({url: '/api/v1/broken', headers: {traceparent: `00-${traceId}-00f067aa0ba902b7-01`}});
    expect(reply.headers['x-trace-id']).toBe(traceId);
    expect(reply.json()).toMatchObject({traceId});
    expect((await app.inject({url: '/livez', headers: {traceparent: 'nonsense'}})).headers['x-trace-id']).toMatch(/^[0-9a-f]{32}$/);
  });

  it('logs one event a request, without its query', async () => {
    const {app, log} = setup();
    await app.inject({url: '/api/v1/containers?labelSelector=token%3Dhunter2', headers: {authorization: 'Bearer hunter2'}});
    const events = log().filter(({msg}) => msg === 'request');
    expect(events).toEqual([expect.objectContaining({method: 'GET', path: '/api/v1/containers', status: 200, traceId: expect.any(String), ms: expect.any(Number)})]);
    expect(JSON.stringify(log())).not.toContain('hunter2');
  });

  it('is ready when nothing is waited for', async () => {
    let waiting = ['store'];
    const {app} = setup(() => waiting);
    expect((await app.inject('/readyz')).json()).toMatchObject({status: 503, detail: 'Not ready yet: store.'});
    waiting = [];
    expect((await app.inject('/readyz')).statusCode).toBe(200);
    expect((await app.inject('/livez')).statusCode).toBe(200);
  });

  it('counts requests by route', async () => {
    const {app} = setup();
    await app.inject('/api/v1/containers');
    expect((await app.inject('/metrics')).body).toMatch(/hivemind_http_request_seconds_count\{method="GET",route="\/api\/v1\/containers",status="200"\} 1/);
  });

  it('documents itself', async () => {
    const {app} = setup();
    const document = (await app.inject('/openapi.json')).json();
    expect(document).toMatchObject({
      openapi: '3.1.0',
      info: {version: '1.2.3'},
      paths: {'/api/v1/apps': {post: {summary: 'Create an app', requestBody: {content: {'application/json': {schema: {required: expect.arrayContaining(['name'])}}}}}}},
    });
    expect(document).not.toHaveProperty(['paths', '/livez']);
    const docs = await app.inject('/docs');
    expect(docs.headers['content-type']).toMatch('text/html');
    expect(docs.body).toContain('<b>POST</b> <code>/api/v1/apps</code> Create an app');
  });

  it('documents others beside itself, and says whose part is missing', async () => {
    const other = {openapi: '3.1.0', info: {title: 'other', version: '1'}, paths: {'/api/v1/volumes': {get: {summary: 'Volumes'}}}};
    let missing = ['storage'];
    const app = createHttp({name: 'test', logger: pino({level: 'silent'}), metrics: new Registry(), documents: async () => ({documents: missing.length > 0 ? [] : [other], missing})});
    expect((await app.inject('/openapi.json')).json()).toMatchObject({info: {description: 'Not all of it: what storage answers is not known just now. Ask again.'}, paths: {}});
    expect((await app.inject('/docs')).body).toContain('Not all of it: what storage answers');
    missing = [];
    const whole = (await app.inject('/openapi.json')).json();
    expect([whole.info.description, Object.keys(whole.paths)]).toEqual([undefined, ['/api/v1/volumes']]);
  });
});
