/** The standalone process itself: how fast it is ready, how much memory it holds, how fast it heals. */
import {readFileSync} from 'node:fs';
import type Docker from 'dockerode';
import {removeAll, type BenchEngine} from './engine.ts';
import {newDataDir, removeDataDir, startHivemind, untilRunning, type Hivemind} from './hivemind.ts';
import {median, nowMs, spread, type Row} from './measure.ts';

export interface StandaloneOptions {
  readonly engine: BenchEngine;
  readonly image: string;
  readonly rounds: number;
}

async function deploySleepers(hivemind: Hivemind, image: string, name: string, replicas: number): Promise<void> {
  const {status, json} = await hivemind.call('POST', '/api/v1/apps', {name, spec: {image, command: ['sleep', '3600'], replicas, stop: {signal: 'SIGKILL'}}});
  if (status !== 201) throw new Error(`POST /apps answered ${status}: ${JSON.stringify(json)}`);
  await untilRunning(hivemind, name, replicas, 50);
}

/** Process start → /readyz, with 100 apps, 300 revisions, and 30 running containers to be found again. */
export async function benchStart({engine, image, rounds}: StandaloneOptions): Promise<readonly Row[]> {
  const dataDir = newDataDir();
  try {
    const first = await startHivemind({dockerHost: engine.url, dataDir});
    await deploySleepers(first, image, 'sleepers', 30);
    for (let app = 0; app < 99; app++) {
      for (const tag of ['a', 'b', 'c']) await first.call('PUT', `/api/v1/apps/idle-${app}`, {name: `idle-${app}`, spec: {image: `idle:${tag}`, replicas: 0}});
    }
    await first.stop();
    const times: number[] = [];
    for (let round = 0; round < rounds; round++) {
      const hivemind = await startHivemind({dockerHost: engine.url, dataDir});
      times.push(hivemind.readyMs);
      await hivemind.stop();
    }
    return [{what: 'process start → /readyz, 100 apps and 30 containers in the data dir', value: median(times), unit: 'ms', better: 'lower', must: 800, goal: 300, detail: spread(times)}];
  } finally {
    await removeAll(engine.docker, 'hivemind.app');
    removeDataDir(dataDir);
  }
}

/** Proportional set size of the process with all its threads, MB, once it has come to rest. */
export async function benchMemory({engine, image}: StandaloneOptions): Promise<readonly Row[]> {
  const hivemind = await startHivemind({dockerHost: engine.url});
  try {
    await deploySleepers(hivemind, image, 'sleepers', 30);
    const samples: number[] = [];
    for (let sample = 0; sample < 5; sample++) {
      await new Promise((resolve) => setTimeout(resolve, 4000));
      samples.push(pss(hivemind.pid));
    }
    return [{what: 'resident memory (PSS), standalone, 30 containers', value: median(samples), unit: 'MB', better: 'lower', must: 130, goal: 75, detail: `samples 4 s apart: ${samples.map((value) => value.toFixed(0)).join(', ')} MB`}];
  } finally {
    await hivemind.stop();
    await removeAll(engine.docker, 'hivemind.app');
    removeDataDir(hivemind.dataDir);
  }
}

function pss(pid: number): number {
  const match = /^Pss:\s+(\d+) kB/m.exec(readFileSync(`/proc/${pid}/smaps_rollup`, 'utf8'));
  return Number(match?.[1]) / 1024;
}

/** PID 1 of a container killed → the engine says that its replacement runs. Each container is killed for the first time. */
export async function benchRestart({engine, image, rounds}: StandaloneOptions): Promise<readonly Row[]> {
  const hivemind = await startHivemind({dockerHost: engine.url});
  try {
    const times: number[] = [];
    const floor: number[] = [];
    await deploySleepers(hivemind, image, 'victims', rounds);
    const victims = await engine.docker.listContainers({filters: {label: ['hivemind.app=victims']}});
    for (const victim of victims) {
      times.push(await killAndWait(engine.docker, victim.Id));
      floor.push(await bareRestart(engine.docker, image));
    }
    return [{what: 'PID 1 killed → its replacement running (first time)', value: median(times), unit: 'ms', better: 'lower', must: 1000, goal: 400, detail: `${spread(times)}; a bare engine start takes ${spread(floor)}`}];
  } finally {
    await hivemind.stop();
    await removeAll(engine.docker, 'hivemind.app');
    removeDataDir(hivemind.dataDir);
  }
}

async function killAndWait(docker: Docker, id: string): Promise<number> {
  const {State, Config} = await docker.getContainer(id).inspect();
  const ours = Config.Labels['hivemind.container'];
  const from = nowMs();
  process.kill(State.Pid, 'SIGKILL');
  for (const deadline = from + 30_000; nowMs() < deadline; ) {
    const running = await docker.listContainers({filters: {label: [`hivemind.container=${ours}`]}});
    const pids = await Promise.all(running.map(async (found) => (await docker.getContainer(found.Id).inspect()).State));
    if (pids.some((state) => state.Running && state.Pid !== State.Pid && state.Pid > 0)) return nowMs() - from;
    await new Promise((resolve) => setTimeout(resolve, 2));
  }
  throw new Error('the container was not replaced within 30 s');
}

async function bareRestart(docker: Docker, image: string): Promise<number> {
  const container = await docker.createContainer({Image: image, Cmd: ['sleep', '3600']});
  const from = nowMs();
  await container.start();
  const elapsed = nowMs() - from;
  await container.remove({force: true});
  return elapsed;
}
