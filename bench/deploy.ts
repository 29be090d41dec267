/** `POST /apps` → running, against the same containers made straight through the Engine API, and against Swarm. */
import type Docker from 'dockerode';
import {removeAll, type BenchEngine} from './engine.ts';
import {removeDataDir, startHivemind, untilGone, untilRunning, type Hivemind} from './hivemind.ts';
import {median, nowMs, spread, timed, type Row} from './measure.ts';

const spec = (image: string, replicas: number) => ({
  image,
  command: ['sleep', '3600'],
  replicas,
  resources: {cpu: 0.01, memory: '4Mi', cpuLimit: 0.5, memoryLimit: '32Mi'},
  stop: {signal: 'SIGKILL', grace: '1s'},
});

export interface DeployOptions {
  readonly engine: BenchEngine;
  readonly image: string;
  readonly rounds: number;
}

export async function benchDeploy({engine, image, rounds}: DeployOptions): Promise<readonly Row[]> {
  const hivemind = await startHivemind({dockerHost: engine.url});
  try {
    const body = await engineBody(hivemind, engine.docker, image);
    const many = await compare(hivemind, engine.docker, image, body, 30, rounds);
    const one = await compare(hivemind, engine.docker, image, body, 1, rounds * 3);
    const swarm = await swarmTimes(engine.docker, image, 30, Math.max(3, Math.floor(rounds / 2)));
    const times = (peer: readonly number[]): number => median(peer) / median(many.ours);
    return [
      {what: '30 replicas: POST /apps → running, against the bare Engine API', value: median(many.ratios), unit: 'x', better: 'lower', must: 1.15, goal: 1.05, detail: `${spread(many.ours)} against ${spread(many.bare)}; median of the rounds' ratios`},
      {what: '1 replica: the same', value: median(one.ratios), unit: 'x', better: 'lower', must: 1.15, goal: 1.05, detail: `${spread(one.ours)} against ${spread(one.bare)}; median of the rounds' ratios`},
      {what: '30 replicas: times as fast as Swarm, `docker service create --network` (both reach others by name)', value: times(swarm.named), unit: 'x', better: 'higher', must: 1, goal: 1.5, detail: `Swarm ${spread(swarm.named)}`},
      {what: '30 replicas: times as fast as Swarm without a network of its own (no names; ours has them)', value: times(swarm.plain), unit: 'x', better: 'higher', detail: `Swarm ${spread(swarm.plain)}`},
    ];
  } finally {
    await hivemind.stop();
    await removeAll(engine.docker);
    removeDataDir(hivemind.dataDir);
  }
}

/** How Hivemind asks the engine for such a container: read back from one that it made. */
async function engineBody(hivemind: Hivemind, docker: Docker, image: string): Promise<Docker.ContainerCreateOptions> {
  await deploy(hivemind, 'sample', image, 1, 20);
  const [sample] = await docker.listContainers({filters: {label: ['hivemind.app=sample']}});
  if (!sample) throw new Error('the sample container is not there');
  const {Config, HostConfig, NetworkSettings} = await docker.getContainer(sample.Id).inspect();
  const networks = Object.fromEntries(Object.entries(NetworkSettings.Networks).map(([name, endpoint]) => [name, {Aliases: (endpoint.Aliases ?? []).filter((alias: string) => !sample.Id.startsWith(alias))}]));
  // Stands for a container of another owner: Hivemind must not take it for its own.
  const labels = Object.fromEntries(Object.entries(Config.Labels).map(([name, value]) => [name.replace(/^hivemind\./, 'bare.'), value]));
  return {...Config, Hostname: undefined, Labels: labels, HostConfig, NetworkingConfig: {EndpointsConfig: networks}};
}

async function compare(hivemind: Hivemind, docker: Docker, image: string, body: Docker.ContainerCreateOptions, replicas: number, rounds: number) {
  const ours: number[] = [];
  const bare: number[] = [];
  const ratios: number[] = [];
  for (let round = -1; round < rounds; round++) {
    const measured: {ours: number; bare: number} = {ours: 0, bare: 0};
    // Taken in turns, first the one, then the other, so that a slow moment of the machine hits both alike.
    const turns = [async () => (measured.ours = await ourTime(hivemind, image, replicas, round)), async () => (measured.bare = await bareTime(docker, body, replicas))];
    for (const turn of round % 2 === 0 ? turns : turns.toReversed()) await turn();
    if (round < 0) continue; // warm-up
    ours.push(measured.ours);
    bare.push(measured.bare);
    ratios.push(measured.ours / measured.bare);
  }
  return {ours, bare, ratios};
}

