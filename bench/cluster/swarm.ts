/** The same over Swarm, on the same three engines: every one a manager's equal, tasks without a network of their own. */
import {setTimeout as pause} from 'node:timers/promises';
import type Docker from 'dockerode';
import type {TestCluster} from '../../apps/agent/test/cluster.ts';
import {median, nowMs, spread, type Row} from '../measure.ts';
import {ourTime} from './deploy.ts';

const PORT = 2377;

export async function benchSwarm(cluster: TestCluster, rounds: number): Promise<readonly Row[]> {
  const rows: Row[] = [];
  for (const replicas of [6, 30]) {
    const ours: number[] = [];
    for (let round = -1; round < rounds; round++) ours[round] = await ourTime(cluster, replicas, 100 + round);
    const swarm = await withSwarm(cluster, (leader) => serviceTimes(cluster, leader, replicas, rounds));
    rows.push({what: `${replicas} replicas over 3 machines: times as fast as Swarm, \`docker service create\``, value: median(swarm) / median([...ours]), unit: 'x', better: 'higher', must: 1, goal: 1.5, detail: `${spread([...ours])} against ${spread(swarm)}`});
  }
  return rows;
}

async function withSwarm<T>({members}: TestCluster, work: (leader: Docker) => Promise<T>): Promise<T> {
  const [first, ...others] = members.map(({machine}) => machine);
  if (!first) throw new TypeError('a cluster has machines');
  const at = ({address}: {readonly address: string}) => ({ListenAddr: `${address}:${PORT}`, AdvertiseAddr: address, DataPathAddr: address});
  const leader = first.engine.docker;
  await leader.swarmInit(at(first));
  try {
    const {JoinTokens} = (await leader.swarmInspect()) as {readonly JoinTokens: {readonly Worker: string}};
    for (const machine of others) await machine.engine.docker.swarmJoin({...at(machine), RemoteAddrs: [`${first.address}:${PORT}`], JoinToken: JoinTokens.Worker});
    return await work(leader);
  } finally {
    for (const {machine} of members.toReversed()) await machine.engine.docker.swarmLeave({force: true}).catch(() => undefined);
  }
}

async function serviceTimes({image, members}: TestCluster, leader: Docker, replicas: number, rounds: number): Promise<readonly number[]> {
  const times: number[] = [];
  for (let round = -1; round < rounds; round++) {
    const name = `swarm-${replicas}-${round + 1}`;
    const from = nowMs();
    const service = await leader.createService({
      Name: name,
      TaskTemplate: {ContainerSpec: {Image: image, Command: ['sleep', '3600'], StopSignal: 'SIGKILL'}, Resources: {Limits: {NanoCPUs: 5e8, MemoryBytes: 32 << 20}}},
      Mode: {Replicated: {Replicas: replicas}},
    });
    await until(async () => {
      const tasks = (await leader.listTasks({filters: {service: [name]}})) as readonly {readonly Status?: {readonly State?: string}}[];
      return tasks.filter((task) => task.Status?.State === 'running').length >= replicas;
    }, 10);
    // The first is a warm-up.
    if (round >= 0) times.push(nowMs() - from);
    await service.remove();
    await until(async () => {
      const left = await Promise.all(members.map(({machine}) => machine.engine.docker.listContainers({all: true, filters: {label: [`com.docker.swarm.service.name=${name}`]}})));
      return left.every((containers) => containers.length === 0);
    }, 100);
  }
  return times;
}

async function until(condition: () => Promise<boolean>, everyMs: number): Promise<void> {
  for (const deadline = nowMs() + 120_000; nowMs() < deadline; await pause(everyMs)) if (await condition()) return;
  throw new Error('Swarm was not done within 2 minutes');
}
