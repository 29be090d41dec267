/** The same over Swarm, on the same three engines, with names as ours have and without. */
import {setTimeout as pause} from 'node:timers/promises';
import type Docker from 'dockerode';
import type {TestCluster} from '../../apps/agent/test/cluster.ts';
import {median, nowMs, spread, type Row} from '../measure.ts';
import {ourTime} from './deploy.ts';

const PORT = 2377;

export async function benchSwarm(cluster: TestCluster, rounds: number): Promise<readonly Row[]> {
  return withSwarm(cluster, async (leader) => {
    // As `docker stack deploy` makes one for each stack: tasks find other services by name, as ours do.
    const {id: network} = await leader.createNetwork({Name: 'bench-overlay', Driver: 'overlay'});
    const rows: Row[] = [];
    for (const replicas of [6, 30]) {
      const ours: number[] = [];
      const named: number[] = [];
      const plain: number[] = [];
      for (let round = -1; round < rounds; round++) {
        // The first is a warm-up, kept where no index is.
        ours[round] = await ourTime(cluster, replicas, 100 + round);
        named[round] = await serviceTime(cluster, leader, {name: `named-${replicas}-${round + 1}`, replicas, networks: [{Target: network}]});
        plain[round] = await serviceTime(cluster, leader, {name: `plain-${replicas}-${round + 1}`, replicas, networks: []});
      }
      const row = (what: string, swarm: readonly number[]): Omit<Row, 'must' | 'goal'> => ({what: `${replicas} replicas over 3 machines: times as fast as Swarm${what}`, value: median([...swarm]) / median([...ours]), unit: 'x', better: 'higher', detail: `${spread([...ours])} against ${spread([...swarm])}`});
      rows.push({...row(', `docker service create --network` (both reach others by name)', named), must: 1, goal: 1.5}, row(' without a network of its own (no names; ours has them)', plain));
    }
    return rows;
  });
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

interface Service {
  readonly name: string;
  readonly replicas: number;
  readonly networks: readonly {readonly Target: string}[];
}

async function serviceTime({image, members}: TestCluster, leader: Docker, {name, replicas, networks}: Service): Promise<number> {
  const from = nowMs();
  const service = await leader.createService({
    Name: name,
    TaskTemplate: {ContainerSpec: {Image: image, Command: ['sleep', '3600'], StopSignal: 'SIGKILL'}, Resources: {Limits: {NanoCPUs: 5e8, MemoryBytes: 32 << 20}}, Networks: [...networks]},
    Mode: {Replicated: {Replicas: replicas}},
  });
  await until(async () => {
    const tasks = (await leader.listTasks({filters: {service: [name]}})) as readonly {readonly Status?: {readonly State?: string}}[];
    return tasks.filter((task) => task.Status?.State === 'running').length >= replicas;
  }, 10);
  const elapsed = nowMs() - from;
  await service.remove();
  await until(async () => {
    const left = await Promise.all(members.map(({machine}) => machine.engine.docker.listContainers({all: true, filters: {label: [`com.docker.swarm.service.name=${name}`]}})));
    return left.every((containers) => containers.length === 0);
  }, 100);
  return elapsed;
}

async function until(condition: () => Promise<boolean>, everyMs: number): Promise<void> {
  for (const deadline = nowMs() + 120_000; nowMs() < deadline; await pause(everyMs)) if (await condition()) return;
  throw new Error('Swarm was not done within 2 minutes');
}
