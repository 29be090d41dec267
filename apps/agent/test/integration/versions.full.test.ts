/**
 * This code beside that of the commit before it, in every way that an upgrade mixes them: managers of one with agents of the
 * other, and managers of both with each other. One cluster is upgraded step by step; what it does at each step, it does always.
 */
import {execFileSync, spawnSync} from 'node:child_process';
import {readFileSync} from 'node:fs';
import {join} from 'node:path';
import {Deployment} from '@hivemind/deployment/model';
import {removeTempDir, tempDir, waitFor} from '@hivemind/testkit';
import * as z from 'zod';
import {startCluster, type TestCluster} from '../cluster.ts';
import type {EngineContainer} from '../engines.ts';
import {programEnv} from '../program.ts';
import {previousOne, thisOne, type Checkout} from '../versions/checkout.ts';

/** Those that speak most with each other are apart: both speak with the other kind. */
const upgradedFirst = ['deployment', 'scheduler', 'health', 'membership', 'security'];

const dir = tempDir('previous');
const previous = previousOne(join(dir, 'source'));
/** As what each program is started next: a service by its name, the agent of a machine by its machine's. */
const runsAs = new Map<string, Checkout>();
const lives = (containers: readonly EngineContainer[]) => containers.map(({id, runtimeId, pid, startedAt}) => ({id, runtimeId, pid, startedAt}));
/** The services that the other one has. */
let known: ReadonlySet<string>;
let cluster: TestCluster;
let steady: ReturnType<typeof lives>;

/** What a tree has, as Node finds it from within. */
function inTree({dir: cwd}: Checkout, code: string): unknown {
  return JSON.parse(execFileSync(process.execPath, ['--input-type=module', '-e', `process.stdout.write(JSON.stringify(await (${code})()))`], {cwd: join(cwd, 'apps/cli'), env: programEnv, encoding: 'utf8'}));
}

beforeAll(async () => {
  // All of it is loaded on the way, so that it is compiled once and not by ten programs at once.
  known = new Set(z.array(z.string()).parse(inTree(previous, `async () => (await import('@hivemind/standalone')) && (await import('@hivemind/service-host')).serviceNames`)));
  cluster = await startCluster({
    machines: 2,
    services: 'apart',
    // A service that was not there then can only be this one's.
    hivemind: (program) => {
      const isAgent = ['m1', 'm2'].includes(program);
      const from = runsAs.get(program) ?? (program === 'm1' || (!isAgent && known.has(program)) ? previous : thisOne);
      return isAgent ? from.agent : from.hivemind;
    },
  });
}, 120_000);
afterAll(async () => {
  await cluster?.stop();
  await removeTempDir(dir);
}, 30_000);

/** In place: what serves is told to stop, and its successor takes over. */
async function upgrade(names: readonly string[]): Promise<void> {
  await Promise.all(names.map(async (name) => {
    runsAs.set(name, thisOne);
    const program = cluster.control.programs.get(name)!;
    await program.stop();
    await program.start();
  }));
  await cluster.untilReady(cluster.members);
}

/** The whole life of an app, on both machines. */
async function live(name: string): Promise<void> {
  const script = (word: string) => ({command: ['sh', '-c', `echo ${word}; exec sleep 100000`], update: {maxSurge: 4, healthyFor: '0s'}});
  const {api} = cluster;
  await cluster.deploy(name, cluster.sleeper({replicas: 4, ...script('one')}));
  await cluster.untilRunning(name, 4);
  expect((await cluster.untilContainers(name, 4)).map(({node}) => node).toSorted()).toEqual(['m1', 'm1', 'm2', 'm2']);
  await cluster.scale(name, 2);
  await cluster.untilContainers(name, 2);
  await api.ask('PATCH', `/apps/${name}`, {spec: {replicas: 4, ...script('two')}});
  await waitFor(async () => {
    const {spec: {revision}, status} = Deployment.parse(await api.ask('GET', `/deployments/${name}`));
    if (revision === 2 && status.phase === 'completed') return true;
    throw new Error(JSON.stringify(status));
  }, {what: `the rollout of ${name}`, deadlineMs: 30_000});
  await cluster.untilRunning(name, 4);
  await waitFor(async () => (await logs(name)).join() === 'two,two,two,two', {what: 'the logs of all machines'});
  expect((await cluster.records(name)).map(({spec: {node}, status: {phase}}) => `${node} ${phase}`).toSorted()).toEqual(['m1 running', 'm1 running', 'm2 running', 'm2 running']);
  await cluster.untilReady(cluster.members);
  await cluster.remove(name);
  await cluster.untilContainers(name, 0);
}

