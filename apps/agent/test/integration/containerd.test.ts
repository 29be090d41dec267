/** A machine whose containers are in containerd: an agent as a process, its sidecar, and what outlives which. */
import {type ChildProcess, execFile, spawn} from 'node:child_process';
import {randomBytes} from 'node:crypto';
import {once} from 'node:events';
import {createWriteStream, readdirSync, readFileSync} from 'node:fs';
import {basename, join, resolve} from 'node:path';
import {pipeline} from 'node:stream/promises';
import {promisify} from 'node:util';
import {type Bus, connectNatsBus, serve} from '@hivemind/bus';
import {createContainerdRuntime} from '@hivemind/container/node';
import {ContainerRecord, type NodeReport} from '@hivemind/contracts';
import * as subjects from '@hivemind/contracts/subjects';
import type {Runtime} from '@hivemind/runtime';
import {connectSidecar} from '@hivemind/sidecar/client';
import {busyboxImage, type Containerd, dockerEngine, freePort, removeTempDir, startContainerd, startNats, tempDir, waitFor} from '@hivemind/testkit';
import {pino} from 'pino';

const logger = pino({level: process.env.LOG ?? 'silent'});
const source = resolve(import.meta.dirname, '../../src/index.ts');
const deadlineMs = 30_000;
// It takes as long as containerd is away.
const inFull = process.env.HIVEMIND_TEST_FULL ? it : it.skip;
const stops: (() => Promise<unknown>)[] = [];
let containerd: Containerd;
let runtime: Runtime;
let dataDir: string;
let agent: ChildProcess | undefined;
let sidecar: number | undefined;
let words: readonly string[];
let beats = 0;
let report: NodeReport | undefined;
let assigned: readonly ContainerRecord[] = [];

const record = (id: string, command: readonly string[], template: object = {}): ContainerRecord => ContainerRecord.parse({id, namespace: 'it', app: id.split('-')[0], appUid: 'u', revision: 1, node: 'n1', generation: 1, ports: [], mode: 'replicated', createdAt: '2026-01-01T00:00:00Z', template: {image: 'hivemind-test/busybox:1', command, stop: {grace: '1s'}, ...template}});
const counting = ['sh', '-c', 'n=0; while true; do n=$((n+1)); echo $n; sleep 0.05; done'];

beforeAll(async () => {
  const docker = await dockerEngine();
  await busyboxImage(docker);
  containerd = await startContainerd();
  stops.push(() => containerd.stop());
  dataDir = tempDir('cd-agent');
  stops.push(() => removeTempDir(dataDir));
  const archive = join(containerd.dir, 'busybox.tar');
  await pipeline(await docker.getImage('hivemind-test/busybox:1').get(), createWriteStream(archive));
  containerd.ctr('images', 'import', archive);
  const cluster = basename(containerd.dir);
  const driver = {root: join(containerd.dir, 'hivemind'), cgroupParent: containerd.cgroupParent};
  runtime = await createContainerdRuntime({...driver, socketPath: containerd.socketPath, cluster, node: 'n1', logger, now: Date.now});
  stops.push(() => runtime.close(), () => runtime.pruneNetworks());
  const nats = await startNats();
  const bus: Bus = await connectNatsBus({servers: nats.url, name: 'test', logger});
  stops.push(() => nats.stop(), () => bus.close());
  const to = {node: 'n1'};
  let session = 0;
  await serve(bus, subjects.registerNode, to, async (asked) => {
    report = asked.report;
    return {cluster, session: ++session, heartbeatMs: 500};
  });
  await serve(bus, subjects.heartbeat, to, async (asked) => {
    report = asked.report ?? report;
    beats += 1;
    return {};
  });
  await serve(bus, subjects.getAssignment, to, async () => ({cluster, revision: {epoch: 'e', n: 1}, version: 1, containers: assigned.map(({id, generation}) => ({id, generation})), bodies: [...assigned], hold: false}));
  await serve(bus, subjects.getConfigs, to, async () => ({configs: [], missing: []}));
  await serve(bus, subjects.reportStatus, to, async () => ({}));
  await serve(bus, subjects.reportStrangers, to, async () => ({accepted: true}));
  const options = {dataDir, name: 'n1', cluster, address: '127.0.0.1', runtime: 'containerd', containerdSocket: containerd.socketPath, containerd: driver, ring: {gossipKey: randomBytes(32).toString('base64'), seeds: [], port: await freePort()}};
  words = ['--input-type=module', '--eval', `
    const {startAgent} = await import(${JSON.stringify(source)});
    const {connectNatsBus} = await import('@hivemind/bus');
    const {pino} = await import('pino');
    const logger = pino({level: ${JSON.stringify(logger.level)}});
    const bus = await connectNatsBus({servers: ${JSON.stringify(nats.url)}, name: 'n1', logger});
    await startAgent({...${JSON.stringify(options)}, bus, logger});
  `];
  assigned = [
    record('web-aaaaa', ['sh', '-c', 'while true; do echo hello | nc -l -p 80; done']),
    record('log-aaaaa', counting),
    record('one-aaaaa', ['sleep', '1d'], {init: true, singleton: true, fencing: {lease: '4s'}}),
  ];
}, 60_000);
afterAll(async () => {
  agent?.kill('SIGKILL');
  for (const known of [sidecar, await described().catch(() => undefined)]) {
    try {
      if (known !== undefined) process.kill(known, 'SIGKILL');
    } catch {
      // It has ended.
    }
  }
  for (const {runtimeId} of await runtime.list()) await runtime.remove(runtimeId);
  for (const stop of stops.toReversed()) await stop();
}, 60_000);

