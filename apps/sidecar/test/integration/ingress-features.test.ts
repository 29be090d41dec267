/** What ingress does with requests besides leading them, by a real HAProxy. */
import {once} from 'node:events';
import {mkdirSync, readdirSync, rmSync, writeFileSync} from 'node:fs';
import {Agent, createServer, request} from 'node:http';
import {connect as connectHttp2, createServer as createHttp2Server} from 'node:http2';
import {request as secureRequest} from 'node:https';
import {createConnection} from 'node:net';
import {join} from 'node:path';
import type {TLSSocket} from 'node:tls';
import {waitFor} from '@hivemind/testkit';
import {createAuthority, issueCertificate} from '@hivemind/trust';
import {serveMetrics} from '../../src/metrics.ts';
import {IngressMachine} from '../ingress-machine.ts';

let machine: IngressMachine;
beforeAll(async () => {
  machine = await IngressMachine.start();
  await machine.app('web');
});
afterAll(async () => machine[Symbol.asyncDispose]());
afterEach(async () => {
  await machine.remove('site');
  for (const id of ['web-a', 'web-b']) {
    machine.kill(id);
    await machine.cluster.removeContainer(id);
  }
});

const rules = [{app: 'web'}];
const many = async (count: number, path = '/', options = {}) => {
  const replies = [];
  for (let left = count; left > 0; left--) replies.push(await machine.get(path, options));
  return replies;
};
/** What the agent has of certificates. */
const kept = (): readonly string[] => readdirSync(join(machine.dir, 'agent'), {recursive: true}).map(String).filter((name) => /^ingress[./](?!json)/.test(name));
const countOf = (replies: readonly {readonly body: string}[], body: string): number => replies.filter((reply) => reply.body === body).length;

async function pair(name: string): Promise<{'tls.crt': string; 'tls.key': string}> {
  const authority = await createAuthority({cluster: 'test', now: Date.now()});
  const {certificate, key} = await issueCertificate(authority, {name, dns: [name], days: 1, now: Date.now()});
  return {'tls.crt': certificate, 'tls.key': key};
}