async function deploy(hivemind: Hivemind, name: string, image: string, replicas: number, pollMs: number): Promise<void> {
  const {status, json} = await hivemind.call('POST', '/api/v1/apps', {name, spec: spec(image, replicas)});
  if (status !== 201) throw new Error(`POST /apps answered ${status}: ${JSON.stringify(json)}`);
  await untilRunning(hivemind, name, replicas, pollMs);
}

async function ourTime(hivemind: Hivemind, image: string, replicas: number, round: number): Promise<number> {
  const name = `bench-${replicas}-${round + 1}`;
  const elapsed = await timed(() => deploy(hivemind, name, image, replicas, replicas === 1 ? 0 : 20));
  await hivemind.call('DELETE', `/api/v1/apps/${name}`);
  await untilGone(hivemind, name);
  return elapsed;
}

async function bareTime(docker: Docker, body: Docker.ContainerCreateOptions, replicas: number): Promise<number> {
  const ids: string[] = [];
  const elapsed = await timed(() =>
    Promise.all(
      Array.from({length: replicas}, async () => {
        const container = await docker.createContainer(body);
        ids.push(container.id);
        await container.start();
      }),
    ),
  );
  await Promise.all(ids.map((id) => docker.getContainer(id).remove({force: true, v: true})));
  return elapsed;
}

interface SwarmTimes {
  /** On an overlay network, as `docker stack deploy` makes one for each stack: tasks find other services by name. */
  readonly named: readonly number[];
  /** On the engine's default bridge, where nothing has a name. */
  readonly plain: readonly number[];
}

async function swarmTimes(docker: Docker, image: string, replicas: number, rounds: number): Promise<SwarmTimes> {
  await docker.swarmInit({ListenAddr: '127.0.0.1:2377', AdvertiseAddr: '127.0.0.1', DataPathAddr: '127.0.0.1'});
  const named: number[] = [];
  const plain: number[] = [];
  try {
    const {id: network} = await docker.createNetwork({Name: 'bench-overlay', Driver: 'overlay'});
    for (let round = -1; round < rounds; round++) {
      const first = await serviceTime(docker, image, replicas, `named-${round + 1}`, [{Target: network}]);
      const second = await serviceTime(docker, image, replicas, `plain-${round + 1}`, []);
      if (round < 0) continue; // warm-up
      named.push(first);
      plain.push(second);
    }
  } finally {
    await docker.swarmLeave({force: true});
  }
  return {named, plain};
}

async function serviceTime(docker: Docker, image: string, replicas: number, name: string, networks: readonly {readonly Target: string}[]): Promise<number> {
  const from = nowMs();
  const service = await docker.createService({
    Name: name,
    TaskTemplate: {ContainerSpec: {Image: image, Command: ['sleep', '3600'], StopSignal: 'SIGKILL'}, Resources: {Limits: {NanoCPUs: 5e8, MemoryBytes: 32 << 20}}, Networks: [...networks]},
    Mode: {Replicated: {Replicas: replicas}},
  });
  await untilTasks(docker, name, replicas);
  const elapsed = nowMs() - from;
  await service.remove();
  await untilNoContainer(docker, `com.docker.swarm.service.name=${name}`);
  return elapsed;
}

async function untilTasks(docker: Docker, service: string, replicas: number): Promise<void> {
  for (const deadline = nowMs() + 120_000; nowMs() < deadline; ) {
    const tasks = (await docker.listTasks({filters: {service: [service]}})) as readonly {Status?: {State?: string}}[];
    if (tasks.filter((task) => task.Status?.State === 'running').length >= replicas) return;
    await new Promise((done) => setTimeout(done, 20));
  }
  throw new Error('Swarm did not bring its tasks up within 2 minutes');
}

async function untilNoContainer(docker: Docker, label: string): Promise<void> {
  for (const deadline = nowMs() + 120_000; nowMs() < deadline; ) {
    if ((await docker.listContainers({all: true, filters: {label: [label]}})).length === 0) return;
    await new Promise((done) => setTimeout(done, 100));
  }
  throw new Error('Swarm did not remove its containers within 2 minutes');
}