const launch = (): void => {
  // The kernel ends it with this process, however that happens.
  agent = spawn('setpriv', ['--pdeathsig', 'KILL', '--', process.execPath, ...words], {cwd: resolve(import.meta.dirname, '../..'), env: {...process.env, NODE_OPTIONS: ''}, stdio: ['ignore', 'inherit', 'inherit']});
};
const killAgent = async (): Promise<void> => {
  const ended = once(agent!, 'exit');
  agent!.kill('SIGKILL');
  await ended;
};
const described = async (): Promise<number | undefined> => {
  using client = connectSidecar(join(dataDir, 'sidecar.sock'));
  return (await client.describe().catch(() => undefined))?.pid;
};
const runs = (id: string, other?: number) => waitFor(async () => {
  const found = await runtime.inspect(id);
  return found?.state === 'running' && found.pid !== other ? found : undefined;
}, {what: `${id} to run`, deadlineMs});
const lines = async (id: string): Promise<readonly string[]> => {
  const read = [];
  for await (const {line} of runtime.logs((await runtime.inspect(id))!.runtimeId, {follow: false}, AbortSignal.timeout(deadlineMs))) read.push(line);
  return read;
};
const beaten = (count: number) => {
  const until = beats + count;
  return waitFor(() => beats >= until, {what: `${count} heartbeats`, deadlineMs});
};
/** Of the processes that there are. */
const commandLines = (wanted: (pid: string) => boolean = () => true): readonly (readonly string[])[] => readdirSync('/proc').filter((name) => /^\d+$/.test(name)).flatMap((pid) => {
  try {
    return wanted(pid) ? [readFileSync(`/proc/${pid}/cmdline`, 'latin1').split('\0')] : [];
  } catch {
    return []; // It has ended.
  }
});
const ask = async (id: string, command: string): Promise<string> => {
  const session = await runtime.exec((await runtime.inspect(id))!.runtimeId, {command: ['sh', '-c', command], tty: false, stdin: false});
  let text = '';
  for await (const {data} of session.output) text += Buffer.from(data).toString();
  await session.exitCode;
  return text.trim();
};

it('runs what it is assigned, says what it uses, and its containers find each other', async () => {
  launch();
  await Promise.all(assigned.map(({id}) => runs(id)));
  await waitFor(() => report?.runtime.available === true, {what: 'the engine to be reported', deadlineMs});
  expect(report?.runtime.name).toBe('containerd');
  await waitFor(async () => (await ask('log-aaaaa', 'nc -w 1 web 80 </dev/null')) === 'hello', {what: 'web to answer by name', deadlineMs});
  sidecar = await waitFor(described, {what: 'a sidecar', deadlineMs});
}, 60_000);

it('a crash is followed by another start, and an agent that is killed finds its containers and their output', async () => {
  const web = await runs('web-aaaaa');
  process.kill(web.pid!, 'SIGKILL');
  await runs('web-aaaaa', web.pid);
  const before = await runs('log-aaaaa');
  await killAgent();
  launch();
  await beaten(2);
  const known = (await lines('log-aaaaa')).length;
  await waitFor(async () => (await lines('log-aaaaa')).length > known + 5, {what: 'more lines', deadlineMs});
  const all = await lines('log-aaaaa');
  expect(all).toEqual(all.map((_, at) => String(at + 1)));
  expect(await runs('log-aaaaa')).toMatchObject({pid: before.pid});
}, 60_000);

