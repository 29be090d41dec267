import {mkdirSync, readFileSync, writeFileSync} from 'node:fs';
import {createServer as createHttpServer, type Server as HttpServer} from 'node:http';
import {createServer, type Server} from 'node:net';
import {join} from 'node:path';
import {removeTempDir, tempDir} from '@hivemind/testkit';
import pino from 'pino';
import {chooseEngine, engineBefore, likelyEngines} from './engine.ts';

const whose = {cluster: 'c1', node: 'n1', logger: pino({level: 'silent'}), now: Date.now};
const servers: (Server | HttpServer)[] = [];
let dir: string;

beforeEach(() => {
  dir = tempDir('eng');
});
afterEach(async () => {
  for (const server of servers.splice(0)) await new Promise((resolve) => server.close(resolve));
  await removeTempDir(dir);
});

async function listening(server: Server | HttpServer, name: string): Promise<string> {
  const path = join(dir, name);
  await new Promise<void>((resolve) => server.listen(path, resolve));
  servers.push(server);
  return path;
}
const kept = (): string => readFileSync(join(dir, 'agent', 'runtime'), 'utf8').trim();
const choose = async (options: Parameters<typeof chooseEngine>[0]) => chooseEngine(options, dir, await engineBefore(dir), whose);

it('a Docker Engine that is named is meant, and remembered whatever answers later', async () => {
  const containerdSocket = await listening(createServer(), 'containerd.sock');
  expect(await choose({dockerHost: 'tcp://10.0.0.1:2375', containerdSocket})).toEqual({name: 'docker', address: 'tcp://10.0.0.1:2375'});
  expect(kept()).toBe('docker');
  expect(await likelyEngines({containerdSocket}, dir)).toEqual(['docker']);
});

it('containerd is asked for by name, and is what it stays', async () => {
  const containerdSocket = join(dir, 'away.sock');
  expect(await choose({runtime: 'containerd', containerdSocket})).toEqual({name: 'containerd', address: `containerd://${containerdSocket}`});
  expect(await choose({containerdSocket, dockerHost: 'tcp://10.0.0.1:2375'})).toMatchObject({name: 'containerd'});
});

it('another one is refused while the one before has containers, or does not say, and taken when it has none', async () => {
  let containers: readonly object[] = [{Id: 'x', Labels: {'hivemind.cluster': 'c1', 'hivemind.container': 'web-1'}}];
  const docker = createHttpServer((request, response) => {
    response.setHeader('content-type', 'application/json');
    const inspected = {Id: 'x', Name: '/web-1', State: {Status: 'running'}, Config: {Labels: {'hivemind.container': 'web-1'}}, NetworkSettings: {}};
    response.end(JSON.stringify(request.url?.includes('/containers/json') ? containers : request.url?.includes('/containers/x') ? inspected : {}));
  });
  const dockerHost = `unix://${await listening(docker, 'docker.sock')}`;
  mkdirSync(join(dir, 'agent'));
  writeFileSync(join(dir, 'agent', 'runtime'), 'docker\n');
  await expect(choose({runtime: 'containerd', dockerHost})).rejects.toMatchObject({code: 'runtime-conflict', message: expect.stringContaining('--runtime docker')});
  await expect(choose({runtime: 'containerd', dockerHost: `unix://${join(dir, 'none.sock')}`})).rejects.toMatchObject({code: 'runtime-conflict'});
  expect(kept()).toBe('docker');
  containers = [];
  expect(await choose({runtime: 'containerd', dockerHost})).toMatchObject({name: 'containerd'});
  expect(kept()).toBe('containerd');
});
