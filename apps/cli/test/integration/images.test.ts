/** `hivemind image import|export|rm` against a whole Hivemind on a real containerd. */
import {createHash} from 'node:crypto';
import {existsSync, readFileSync, statSync, writeFileSync} from 'node:fs';
import {join} from 'node:path';
import {createContainerdRuntime} from '@hivemind/container/node';
import {startContainerd, waitFor} from '@hivemind/testkit';
import {pino} from 'pino';
import {pack} from 'tar-stream';
import {cluster, type Server, startServerOn} from '../server.ts';

let server: Server;
const stops: (() => PromiseLike<unknown>)[] = [];

beforeAll(async () => {
  const containerd = await startContainerd();
  stops.push(() => containerd.stop());
  const runtime = await createContainerdRuntime({socketPath: containerd.socketPath, cgroupParent: containerd.cgroupParent, root: join(containerd.dir, 'hivemind'), cluster, node: 'n1', logger: pino({level: 'silent'}), now: Date.now});
  stops.push(() => runtime.close(), () => runtime.pruneNetworks());
  server = await startServerOn(runtime);
  stops.push(() => server[Symbol.asyncDispose](), () => server.run('down'));
  await waitFor(async () => (await server.run('node ls')).out.includes('ready'), {what: 'the node to be ready', deadlineMs: 10_000});
}, 60_000);
afterAll(async () => {
  for (const stop of stops.splice(0).toReversed()) await stop();
}, 60_000);

/** Fails with what was printed. */
async function ok(words: string): Promise<string> {
  const {status, out, err} = await server.run(words);
  if (status !== 0) throw new Error(`${words}: status ${status}\n${out}${err}`);
  return out;
}

type Part = readonly [name: string, body: string | Buffer];

async function tarOf(parts: readonly Part[], mode = 0o644): Promise<Buffer> {
  const tar = pack();
  for (const [name, body] of parts) tar.entry({name, mode}, body);
  tar.finalize();
  const chunks: Buffer[] = [];
  for await (const chunk of tar as AsyncIterable<Buffer>) chunks.push(chunk);
  return Buffer.concat(chunks);
}

/** As docker save writes it. */
async function saved(name: string, architecture: string): Promise<Buffer> {
  const layer = await tarOf([['busybox', readFileSync('/bin/busybox')]], 0o755);
  const config = JSON.stringify({os: 'linux', architecture, config: {}, rootfs: {type: 'layers', diff_ids: [`sha256:${createHash('sha256').update(layer).digest('hex')}`]}});
  return tarOf([['config.json', config], ['layer.tar', layer], ['manifest.json', JSON.stringify([{Config: 'config.json', RepoTags: [name], Layers: ['layer.tar']}])]]);
}

it('an image comes in as an archive and runs, goes out as one, is removed once nothing is made from it, and comes again', async () => {
  const [here, other] = process.arch === 'x64' ? ['amd64', 'arm64'] as const : ['arm64', 'amd64'] as const;
  const file = (name: string): string => join(server.directory, name);
  writeFileSync(file('in.tar'), await saved('tool:1', here));
  expect(await ok('image import in.tar')).toBe('in.tar imported\n');
  expect(await ok('image ls')).toMatch(/tool:1 .* n1/);
  server.file('app.yaml', 'kind: App\nname: tool\nimage: tool:1\npull: {policy: never}\ncommand: [/busybox, sleep, "1000"]\nstop: {grace: 1s}\n');
  await ok('apply -f app.yaml --wait --timeout 20s');
  expect(await server.run('image rm tool:1')).toMatchObject({status: 1, err: expect.stringContaining('a container is made from it')});
  expect(await ok('image export tool:1 out.tar')).toBe('image tool:1 exported to out.tar\n');
  expect(statSync(file('out.tar')).size).toBeGreaterThan(statSync('/bin/busybox').size);
  await ok('app rm tool --wait');
  expect(await ok('image rm tool:1')).toBe('image tool:1 removed\n');
  expect(await ok('image ls -o json')).toBe('[]\n');
  await ok('image import out.tar --node n1');
  await ok('apply -f app.yaml --wait --timeout 20s');

  writeFileSync(file('other.tar'), await saved('other:1', other));
  expect(await server.run('image import other.tar')).toMatchObject({status: 1, err: expect.stringContaining(`is for linux/${other}, and this machine is linux/${here}`)});
  expect(await server.run('image export other:1 none.tar')).toMatchObject({status: 1, err: expect.stringContaining('pull it first')});
  expect(['none.tar', 'none.tar.part'].filter((name) => existsSync(file(name)))).toEqual([]);
}, 60_000);