it('with the agent dead, the sidecar stops what must never run twice, and nothing else', async () => {
  await runs('one-aaaaa');
  await beaten(4);
  await killAgent();
  await waitFor(async () => (await runtime.inspect('one-aaaaa'))?.state === 'exited', {what: 'the singleton to be stopped', deadlineMs});
  expect(await runtime.inspect('log-aaaaa')).toMatchObject({state: 'running'});
}, 60_000);

it('with the agent dead, the sidecar reads what containers say, and leaves that to the next agent', async () => {
  const more = async (): Promise<void> => {
    const known = (await lines('log-aaaaa')).length;
    await waitFor(async () => (await lines('log-aaaaa')).length > known + 5, {what: 'more lines', deadlineMs});
  };
  await more();
  const read = await lines('log-aaaaa');
  expect(read.length).toBeGreaterThan(0);
  launch();
  await runs('one-aaaaa');
  await beaten(6);
  await more();
  const all = await lines('log-aaaaa');
  expect(all.slice(0, read.length)).toEqual(read);
  expect(all).toEqual(all.map((_, at) => String(at + 1)));
  await killAgent();
}, 60_000);

inFull('containerd gone for 10 s amid a deploy: what runs is not touched, what was being started comes up, once, and nothing else is left of it', async () => {
  const many = Array.from({length: 30}, (_, at) => record(`many-${at.toString(36).padStart(5, 'a')}`, ['sleep', '1d']));
  assigned = [...assigned, ...many];
  const all = assigned.map(({id}) => id).toSorted();
  launch();
  const before = await waitFor(async () => {
    const found = (await runtime.list()).filter(({state}) => state === 'running');
    return found.length >= 10 ? found : undefined;
  }, {what: 'some to run', deadlineMs, intervalMs: 10});
  await containerd.kill();
  expect(before.length).toBeLessThan(all.length);
  const gone = performance.now();
  await waitFor(() => report?.runtime.available === false && performance.now() - gone >= 10_000, {what: 'ten seconds, and the loss to be reported', deadlineMs});
  await containerd.start();
  const after = await waitFor(async () => {
    const found = await runtime.list();
    if (found.filter(({state}) => state === 'running').length === all.length) return found;
    throw new Error(JSON.stringify(found.filter(({state}) => state !== 'running').map(({id, state, error}) => ({id, state, error}))));
  }, {what: 'all to run', deadlineMs: 60_000});
  expect(after.map(({id}) => id).toSorted()).toEqual(all);
  for (const {id, pid} of before) expect(after.find((container) => container.id === id)).toMatchObject({pid});
  // One shim and one program each, and no other.
  await waitFor(() => commandLines().filter(([program = '', ...given]) => program.includes('containerd-shim') && given.includes(containerd.socketPath)).length === all.length, {what: 'as many shims as containers', deadlineMs});
  const sleepers = commandLines((pid) => readFileSync(`/proc/${pid}/cgroup`, 'latin1').includes(`${containerd.cgroupParent}/`)).filter(([program, time]) => program === 'sleep' && time === '1d');
  expect(sleepers).toHaveLength(many.length + 1);
  const lines = (text: string): readonly string[] => text.trim().split('\n');
  expect(lines(containerd.ctr('tasks', 'ls', '-q'))).toHaveLength(all.length);
  expect(lines(containerd.ctr('containers', 'ls', '-q'))).toHaveLength(all.length);
  expect(lines(containerd.ctr('snapshots', 'ls')).filter((line) => /\b(Active|View)\s*$/.test(line))).toHaveLength(all.length);
  await killAgent();
}, 150_000);

it('what is left is removed without a control plane, and without the data dir\'s own memory of its cluster', async () => {
  const cli = resolve(import.meta.dirname, '../../../cli/src/main.ts');
  const {stdout} = await promisify(execFile)(process.execPath, [cli, 'down', '--data-dir', dataDir, '--server', 'http://127.0.0.1:9', '--containerd-socket', containerd.socketPath], {env: {...process.env, NODE_OPTIONS: ''}});
  expect(stdout).toContain(`Removed ${assigned.length} containers`);
  expect(await runtime.list()).toEqual([]);
  expect(await described()).toBeUndefined();
}, 60_000);
