import {generateKeyPairSync, sign} from 'node:crypto';
import {openSqliteStore, type Store} from '@hivemind/store';
import {pino} from 'pino';
import {Registry} from 'prom-client';
import {CALLER_HEADER, createCallerSigner, createHttp, instanceKey, requireCaller, serviceInstances, type CallerSigner, type HttpServer, type SignedRequest} from './index.ts';

const asked: SignedRequest = {service: 'app', method: 'GET', url: '/api/v1/things?a=b', caller: {name: 'ann'}};

describe('who is calling', () => {
  let store: Store;
  let http: HttpServer;
  let signer: CallerSigner;
  let now: number;

  beforeEach(async () => {
    now = Date.parse('2026-01-01T00:00:00Z');
    store = await openSqliteStore({path: ':memory:'});
    http = createHttp({name: 'test', logger: pino({level: 'silent'}), metrics: new Registry()});
    requireCaller(http, {store, service: 'app', now: () => now});
    http.get('/api/v1/things', {config: {proxied: true}}, async (request) => ({caller: request.caller}));
    signer = createCallerSigner('g1', () => now);
    await register('g1', signer.publicKey);
  });
  afterEach(async () => {
    await http.close();
    await store.close();
  });

  const register = async (instance: string, signingKey?: string): Promise<void> => {
    const record = {service: 'gateway', instance, url: 'http://127.0.0.1:1', version: '0', startedAt: '', ...(signingKey === undefined ? {} : {signingKey})};
    await serviceInstances.in(store).put(instanceKey(record), record);
  };
  const ask = async (token: string, url = asked.url) => {
    const reply = await http.inject({url, headers: {[CALLER_HEADER]: token}});
    return {status: reply.statusCode, ...Object(reply.json())};
  };

  it('is who the gateway says it is', async () => {
    expect(await ask(signer.sign(asked))).toEqual({status: 200, caller: {name: 'ann'}});
  });

  it.each([
    ['another service', {service: 'node'}],
    ['another method', {method: 'DELETE'}],
    ['another path', {url: '/api/v1/things/x?a=b'}],
    ['another query', {url: '/api/v1/things?a=c'}],
  ])('is not taken from what was signed for %s', async (_what, other) => {
    expect(await ask(signer.sign({...asked, ...other}))).toMatchObject({status: 401, code: 'caller-unknown'});
  });

  it('is forgotten when it is old, and told apart from clocks that differ', async () => {
    const token = signer.sign(asked);
    now += 140_000;
    expect((await ask(token)).status).toBe(200);
    now += 20_000;
    expect(await ask(token)).toMatchObject({status: 401, detail: expect.stringContaining('160 s ago')});
    now -= 300_000;
    expect(await ask(token)).toMatchObject({status: 401, detail: expect.stringContaining('clocks')});
  });

  it('cannot be said by those whose key is not registered, nor by changing what was signed', async () => {
    expect((await ask(createCallerSigner('g1', () => now).sign(asked))).status).toBe(401);
    expect((await ask(createCallerSigner('g2', () => now).sign(asked))).status).toBe(401);
    await register('g3');
    expect((await ask(createCallerSigner('g3', () => now).sign(asked))).status).toBe(401);
    const [header = '', , signature = ''] = signer.sign(asked).split('.');
    const forged = Buffer.from(JSON.stringify({iss: 'g1', sub: 'root', aud: 'app', iat: now, method: 'GET', url: asked.url})).toString('base64url');
    expect((await ask(`${header}.${forged}.${signature}`)).status).toBe(401);
  });

  it('is not taken on another algorithm\'s word', async () => {
    const {privateKey} = generateKeyPairSync('ec', {namedCurve: 'P-256'});
    const payload = signer.sign(asked).split('.')[1] ?? '';
    for (const header of [{alg: 'none'}, {alg: 'HS256'}, {alg: 'ES256'}]) {
      const text = `${Buffer.from(JSON.stringify(header)).toString('base64url')}.${payload}`;
      expect((await ask(`${text}.${sign('sha256', Buffer.from(text), privateKey).toString('base64url')}`)).status).toBe(401);
      expect((await ask(`${text}.`)).status).toBe(401);
    }
  });

  it('need not be known for liveness and metrics', async () => {
    for (const url of ['/livez', '/readyz', '/metrics']) expect((await http.inject({url})).statusCode).toBe(200);
    for (const url of ['/openapi.json', '/docs', asked.url]) expect((await http.inject({url})).statusCode).toBe(401);
  });
});
