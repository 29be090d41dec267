/**
 * Many machines: `node bench/nodes/run.ts --nodes 1000 --containers 20000 --rest 30`. Managers in one process, NATS and Redis as
 * in production, machines simulated in this process. Tells how long until all are registered, until all containers are
 * reported running, and what the control plane takes at rest. Exit status 1 where a bound (`must`) is not met.
 */
import {fork, type ChildProcess} from 'node:child_process';
import {once} from 'node:events';
import {mkdirSync, mkdtempSync, readFileSync, rmSync} from 'node:fs';
import {join} from 'node:path';
import {setTimeout as pause} from 'node:timers/promises';
import {parseArgs} from 'node:util';
import {connectNatsBus} from '@hivemind/bus';
import {startNats, startRedis, waitFor} from '@hivemind/testkit';
import {pino} from 'pino';
import * as z from 'zod';
import {nowMs, timed} from '../measure.ts';
import {startMachine, type SimulatedMachine} from './agents.ts';

const {values} = parseArgs({options: {nodes: {type: 'string', default: '1000'}, containers: {type: 'string', default: '20000'}, rest: {type: 'string', default: '30'}}});
const [nodes, containers, rest] = [Number(values.nodes), Number(values.containers), Number(values.rest)];
const logger = pino({level: process.env['LOG'] ?? 'error'}, pino.destination(2));
const cluster = 'bench-cluster';
/** Machines that start at once. */
const AT_ONCE = 50;
const DEADLINE_MS = 600_000;
const APPS = 20;
const Ready = z.object({url: z.string()});
const Replicas = z.object({status: z.object({replicas: z.object({ready: z.number()})})});

/** Seconds of processor time that a process has used. */
function cpuSeconds(pid: number): number {
  const fields = readFileSync(`/proc/${pid}/stat`, 'latin1').split(') ')[1]?.split(' ') ?? [];
  return (Number(fields[11]) + Number(fields[12])) / 100;
}

async function startControl(nats: string, redis: string, dataDir: string): Promise<{readonly child: ChildProcess; readonly url: string}> {
  const child = fork(join(import.meta.dirname, 'control.ts'), [nats, redis, cluster, dataDir], {stdio: ['ignore', 'inherit', 'inherit', 'ipc']});
  const [message] = await Promise.race([once(child, 'message'), once(child, 'exit').then(() => Promise.reject(new Error('the managers did not start')))]);
  return {child, url: Ready.parse(message).url};
}

async function deploy(url: string): Promise<void> {
  const apps = Math.min(APPS, containers);
  const names = Array.from({length: apps}, (_, index) => `app-${index}`);
  const share = (index: number): number => Math.floor(containers / apps) + (index < containers % apps ? 1 : 0);
  await Promise.all(names.map(async (name, index) => {
    const answer = await fetch(`${url}/api/v1/apps`, {method: 'POST', headers: {'content-type': 'application/json'}, body: JSON.stringify({name, spec: {image: 'busybox', command: ['sleep', '3600'], replicas: share(index), resources: {cpu: 0.01, memory: '16Mi'}}})});
    if (answer.status !== 201) throw new Error(`POST /apps answered ${answer.status}: ${await answer.text()}`);
  }));
  await waitFor(async () => {
    const ready = await Promise.all(names.map(async (name) => Replicas.parse(await (await fetch(`${url}/api/v1/apps/${name}`)).json()).status.replicas.ready));
    return ready.reduce((sum, count) => sum + count, 0) === containers;
  }, {what: `${containers} containers to run`, deadlineMs: DEADLINE_MS, intervalMs: 250});
}

const scratch = mkdtempSync('/dev/shm/hivemind-bench-');
mkdirSync(join(scratch, 'control'), {mode: 0o700});
const [nats, redis] = await Promise.all([startNats(), startRedis()]);
const machines: SimulatedMachine[] = [];
let control: ChildProcess | undefined;
let missed = false;
const tell = (what: string, value: string, met = true): void => {
  missed ||= !met;
  console.log(`${what.padEnd(56)} ${value}${met ? '' : '  (not met)'}`);
};
try {
  const {child, url} = await startControl(nats.url, redis.url, join(scratch, 'control'));
  control = child;
  const bus = await connectNatsBus({servers: nats.url, name: 'bench-machines', logger});
  const registering = await timed(async () => {
    for (let next = 0; next < nodes; next += AT_ONCE) {
      const names = Array.from({length: Math.min(AT_ONCE, nodes - next)}, (_, index) => `n${next + index}`);
      machines.push(...(await Promise.all(names.map((name) => startMachine(name, {bus, cluster, dataDir: scratch, logger})))));
    }
  });
  tell(`${nodes} machines registered`, `${(registering / 1000).toFixed(1)} s`);
  const deploying = await timed(() => deploy(url));
  tell(`${containers} containers deployed, all reported running`, `${(deploying / 1000).toFixed(1)} s`, deploying <= 60_000);
  if (rest > 0) {
    await pause(5_000);
    const parts = {managers: child.pid ?? 0, redis: redis.pid, nats: nats.pid};
    const before = Object.values(parts).map(cpuSeconds);
    const from = nowMs();
    await pause(rest * 1000);
    const seconds = (nowMs() - from) / 1000;
    const cores = Object.values(parts).map((pid, index) => (cpuSeconds(pid) - (before[index] ?? 0)) / seconds);
    const total = cores.reduce((sum, each) => sum + each, 0);
    tell('at rest: managers, Redis and NATS together', `${total.toFixed(2)} cores (${Object.keys(parts).map((name, index) => `${name} ${cores[index]?.toFixed(2)}`).join(', ')})`, total <= 1);
  }
  await Promise.all(machines.map((machine) => machine.stop()));
  await bus.close();
} finally {
  if (control?.connected === true) {
    control.disconnect();
    await once(control, 'exit');
  }
  await Promise.all([nats.stop(), redis.stop()]);
  rmSync(scratch, {recursive: true, force: true});
}
process.exit(missed ? 1 : 0);
