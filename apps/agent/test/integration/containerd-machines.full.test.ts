/** A whole cluster whose machines run containers by containerd alone: that of each machine's engine, which is not asked itself. */
import {execFileSync} from 'node:child_process';
import {createWriteStream} from 'node:fs';
import {join} from 'node:path';
import {pipeline} from 'node:stream/promises';
import {fileURLToPath} from 'node:url';
import {createContainerdRuntime} from '@hivemind/container/node';
import {type Container, Node, Overlay} from '@hivemind/contracts';
import type {Runtime} from '@hivemind/runtime';
import {waitFor} from '@hivemind/testkit';
import {pino} from 'pino';
import {startCluster, type TestCluster} from '../cluster.ts';
import {hivemind} from '../control-plane.ts';
import type {Member} from '../member.ts';

const agentProgram = fileURLToPath(new URL('../containerd-agent.ts', import.meta.url));
const deadlineMs = 60_000;
let cluster: TestCluster;
const runtimes = new Map<string, Runtime>();

const socketOf = ({machine}: Member): string => join(machine.runDir, 'docker/containerd/containerd.sock');
const running = async (app: string): Promise<readonly Container[]> => (await cluster.records(app)).filter(({status}) => status.phase === 'running' && status.ip !== undefined);
const untilRunning = (app: string, count: number): Promise<readonly Container[]> => waitFor(async () => {
  const found = await running(app);
  return found.length === count ? found : undefined;
}, {what: `${count} containers of ${app} with addresses`, deadlineMs});

async function says(of: Container, command: string): Promise<string> {
  const runtime = runtimes.get(of.spec.node)!;
  const session = await runtime.exec((await runtime.inspect(of.name))!.runtimeId, {command: ['sh', '-c', command], tty: false, stdin: false});
  let text = '';
  for await (const {data} of session.output) text += Buffer.from(data).toString();
  await session.exitCode;
  return text.trim();
}

const reads = (of: Container, host: string): Promise<string> => waitFor(async () => (await says(of, `printf 'GET /name HTTP/1.0\\r\\n\\r\\n' | nc -w 2 ${host} 80`)).split(/\s+/).at(-1) || undefined, {what: `${of.name} to read from ${host}`, deadlineMs: 20_000});

beforeAll(async () => {
  cluster = await startCluster({machines: 2, hivemind: (program) => (/^m\d+$/.test(program) ? [agentProgram] : hivemind)});
  for (const member of cluster.members) {
    const archive = join(member.machine.dir, 'image.tar');
    await pipeline(await member.machine.engine.docker.getImage(cluster.image).get(), createWriteStream(archive));
    execFileSync('ctr', ['--address', socketOf(member), '--namespace', 'hivemind', 'images', 'import', archive]);
    runtimes.set(member.name, await createContainerdRuntime({socketPath: socketOf(member), root: join(member.dataDir, 'containerd'), cluster: cluster.control.cluster, node: member.name, logger: pino({level: 'silent'}), now: Date.now}));
  }
  await cluster.api.ask('PATCH', '/networks/cluster', {spec: {backend: 'vxlan'}});
  await waitFor(async () => Overlay.parse(await cluster.api.ask('GET', '/networks/overlay')).items.filter(({backend}) => backend === 'vxlan').length === 2, {what: 'both machines to have a network', deadlineMs});
}, 180_000);
afterAll(async () => {
  for (const runtime of runtimes.values()) await runtime.close();
  await cluster?.stop();
}, 60_000);

it('says what its machines use, and containers of both reach all by address and by name', async () => {
  for (const {name} of cluster.members) expect(Node.parse(await cluster.api.ask('GET', `/nodes/${name}`)).status.runtime).toMatchObject({name: 'containerd', available: true});
  await cluster.deploy('web', cluster.sleeper({replicas: 4, ports: [{container: 80}], command: ['sh', '-c', 'mkdir -p /www; echo web > /www/name; exec httpd -f -p 80 -h /www']}));
  const web = await untilRunning('web', 4);
  expect(new Set(web.map(({spec}) => spec.node)).size).toBe(2);
  for (const from of web) for (const host of [...web.map(({status}) => status.ip ?? ''), 'web']) expect(await reads(from, host)).toBe('web');
}, 180_000);

it('an agent that is killed finds what ran, which was reached all the while', async () => {
  const web = await untilRunning('web', 4);
  const [member] = cluster.members;
  const pidsOf = async () => (await runtimes.get(member!.name)!.list()).map(({id, pid}) => `${id} ${pid}`).toSorted();
  const before = await pidsOf();
  await member!.agent.kill();
  for (const from of web) expect(await reads(from, 'web')).toBe('web');
  member!.agent.launch();
  await cluster.untilReady(cluster.members);
  expect(await pidsOf()).toEqual(before);
}, 180_000);

it('what must never run twice is stopped on a machine that hears nobody', async () => {
  await cluster.deploy('one', cluster.sleeper({replicas: 1, singleton: true, fencing: {lease: '5s'}}));
  const [one] = await untilRunning('one', 1);
  const member = cluster.member(one!.spec.node);
  const runtime = runtimes.get(member.name)!;
  member.cutOff('everything');
  try {
    await waitFor(async () => (await runtime.inspect(one!.name))?.state !== 'running', {what: 'the one that is cut off to be stopped', deadlineMs});
  } finally {
    member.heal();
  }
  await cluster.untilReady(cluster.members);
}, 180_000);
