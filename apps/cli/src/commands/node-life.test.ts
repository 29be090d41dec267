import {createServer, type Server} from 'node:http';
import {once} from 'node:events';
import {hivemind} from '../../test/command.ts';
import {taintOf} from './node-life.ts';

describe('taints on the command line', () => {
  it.each([
    ['gpu:NoSchedule', {remove: false, key: 'gpu', value: undefined, effect: 'NoSchedule'}],
    ['gpu=a100:NoExecute', {remove: false, key: 'gpu', value: 'a100', effect: 'NoExecute'}],
    ['gpu-', {remove: true, key: 'gpu', value: undefined, effect: undefined}],
    ['gpu:PreferNoSchedule-', {remove: true, key: 'gpu', value: undefined, effect: 'PreferNoSchedule'}],
    ['my-gpu-', {remove: true, key: 'my-gpu', value: undefined, effect: undefined}],
  ])('%s', (text, expected) => {
    expect(taintOf(text)).toEqual(expected);
  });

  it.each(['gpu', 'gpu=a100', 'gpu:Sometimes', ':NoSchedule', ''])('%j is none', (text) => {
    expect(() => taintOf(text)).toThrow('KEY[=VALUE]:EFFECT');
  });
});

describe('the life of a machine, at the command line', () => {
  let server: Server;
  let url: string;
  let answers: unknown[];
  const seen: string[] = [];
  const node = (drain?: object) => ({name: 'n1', spec: {}, status: {phase: 'ready', capacity: {cpu: 1, memory: 1}, runtime: {name: 'x', version: '1', available: true}, ...(drain ? {drain} : {})}});

  beforeEach(async () => {
    seen.length = 0;
    server = createServer((request, response) => {
      let body = '';
      request.on('data', (chunk: Buffer) => (body += chunk.toString()));
      request.on('end', () => {
        seen.push(`${request.method} ${(request.url ?? '').replace('/api/v1', '')} ${body}`.trim());
        response.setHeader('content-type', 'application/json').end(JSON.stringify(answers.length > 1 ? answers.shift() : answers[0]));
      });
    }).listen(0, '127.0.0.1');
    await once(server, 'listening');
    const address = server.address();
    url = `http://127.0.0.1:${typeof address === 'object' && address !== null ? address.port : 0}`;
  });
  afterEach(async () => {
    server.close();
    server.closeAllConnections();
    await once(server, 'close');
  });

  const run = (words: string) => hivemind(`${words} --server ${url}`);

  it('drains, and tells what is left while it waits', async () => {
    answers = [node(), node({done: false, total: 2}), node({done: true, total: 0})];
    expect(await run('node drain n1 --wait --stop-local --deadline 5m')).toEqual({status: 0, out: 'node/n1 drained\n', err: '  n1: 2 left\n'});
    expect(seen[0]).toBe('POST /nodes/n1/drain {"stopLocal":true,"deadline":"5m"}');
  });

  it('says what is left, and why, when its time is up', async () => {
    answers = [node(), node({done: false, total: 1}), {done: false, total: 1, blocked: [{container: 'web-aaaaa', namespace: 'default', app: 'web', reason: 'WaitsForReplacement', message: 'no machine takes it now'}]}];
    const {status, err} = await run('node drain n1 --wait --timeout 0s');
    expect(status).toBe(1);
    expect(err).toContain('default/web-aaaaa: no machine takes it now');
  });

  it('fences and abandons only where that is said twice', async () => {
    answers = [node()];
    expect((await run('node fence n1')).status).toBe(2);
    expect((await run('volume abandon data')).status).toBe(2);
    expect(seen).toEqual([]);
    expect((await run('node fence n1 --confirm-dead')).out).toBe('node/n1 fenced\n');
    expect(seen).toEqual(['POST /nodes/n1/fence {"confirmDead":true}']);
  });

  it('removes, taints, and looks at the brake', async () => {
    answers = [{volumes: ['default/data']}];
    expect(await run('node rm n1 --force')).toMatchObject({status: 0, out: 'node/n1 removed\n', err: expect.stringContaining('default/data')});
    answers = [node()];
    await run('node taint n1 gpu=a100:NoSchedule old-');
    answers = [{engaged: true, message: '2 of 3 machines went'}];
    expect((await run('node brake')).out).toContain('2 of 3 machines went');
    expect(seen).toEqual(['DELETE /nodes/n1?force=true', 'POST /nodes/n1/taints {"key":"gpu","effect":"NoSchedule","value":"a100"}', 'DELETE /nodes/n1/taints?key=old', 'GET /nodes/n1', 'GET /nodes/brake']);
  });
});