describe('ingress', () => {
  it('speaks TLS by the certificate that SNI asks for, from secrets and files, and sends HTTP to it', async () => {
    machine.secrets.set('shop/shop-cert', await pair('shop.example'));
    const file = await pair('other.example');
    mkdirSync(join(machine.dir, 'certificates'));
    writeFileSync(join(machine.dir, 'certificates', 'other.pem'), file['tls.crt'] + file['tls.key']);
    await machine.container('web-a', 'web', '127.0.0.2', ({headers}, response) => void response.end(`${headers['x-forwarded-proto']} ${headers['x-forwarded-for']}`));
    expect((await machine.put('site', {rules, tls: [{secret: 'shop-cert'}, {file: 'other.pem'}], redirectHttps: true})).status).toBe(201);
    const secure = (servername: string): Promise<{subject: string; body: string}> => new Promise((resolve, reject) => {
      secureRequest({host: '127.0.0.1', port: machine.https, servername, headers: {host: servername}, rejectUnauthorized: false, agent: false}, (response) => {
        const {subjectaltname = ''} = (response.socket as TLSSocket).getPeerCertificate();
        let body = '';
        response.setEncoding('utf8').on('data', (text: string) => (body += text)).once('end', () => resolve({subject: subjectaltname, body}));
      }).once('error', reject).end();
    });
    expect(await waitFor(() => secure('shop.example').catch(() => undefined), {what: 'TLS'})).toEqual({subject: expect.stringContaining('shop.example'), body: 'https 127.0.0.1'});
    expect((await secure('other.example')).subject).toContain('other.example');
    expect(await machine.get('/a?b=c')).toMatchObject({status: 308, headers: {location: `https://shop.example:${machine.https}/a?b=c`}});
    // A pair that is none is refused; one that is renewed is in force without anything else.
    machine.secrets.set('shop/bad', {...(await pair('a.example')), 'tls.key': file['tls.key']});
    expect(await machine.put('site', {rules, tls: [{secret: 'bad'}]})).toMatchObject({status: 422, body: {code: 'certificate-unusable', errors: [{path: 'spec.tls[0].secret'}]}});
    machine.secrets.set('shop/shop-cert', await pair('renewed.example'));
    await machine.stopAgent();
    await machine.startAgent();
    await waitFor(async () => (await secure('renewed.example')).subject.includes('renewed.example'), {what: 'the new certificate'});
    // Nothing is put in force that is none, nor is what is in force taken away for it.
    machine.secrets.set('shop/shop-cert', {...(await pair('wrong.example')), 'tls.key': file['tls.key']});
    rmSync(join(machine.dir, 'certificates', 'other.pem'));
    await machine.stopAgent();
    await machine.startAgent();
    const {problem} = await waitFor(async () => {
      const report = await machine.report('site');
      return report.problem !== '' && report;
    }, {what: 'the machine to say what is amiss'});
    expect(problem).toMatch(/secret shop-cert: .*: the one before is still in force; .*other\.pem: is not in .*: the one before is still in force/);
    expect([(await secure('renewed.example')).subject, (await secure('other.example')).subject]).toEqual([expect.stringContaining('renewed.example'), expect.stringContaining('other.example')]);
    // No key stays that no ingress names.
    expect(kept().length).toBeGreaterThan(2);
    await machine.put('site', {rules});
    await waitFor(() => kept().length === 0, {what: 'the keys to be removed'});
    machine.secrets.set('shop/shop-cert', await pair('shop.example'));
    await machine.put('site', {rules, tls: [{secret: 'shop-cert'}]});
    await waitFor(() => kept().length > 2, {what: 'a key'});
    await machine.remove('site');
    await waitFor(() => kept().length === 0, {what: 'the last key to be removed'});
  });

  it('limits how often a client may ask, with 429', async () => {
    await machine.container('web-a', 'web', '127.0.0.2');
    await machine.serves('site', {rules, rateLimit: {requests: 5, per: '30s'}});
    await machine.answers('/', {status: 200});
    const replies = await many(8);
    expect(replies.slice(-3).map(({status, headers}) => [status, headers['retry-after']])).toEqual([[429, '30'], [429, '30'], [429, '30']]);
    expect(replies.filter(({status}) => status === 200).length).toBeLessThan(5);
  });

  it('leaves alone who errs, and tries again later', async () => {
    let errs = true;
    await machine.container('web-a', 'web', '127.0.0.2', (_request, response) => void response.writeHead(errs ? 500 : 200).end('web-a'));
    await machine.container('web-b', 'web', '127.0.0.3');
    await machine.serves('site', {rules, balance: 'round-robin', breaker: {errors: 3, eject: '400ms', probe: '/health'}});
    await machine.answers('/', {body: 'web-b'});
    await waitFor(async () => (await many(10)).every(({status}) => status === 200), {what: 'it to be left alone'});
    errs = false;
    await machine.answers('/', {status: 200, body: 'web-a'});
  });

  it('tries another container where one does not answer, only where that is safe', async () => {
    const server = await machine.container('web-a', 'web', '127.0.0.2', (message) => void message.socket.destroy());
    await machine.container('web-b', 'web', '127.0.0.3');
    await machine.serves('site', {rules, balance: 'round-robin', retries: {on: ['connect', 'empty']}});
    await machine.answers('/', {body: 'web-b'});
    expect((await many(10)).map(({status, body}) => `${status} ${body}`)).toEqual(Array.from({length: 10}, () => '200 web-b'));
    // On a connection of its own each: on one that was used before, HAProxy leaves it to the client by closing it.
    const agent = new Agent({keepAlive: false});
    expect((await many(10, '/', {method: 'POST', agent})).map(({status}) => status)).toContain(502);
    // Nobody listens: no request has reached anybody, so every one may be tried elsewhere.
    await new Promise((resolve) => server.close(resolve));
    expect((await many(10, '/', {method: 'POST', agent})).map(({status}) => status)).toEqual(Array.from({length: 10}, () => 200));
  });

  it('keeps who came once at the same container by a cookie, and spreads by the weights that it is told', async () => {
    for (const [id, address] of [['web-a', '127.0.0.2'], ['web-b', '127.0.0.3']] as const) await machine.container(id, 'web', address);
    await machine.serves('site', {rules, affinity: {cookie: 'SERVER'}, balance: 'round-robin'});
    for (const id of ['web-a', 'web-b']) await machine.answers('/', {body: id});
    const {body, headers} = await machine.get('/');
    const [cookie] = (headers['set-cookie']?.[0] ?? '').split(';');
    expect(cookie).toMatch(/^SERVER=/);
    expect(countOf(await many(10, '/', {headers: {cookie}}), body)).toBe(10);
    await machine.cluster.container('web-b', {app: 'web', address: '127.0.0.3', revision: 2});
    await machine.cluster.traffic('web', [{revision: 1, weight: 80}, {revision: 2, weight: 20}]);
    await waitFor(() => machine.plan().servers['shop/web']?.some(({weight}) => weight === 25), {what: 'the weights'});
    await machine.keeper.apply();
    expect(countOf(await many(50), 'web-b')).toBeLessThan(18);
  });

  it('passes on what is upgraded, and HTTP/2 in the clear', async () => {
    const server = await machine.container('web-a', 'web', '127.0.0.2');
    server.on('upgrade', (_request, socket) => {
      socket.write('HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: echo\r\n\r\n');
      socket.pipe(socket);
    });
    await machine.serves('site', {rules});
    await machine.answers('/', {status: 200});
    const socket = createConnection(machine.http, '127.0.0.1');
    socket.write('GET /ws HTTP/1.1\r\nhost: shop.example\r\nconnection: upgrade\r\nupgrade: echo\r\n\r\n');
    let heard = '';
    socket.on('data', (data: Buffer) => (heard += data.toString()));
    await waitFor(() => heard.includes('101 Switching Protocols'), {what: 'the upgrade'});
    socket.write('ping');
    await waitFor(() => heard.endsWith('ping'), {what: 'the echo'});
    socket.destroy();

    const grpc = createHttp2Server().on('stream', (stream, headers) => {
      stream.respond({':status': 200, 'content-type': 'application/grpc'}, {waitForTrailers: true});
      stream.once('wantTrailers', () => stream.sendTrailers({'grpc-status': '0'}));
      stream.end(String(headers[':path']));
    });
    grpc.listen(machine.port, '127.0.0.9');
    await once(grpc, 'listening');
    await machine.cluster.container('web-a', {app: 'web', address: '127.0.0.9'});
    await machine.serves('site', {rules: [{app: 'web', protocol: 'h2c'}]});
    const asked = async (): Promise<string> => {
      // What was connected before the reload ends.
      const session = connectHttp2(`http://127.0.0.1:${machine.http}`).on('error', () => undefined);
      const stream = session.request({':path': '/pkg.Service/Method', ':method': 'POST', 'content-type': 'application/grpc', te: 'trailers'});
      let answer = '';
      stream.setEncoding('utf8').on('data', (text: string) => (answer += text)).on('trailers', (trailers) => (answer += ` ${String(trailers['grpc-status'])}`));
      stream.end();
      await once(stream, 'close').finally(() => session.destroy());
      return answer;
    };
    try {
      await waitFor(async () => (await asked()) === '/pkg.Service/Method 0', {what: 'an answer with its trailers'});
    } finally {
      await machine.remove('site');
      grpc.close();
    }
  });

  it('goes on as it was where another configuration cannot be had, and says why', async () => {
    await machine.container('web-a', 'web', '127.0.0.2');
    await machine.serves('site', {rules});
    await machine.answers('/', {status: 200});
    const pid = machine.proxy.pid();
    const taken = createServer().listen(machine.https, '0.0.0.0');
    await once(taken, 'listening');
    await machine.put('more', {rules: [{app: 'web', path: '/more'}], listen: {http: machine.https}});
    await waitFor(async () => (await machine.report('more')).problem.includes(`port ${machine.https} of this machine is taken`), {what: 'the machine to say so'});
    expect(await machine.report('more')).toMatchObject({state: 'behind', running: true});
    expect((await machine.get('/')).status).toBe(200);
    taken.close();
    await machine.keeper.apply();
    expect(await new Promise((resolve, reject) => void request({host: '127.0.0.1', port: machine.https, path: '/more', agent: false}, (response) => resolve(response.statusCode)).once('error', reject).end())).toBe(200);
    expect(machine.proxy.pid()).toBe(pid);
    await machine.remove('more');
  });

  it('counts, for Prometheus', async () => {
    await machine.container('web-a', 'web', '127.0.0.2');
    await machine.serves('site', {rules});
    await machine.answers('/', {status: 200});
    const server = await serveMetrics({host: '127.0.0.1', port: 0}, () => Promise.reject(new Error('not asked')), () => machine.keeper.metricsSocket());
    try {
      const reply = await fetch(`http://127.0.0.1:${server.port}/metrics/ingress`);
      expect(await reply.text()).toMatch(/haproxy_backend_http_responses_total\{proxy="shop.site.0",code="2xx"\} [1-9]/);
    } finally {
      await server.close();
    }
  });
});
