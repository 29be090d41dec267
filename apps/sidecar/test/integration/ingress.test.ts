/** Ingress from the API to a request's answer, through a real HAProxy; only containers are HTTP servers of this process. */
import {readFileSync, writeFileSync} from 'node:fs';
import {Agent, type ServerResponse} from 'node:http';
import {waitFor} from '@hivemind/testkit';
import {IngressMachine} from '../ingress-machine.ts';

let machine: IngressMachine;
beforeAll(async () => {
  machine = await IngressMachine.start();
  for (const app of ['web', 'api']) await machine.app(app);
  await machine.container('web-a', 'web', '127.0.0.2');
  await machine.container('api-a', 'api', '127.0.0.3');
});
afterAll(async () => machine[Symbol.asyncDispose]());
afterEach(async () => {
  const {body} = await machine.cluster.ask('/ingresses?namespace=shop');
  for (const {name} of body.items ?? []) await machine.remove(String(name));
});

/** Requests one after the other in `lanes`, until it is ended; answers what was not 200, and how many there were. */
function load(lanes: number, path = '/'): {end(): Promise<{readonly failed: readonly string[]; readonly total: number}>; readonly total: () => number} {
  const failed: string[] = [];
  let [going, total] = [true, 0];
  const lane = async (): Promise<void> => {
    while (going) {
      total += 1;
      await machine.get(path).then(({status, body}) => void (status === 200 || failed.push(`${status} ${body}`)), (error: unknown) => void failed.push(String(error)));
    }
  };
  const running = Array.from({length: lanes}, lane);
  return {
    total: () => total,
    async end() {
      going = false;
      await Promise.all(running);
      return {failed, total};
    },
  };
}

