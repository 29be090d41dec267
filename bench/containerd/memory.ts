/** What a machine's agent and its sidecar take beside containerd and its shims: a node that joined, its control plane in another process. */
import {type ChildProcess, execFileSync, spawn} from 'node:child_process';
import {once} from 'node:events';
import {join} from 'node:path';
import {setTimeout as pause} from 'node:timers/promises';
import {connectSidecar} from '@hivemind/sidecar/client';
import {type Containerd, freePort, waitFor} from '@hivemind/testkit';
import * as z from 'zod';
import {alone, proportional} from '../cluster/memory.ts';
import {entry, newDataDir, removeDataDir, startHivemind, untilRunning} from '../hivemind.ts';
import {median, type Row} from '../measure.ts';

/** What the start left is collected when V8 has had nothing to do for 8 s. */
const REST_MS = 12_000;
const SAMPLES = 5;
const EVERY_MS = 4_000;

/** @param image that containerd has */
export async function benchAgentMemory({socketPath}: Containerd, image: string, containers: number): Promise<Row> {
  const dataDir = newDataDir();
  const control = await startHivemind({network: 'auto', flags: ['--no-agent', '--advertise', '127.0.0.1', '--bus-port', String(await freePort())]});
  let agent: ChildProcess | undefined;
  try {
    const {token} = z.object({token: z.string()}).parse((await control.call('POST', '/api/v1/nodes/join-tokens', {uses: 1})).json);
    const words = ['--join', control.url, '--token', token, '--name', 'n1', '--advertise', '127.0.0.1', '--gossip-port', String(await freePort()), '--data-dir', dataDir];
    agent = spawn(process.execPath, [entry, 'agent', ...words, '--runtime', 'containerd', '--containerd-socket', socketPath], {stdio: 'ignore', env: ownEnvironment()});
    const {pid} = agent;
    using sidecar = connectSidecar(join(dataDir, 'sidecar.sock'));
    const pids = [pid ?? 0, (await waitFor(() => sidecar.describe(), {what: 'the sidecar', deadlineMs: 30_000})).pid];
    await waitFor(async () => JSON.stringify((await control.call('GET', '/api/v1/nodes/n1')).json).includes('"phase":"ready"'), {what: 'the node to be ready', deadlineMs: 30_000});
    const empty = alone(pids) / 1e6;
    const spec = {image, command: ['sleep', '3600'], replicas: containers, resources: {cpu: 0.01, memory: '4Mi'}, stop: {signal: 'SIGKILL', grace: '1s'}};
    const {status, json} = await control.call('POST', '/api/v1/apps', {name: 'held', spec});
    if (status !== 201) throw new Error(`POST /apps answered ${status}: ${JSON.stringify(json)}`);
    await untilRunning(control, 'held', containers, 20);
    await pause(REST_MS);
    const samples: {readonly both: number; readonly each: readonly number[]; readonly shared: number}[] = [];
    while (samples.length < SAMPLES) {
      await pause(EVERY_MS);
      samples.push({both: alone(pids) / 1e6, each: pids.map((one) => alone([one]) / 1e6), shared: pids.reduce((sum, one) => sum + proportional(one), 0) / 1e6});
    }
    const of = (value: (sample: (typeof samples)[number]) => number): string => median(samples.map(value)).toFixed(0);
    return {
      what: `agent + sidecar with ${containers} containers, beside containerd and shims: memory (PSS, as where no other process shares the node program)`, value: median(samples.map(({both}) => both)), unit: 'MB', better: 'lower', must: 100, goal: 60,
      detail: `at rest, samples 4 s apart: ${samples.map(({both}) => both.toFixed(0)).join(', ')} MB; ${empty.toFixed(0)} MB before them; the agent by itself ${of(({each}) => each[0] ?? 0)} MB, the sidecar ${of(({each}) => each[1] ?? 0)} MB; beside other node processes ${of(({shared}) => shared)} MB`,
    };
  } finally {
    if (agent && agent.exitCode === null && agent.signalCode === null) {
      const ended = once(agent, 'exit');
      agent.kill('SIGTERM');
      await ended;
    }
    await control.stop();
    // Containers, and the sidecar, which outlives its agent.
    for (const dir of [dataDir, control.dataDir]) {
      execFileSync(process.execPath, [entry, 'down', '--data-dir', dir, '--server', 'http://127.0.0.1:9', '--containerd-socket', socketPath], {stdio: 'ignore'});
      removeDataDir(dir);
    }
  }
}

/** Authorities that a shell adds for every Node program, a megabyte or two in each, are not Hivemind's. */
function ownEnvironment(): NodeJS.ProcessEnv {
  const {NODE_EXTRA_CA_CERTS: _authorities, ...env} = process.env;
  return env;
}