/** Of every container, through gateway, managers and agents. */
async function logs(name: string): Promise<readonly string[]> {
  const text = z.string().parse(await cluster.api.ask('GET', `/apps/${name}/logs?format=text`));
  return text.trim().split('\n').map((line) => line.split('| ')[1] ?? line);
}

const running = async () => lives(await cluster.untilContainers('steady', 2));

describe(`with ${previous.what}`, () => {
  it('runs each from its own tree, and nothing of the other', () => {
    const resolved = z.record(z.string(), z.string()).parse(inTree(previous, `async () => {
      const {readdirSync} = await import('node:fs');
      const names = readdirSync('../../node_modules/@hivemind').map((name) => '@hivemind/' + name);
      return Object.fromEntries(names.flatMap((name) => { try { return [[name, import.meta.resolve(name)]]; } catch { return []; } }));
    }`));
    expect(Object.keys(resolved)).toEqual(expect.arrayContaining(['@hivemind/contracts', '@hivemind/bus', '@hivemind/agent', '@hivemind/service-host']));
    for (const url of Object.values(resolved)) expect(url.startsWith(`file://${previous.dir}/`)).toBe(true);
    // The guard of each program: that of one tree does not run the source of the other.
    for (const [guard, source] of [[previous, thisOne], [thisOne, previous]] as const) {
      const {status, stderr} = spawnSync(process.execPath, [...guard.hivemind.slice(0, -1), source.hivemind.at(-1)!, '--version'], {env: programEnv, encoding: 'utf8'});
      expect([status === 0, stderr]).toEqual([false, expect.stringContaining(`is not of ${guard.dir}`)]);
    }
    for (const [name, {pid}] of cluster.control.programs) expect([name, commandLine(pid).includes(previous.dir)]).toEqual([name, known.has(name)]);
    expect(cluster.members.map(({agent: {pid}}) => commandLine(pid).includes(previous.dir))).toEqual([true, false]);
  });

  it('managers of before run apps on agents of both', async () => {
    await cluster.deploy('steady', cluster.sleeper({replicas: 2}));
    await cluster.untilRunning('steady', 2);
    steady = await running();
    await live('before');
  }, 60_000);

  it('managers of both run apps on agents of both', async () => {
    await upgrade(upgradedFirst);
    await live('mixed');
    expect(await running()).toEqual(steady);
  }, 60_000);

  it('managers of now run apps on agents of both', async () => {
    await upgrade([...cluster.control.programs.keys()].filter((name) => !upgradedFirst.includes(name)));
    for (const {pid} of cluster.control.programs.values()) expect(commandLine(pid)).not.toContain(previous.dir);
    await live('now');
    expect(await running()).toEqual(steady);
  }, 60_000);

  it('an agent of now takes over from one of before, and touches nothing', async () => {
    const {agent} = cluster.member('m1');
    runsAs.set('m1', thisOne);
    await agent.stop();
    await agent.start();
    await cluster.untilReady(cluster.members);
    expect(commandLine(agent.pid)).not.toContain(previous.dir);
    await live('after');
    expect(await running()).toEqual(steady);
  }, 60_000);
});

function commandLine(pid: number): string {
  return readFileSync(`/proc/${pid}/cmdline`, 'utf8').replaceAll('\0', ' ');
}
