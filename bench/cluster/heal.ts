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

/** Bus, store and managers were away; from the start of their processes until a change is asked for, taken and done. */
export async function benchReturn(cluster: TestCluster, awayMs: number): Promise<readonly Row[]> {
  await cluster.deploy('back', sleeperOf(cluster.image, 6));
  await cluster.untilRunning('back', 6);
  await cluster.loseControl();
  await pause(awayMs);
  await Promise.all([cluster.control.nats.start(), cluster.control.redis.start()]);
  const from = nowMs();
  await cluster.control.start();
  const served = nowMs() - from;
  await cluster.scale('back', 7);
  await untilRunning(cluster, 'back', 7);
  const elapsed = nowMs() - from;
  await cluster.api.ask('DELETE', '/apps/back?wait=true');
  return [{what: `control plane back after ${awayMs / 1000} s away → a change asked for at once is done on the machines`, value: elapsed, unit: 'ms', better: 'lower', must: 5_000, goal: 1_000, detail: `its process served after ${Math.round(served)} ms of these`}];
}
