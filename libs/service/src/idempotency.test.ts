import {createHash} from 'node:crypto';
import {openSqliteStore, type Store} from '@hivemind/store';
import {pino} from 'pino';
import {Registry} from 'prom-client';
import * as z from 'zod';
import {createHttp, honourIdempotencyKeys, type HttpServer} from './index.ts';

interface Setup {
  readonly store: Store;
  readonly app: HttpServer;
  readonly made: string[];
  now: number;
  gate: Promise<void>;
}

let open: Setup[] = [];
afterEach(async () => {
  for (const {app, store} of open) await app.close().then(() => store.close());
  open = [];
});

async function setup(shared?: Store, instance = 'one'): Promise<Setup> {
  const store = shared ?? await openSqliteStore({path: ':memory:'});
  const logger = pino({level: 'silent'});
  const app = createHttp({name: 'test', logger, metrics: new Registry()});
  const made: string[] = [];
  const state: Setup = {store, app, made, now: 1_000_000, gate: Promise.resolve()};
  honourIdempotencyKeys(app, {store, logger, instance, now: () => state.now});
  app.post('/things', {schema: {body: z.strictObject({name: z.string(), status: z.number().default(201), size: z.number().default(0), secret: z.string().optional()})}}, async (request, reply) => {
    made.push(request.body.name);
    await state.gate;
    return reply.code(request.body.status).header('location', `/things/${request.body.name}`).send({n: made.length, filler: 'x'.repeat(request.body.size)});
  });
  open.push(state);
  return state;
}

const post = (app: HttpServer, key: string, body: Record<string, unknown>) => app.inject({method: 'POST', url: '/things', headers: {'idempotency-key': key}, payload: body});

it('has one effect and one answer', async () => {
  const {app, made} = await setup();
  const first = await post(app, 'k1', {name: 'a'});
  const again = await post(app, 'k1', {name: 'a'});
  expect(made).toEqual(['a']);
  expect([again.statusCode, again.body, again.headers.location, again.headers['content-type']]).toEqual([201, first.body, '/things/a', first.headers['content-type']]);
  expect([first.headers['idempotency-replayed'], again.headers['idempotency-replayed']]).toEqual([undefined, 'true']);
});

it('refuses another body under the same key', async () => {
  const {app, made} = await setup();
  await post(app, 'k1', {name: 'a'});
  expect((await post(app, 'k1', {name: 'b'})).json()).toMatchObject({status: 409, code: 'idempotency-mismatch'});
  expect(made).toEqual(['a']);
});

it('lets duplicates that come at once wait for the first', async () => {
  const state = await setup();
  const {promise, resolve} = Promise.withResolvers<void>();
  state.gate = promise;
  const replies = Promise.all([post(state.app, 'k1', {name: 'a'}), post(state.app, 'k1', {name: 'a'}), post(state.app, 'k1', {name: 'a'})]);
  resolve();
  expect(new Set((await replies).map(({body}) => body)).size).toBe(1);
  expect(state.made).toEqual(['a']);
});

it('forgets after 24 hours', async () => {
  const state = await setup();
  await post(state.app, 'k1', {name: 'a'});
  state.now += 24 * 3600_000;
  expect((await post(state.app, 'k1', {name: 'b'})).statusCode).toBe(201);
  expect(state.made).toEqual(['a', 'b']);
});

it('removes what is older than 24 hours when new keys come', async () => {
  const state = await setup();
  for (const key of ['k1', 'k2', 'k3']) await post(state.app, key, {name: key});
  state.now += 24 * 3600_000;
  await post(state.app, 'k4', {name: 'k4'});
  expect((await state.store.list('idempotency')).records).toHaveLength(1);
});

it('does not keep refusals, nor answers that are too large', async () => {
  const {app, made, store} = await setup();
  await post(app, 'k1', {name: 'a', status: 409});
  await post(app, 'k1', {name: 'a', status: 201});
  await post(app, 'k2', {name: 'b', size: 300_000});
  expect(made).toEqual(['a', 'a', 'b']);
  expect((await store.list('idempotency')).records).toHaveLength(1);
});

it('waits for another gateway, and takes over when that one died', async () => {
  const first = await setup();
  const second = await setup(first.store, 'two');
  const {promise, resolve} = Promise.withResolvers<void>();
  first.gate = promise;
  const inHand = post(first.app, 'k1', {name: 'a'});
  while (first.made.length < 1) await new Promise((next) => setImmediate(next));
  const refused = await post(second.app, 'k1', {name: 'a'});
  expect(refused.json()).toMatchObject({status: 409, code: 'idempotency-in-progress'});
  expect(refused.headers['retry-after']).toBe('1');
  second.now += 60_000;
  expect((await post(second.app, 'k1', {name: 'a'})).statusCode).toBe(201);
  resolve();
  await inHand;
});

it('leaves requests without a key, and refuses keys that are none', async () => {
  const {app, made, store} = await setup();
  await app.inject({method: 'POST', url: '/things', payload: {name: 'a'}});
  await app.inject({method: 'POST', url: '/things', payload: {name: 'a'}});
  expect(made).toEqual(['a', 'a']);
  expect((await post(app, 'has space', {name: 'b'})).statusCode).toBe(400);
  expect((await store.list('idempotency')).records).toEqual([]);
});

it('stores nothing from which the body could be guessed', async () => {
  const {app, store} = await setup();
  await post(app, 'k1', {name: 'a', secret: 'hunter2'});
  const [record] = (await store.list('idempotency')).records;
  const plain = createHash('sha256').update('POST /things\n' + JSON.stringify({name: 'a', status: 201, size: 0, secret: 'hunter2'})).digest('base64url');
  expect(record?.value).toMatch(/"request":"[\w-]{43}"/);
  for (const clue of ['hunter2', plain, 'k1']) expect(record?.value + ' ' + record?.key).not.toContain(clue);
});
