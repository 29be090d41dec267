/** How soon a cluster is whole again. */
import {setTimeout as pause} from 'node:timers/promises';
import type {TestCluster} from '../../apps/agent/test/cluster.ts';
import {median, nowMs, spread, type Row} from '../measure.ts';
import {sleeperOf} from './deploy.ts';

/** A machine's power goes → as many containers run on the others as before on all. */
export async function benchPower(cluster: TestCluster, rounds: number): Promise<readonly Row[]> {
  await cluster.deploy('power', sleeperOf(cluster.image, 6));
  await cluster.untilRunning('power', 6);
  const times: number[] = [];
  for (let round = 0; round < rounds; round++) {
    const member = await busiest(cluster);
    await settled(cluster);
    const from = nowMs();
    await member.powerOff();
    await untilRunning(cluster, 'power', 6);
    times.push(nowMs() - from);
    await member.powerOn();
    await cluster.untilReady([member]);
    await cluster.untilContainers('power', 6);
  }
  await cluster.api.ask('DELETE', '/apps/power?wait=true');
  return [{what: 'a machine of 3 powered off, default times → its containers run elsewhere', value: median(times), unit: 'ms', better: 'lower', must: 8_000, goal: 2_000, detail: spread(times)}];
}

/** As the engines say. Where it takes too long, what the brake says is shown. */
async function untilRunning(cluster: TestCluster, app: string, count: number): Promise<void> {
  for (const deadline = nowMs() + 60_000; nowMs() < deadline; await pause(10)) if ((await cluster.running(app)).length >= count) return;
  throw new Error(`${app} has not ${count} running containers after a minute: ${JSON.stringify(await cluster.api.ask('GET', '/nodes/brake'))}`);
}

async function busiest(cluster: TestCluster) {
  const running = await cluster.running('power');
  const load = (name: string): number => running.filter(({node}) => node === name).length;
  const [most] = cluster.members.toSorted((a, b) => load(b.name) - load(a.name));
  if (!most) throw new TypeError('a cluster has machines');
  return most;
}

/** A second machine within a minute would engage the brake: that is another promise than the one measured here. */
async function settled(cluster: TestCluster): Promise<void> {
  for (const deadline = nowMs() + 60_000; nowMs() < deadline; await pause(500)) {
    if ((await cluster.api.call('GET', '/nodes/brake')).status === 200 && (await cluster.containers('power')).every(({running}) => running)) return;
  }
}

export interface ReturnOptions {
  readonly awayMs: number;
  /** Each manager is a service of its own. */
  readonly apart: boolean;
}

/**
 * Bus, store and managers were away and are started at the same moment; until every machine is ready, a change that was asked for
 * at once is done on the machines, and the control plane says so. Nothing that ran may have been touched.
 */
export async function benchReturn(cluster: TestCluster, {awayMs, apart}: ReturnOptions): Promise<readonly Row[]> {
  const {control} = cluster;
  await cluster.deploy('back', sleeperOf(cluster.image, 6));
  await cluster.untilRunning('back', 6);
  const before = await cluster.running('back');
  await cluster.loseControl();
  await pause(awayMs);
  const from = nowMs();
  await Promise.all([control.nats.start(), control.redis.start(), control.start()]);
  const served = nowMs() - from;
  await cluster.scale('back', 7);
  await untilRunning(cluster, 'back', 7);
  const done = nowMs() - from;
  await Promise.all([cluster.untilReady(cluster.members), cluster.untilRunning('back', 7)]);
  const converged = nowMs() - from;
  const after = new Map((await cluster.running('back')).map(({id, pid}) => [id, pid]));
  const touched = before.filter(({id, pid}) => after.get(id) !== pid);
  if (touched.length > 0) throw new Error(`what ran well was touched: ${JSON.stringify(touched)}`);
  await cluster.api.ask('DELETE', '/apps/back?wait=true');
  return [{
    what: `control plane back after ${awayMs / 1000} s away, ${apart ? 'each manager a service' : 'managers in one process'} → machines ready, a change asked for at once done and reported`,
    value: converged, unit: 'ms', better: 'lower', must: 5_000, goal: 1_000,
    detail: `of these ${Math.round(served)} ms until ${apart ? `the last of ${control.programs.size} processes` : 'its process'} served, ${Math.round(done)} ms until the change was done`,
  }];
}