describe('ingress', () => {
  it('leads by host, path, header and cookie, says 404 where none is for a request, 503 where nobody is behind it, and ends with the last', async () => {
    expect(await machine.put('site', {rules: [
      {app: 'web', host: 'shop.example'},
      {app: 'api', host: 'shop.example', path: '/api'},
      {app: 'api', host: 'shop.example', headers: {'x-canary': 'yes please'}},
      {app: 'api', host: 'shop.example', cookies: {beta: '1'}},
      {app: 'api', host: '*.tenants.example', path: '/only', match: 'exact'},
      {app: 'ghost', host: 'ghost.example'},
    ]})).toMatchObject({status: 201, body: {status: {phase: 'degraded', nodes: ['n1'], conditions: [{reason: 'AppNotFound', message: expect.stringContaining('spec.rules[5]')}]}}});
    await machine.answers('/', {status: 200, body: 'web-a'});
    const bodies = async (...asked: Parameters<IngressMachine['get']>[]) => Promise.all(asked.map(async (one) => (await machine.get(...one)).body.trim()));
    expect(await bodies(
      ['/api'], ['/api/x?y=1'], ['/apis'], ['/', {headers: {'x-canary': 'yes please'}}], ['/', {headers: {'x-canary': 'no'}}], ['/', {headers: {cookie: 'a=b; beta=1'}}],
      ['/only', {host: 'a.b.tenants.example:8080'}], ['/only', {host: 'SHOP.example'}],
    )).toEqual(['api-a', 'api-a', 'web-a', 'api-a', 'web-a', 'api-a', 'api-a', 'web-a']);
    expect(await Promise.all([['/only/x', 'a.tenants.example'], ['/', 'other.example'], ['/', 'ghost.example']].map(async ([path, host]) => (await machine.get(path!, {host: host!})).status))).toEqual([404, 404, 503]);
    await waitFor(async () => (await machine.report('site')).state === 'current', {what: 'the machine to say that it is so'});
    expect(await machine.report('site')).toMatchObject({running: true, problem: ''});
    await waitFor(() => machine.accessLog().find(({path, host}) => path === '/api/x' && host === 'shop.example'), {what: 'a line of the access log'});
    expect(machine.accessLog().find(({path}) => path === '/api/x')).toMatchObject({client: '127.0.0.1', method: 'GET', status: 200, rule: 'shop.site.1', server: `127.0.0.3:${machine.port}`});
    await machine.remove('site');
    await waitFor(() => machine.proxy.pid() === undefined, {what: 'HAProxy to end with the last ingress'});
  });

  it('leads by many hosts as by few', async () => {
    const rules = [
      {app: 'web', host: 'plain.example'}, {app: 'api', host: 'plain.example', path: '/api'}, {app: 'web', host: 'plain.example', path: '/api/v1/'}, {app: 'web', host: 'plain.example', path: '/api/only', match: 'exact'},
      {app: 'api', host: 'paths.example', path: '/a'}, {app: 'api', host: '*.example', path: '/all'}, {app: 'web', path: '/any'},
      {app: 'web', host: 'fields.example'}, {app: 'api', host: 'fields.example', headers: {'x-a': 'b'}},
    ];
    const asked: readonly (readonly [host: string, path: string, expected: string, headers?: Readonly<Record<string, string>>])[] = [
      ['plain.example', '/', 'web-a'], ['PLAIN.example:80', '/x?y=/api', 'web-a'], ['plain.example', '/api', 'api-a'], ['plain.example', '/api/', 'api-a'], ['plain.example', '/api/x', 'api-a'], ['plain.example', '/apis', 'web-a'],
      ['plain.example', '/api/v1', 'web-a'], ['plain.example', '/api/v1/x', 'web-a'], ['plain.example', '/api/v10', 'api-a'], ['plain.example', '/api/only', 'web-a'], ['plain.example', '/api/only/', 'api-a'], ['plain.example', '/API', 'web-a'],
      ['paths.example', '/a/b', 'api-a'], ['paths.example', '/', '404'], ['paths.example', '/all', 'api-a'], ['paths.example', '/any', 'web-a'], ['sub.plain.example', '/all/x', 'api-a'], ['sub.plain.example', '/', '404'],
      ['other.test', '/any', 'web-a'], ['other.test', '/', '404'], ['fields.example', '/', 'web-a'], ['fields.example', '/', 'api-a', {'x-a': 'b'}],
      ['paths.example/a', '/x', '404'], ['plain.example/api', '/only', '404'], ['plain.example/api:80', '/x', '404'], ['plain.example/api', '/any', 'web-a'],
    ];
    const told = () => Promise.all(asked.map(async ([host, path, , headers = {}]) => machine.get(path, {host, headers}).then(({status, body}) => (status === 200 ? body : String(status)))));
    await machine.serves('site', {rules});
    await machine.answers('/', {body: 'web-a'}, {host: 'plain.example'});
    expect(await told()).toEqual(asked.map(([, , expected]) => expected));
    await machine.serves('site', {rules: [...rules, ...Array.from({length: 240}, (_, index) => ({app: 'api', host: `h${index}.example`, path: '/all'}))]});
    await machine.answers('/all', {body: 'api-a'}, {host: 'h239.example'});
    expect(await told()).toEqual(asked.map(([, , expected]) => expected));
    const {files} = machine.plan();
    expect(files).toHaveLength(2);
    // As after a power cut.
    await machine.stopAgent();
    for (const file of files) writeFileSync(file, '');
    await machine.startAgent();
    await waitFor(() => files.every((file) => readFileSync(file, 'utf8') !== ''), {what: 'the maps to be as they were'});
  });

  it('takes containers in and out under load with no request failed and no reload', async () => {
    await machine.serves('site', {rules: [{app: 'web'}]});
    await machine.answers('/', {body: 'web-a'});
    const {structure} = machine.plan();
    const under = load(8);
    for (let round = 0; round < 3; round++) {
      await machine.container('web-b', 'web', '127.0.0.4');
      await waitFor(async () => (await machine.get('/')).body === 'web-b', {what: 'the new container to be asked'});
      await machine.removeContainer('web-b', 'web', '127.0.0.4');
    }
    const {failed, total} = await under.end();
    expect(failed).toEqual([]);
    expect(total).toBeGreaterThan(50);
    expect(machine.plan().structure).toBe(structure);
  });

  it('closes what it keeps to who leaves, as soon as nothing is under way there', async () => {
    await machine.serves('site', {rules: [{app: 'web'}]});
    const held: ServerResponse[] = [];
    await machine.container('web-b', 'web', '127.0.0.4', (request, response) => void (request.url === '/held' ? held.push(response) : response.end('web-b')));
    const agent = new Agent({keepAlive: true});
    const asked = await waitFor(async () => {
      await Promise.all(Array.from({length: 8}, () => machine.get('/', {agent})));
      return (await machine.connections('web-b')) >= 2 && Promise.all([machine.answers('/', {body: 'web-b'}, {agent})]);
    }, {what: 'connections to be kept'});
    expect(asked).toHaveLength(1);
    const answers = Array.from({length: 4}, () => machine.get('/held', {agent}));
    await waitFor(() => held.length > 0, {what: 'a request to be under way there'});
    const under = held.length;
    const removed = machine.removeContainer('web-b', 'web', '127.0.0.4');
    await waitFor(async () => (await machine.connections('web-b')) === under, {what: 'those to be closed on which nothing is under way'});
    for (const response of held) response.end('late');
    await removed;
    expect((await Promise.all(answers)).map(({body}) => body).filter((body) => body === 'late')).toHaveLength(under);
    agent.destroy();
  });

  it('closes what a process from before a reload keeps to who leaves, before long', async () => {
    await machine.serves('site', {rules: [{app: 'web'}]});
    await machine.container('web-b', 'web', '127.0.0.4');
    const agent = new Agent({keepAlive: true});
    await waitFor(async () => {
      await Promise.all(Array.from({length: 12}, () => machine.get('/', {agent})));
      return (await machine.connections('web-b')) >= 4;
    }, {what: 'connections to be kept'});
    await machine.put('site', {rules: [{app: 'web'}, {app: 'api', path: '/api'}]});
    await waitFor(async () => (await machine.report('site')).state === 'current', {what: 'the reload'});
    // Not as long as HAProxy would, which is 20 s and more.
    await machine.removeContainer('web-b', 'web', '127.0.0.4');
    agent.destroy();
  }, 30_000);

  it('leads who kept a connection through a reload by what is so now', async () => {
    await machine.serves('site', {rules: [{app: 'web'}]});
    await machine.answers('/', {body: 'web-a'});
    const agent = new Agent({keepAlive: true});
    expect((await machine.get('/', {agent})).body).toBe('web-a');
    await machine.put('site', {rules: [{app: 'api'}]});
    await waitFor(async () => (await machine.report('site')).state === 'current', {what: 'the reload'});
    const reply = await machine.get('/', {agent});
    expect([reply.status, reply.body, reply.headers.connection]).toEqual([200, 'api-a', 'close']);
    await waitFor(() => machine.accessLog().some(({server, client}) => server === `127.0.0.3:${machine.port}` && client === '127.0.0.1'), {what: 'the client by its own address'});
    agent.destroy();
  });

  it('takes other rules, and more containers than it has places for, under load with no request failed', async () => {
    await machine.serves('site', {rules: [{app: 'web'}]});
    await machine.answers('/', {body: 'web-a'});
    const under = load(8);
    for (const path of ['/a', '/b', '/c']) {
      await machine.serves('site', {rules: [{app: 'web'}, {app: 'api', path}]});
      await machine.answers(path, {body: 'api-a'});
    }
    const before = machine.plan().structure;
    const more = Array.from({length: 9}, (_, index) => `127.0.0.${index + 20}`);
    for (const address of more) await machine.container(`web-${address}`, 'web', address);
    await waitFor(async () => (await machine.get('/')).body === 'web-127.0.0.28', {what: 'the last to be asked'});
    expect(machine.plan().structure).not.toBe(before);
    await Promise.all(more.map((address) => machine.removeContainer(`web-${address}`, 'web', address)));
    expect((await under.end()).failed).toEqual([]);
  });

  it('is back when HAProxy is killed, and goes on with keeper and agent away; the next ones find it', async () => {
    await machine.serves('site', {rules: [{app: 'web'}]});
    await machine.answers('/', {body: 'web-a'});
    const first = machine.proxy.pid();
    await machine.stopAgent();
    await machine.keeper.stop();
    expect((await machine.get('/')).status).toBe(200);
    await machine.startKeeper();
    await machine.startAgent();
    expect(machine.proxy.pid()).toBe(first);
    process.kill(first!, 'SIGKILL');
    await waitFor(() => machine.proxy.pid() !== undefined && machine.proxy.pid() !== first, {what: 'HAProxy to be started again'});
    await machine.answers('/', {body: 'web-a'});
  });
});
