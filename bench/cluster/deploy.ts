/** `POST /apps` → running on three machines, against the same containers made straight through their Engine APIs in parallel. */
import {setTimeout as pause} from 'node:timers/promises';
import type Docker from 'dockerode';
import type {TestCluster} from '../../apps/agent/test/cluster.ts';
import {median, spread, timed, type Row} from '../measure.ts';

export const sleeperOf = (image: string, replicas: number) => ({
  image, replicas,
  command: ['sleep', '3600'],
  resources: {cpu: 0.01, memory: '4Mi', cpuLimit: 0.5, memoryLimit: '32Mi'},
  stop: {signal: 'SIGKILL', grace: '1s'},
});

/** Looking is work for the managers, on the same two cores: asked every 10 ms, it took a tenth of what they have. */
const LOOK_EVERY_MS = 50;

/** One engine, and how Hivemind asks it for such a container. */
interface Target {
  readonly docker: Docker;
  readonly body: Docker.ContainerCreateOptions;
}

export async function benchDeploy(cluster: TestCluster, rounds: number): Promise<readonly Row[]> {
  const targets = await targetsOf(cluster);
  const rows: Row[] = [];
  // The many first: a control plane that has run for a while has compiled what it does, which a few deploys would be measured by.
  for (const replicas of [30, 6]) {
    const {ours, bare} = await compare(cluster, targets, replicas, rounds);
    const ratios = ours.map((time, index) => time / (bare[index] ?? Number.NaN));
    rows.push({what: `${replicas} replicas over 3 machines: POST /apps → running, against the bare Engine API of the three in parallel`, value: median(ratios), unit: 'x', better: 'lower', must: 1.25, goal: 1.1, detail: `${spread(ours)} against ${spread(bare)}; median of the rounds' ratios`});
  }
  return rows;
}

/** Read back from a container that Hivemind made on each. */
async function targetsOf(cluster: TestCluster): Promise<readonly Target[]> {
  await deploy(cluster, 'sample', 3);
  return Promise.all(cluster.members.map(async ({machine: {engine: {docker}}}): Promise<Target> => {
    const [sample] = await docker.listContainers({filters: {label: ['hivemind.app=sample']}});
    if (!sample) throw new Error('a machine has no sample container');
    const {Config, HostConfig, NetworkSettings} = await docker.getContainer(sample.Id).inspect();
    const networks = Object.fromEntries(Object.entries(NetworkSettings.Networks).map(([name, {Aliases}]) => [name, {Aliases: (Aliases ?? []).filter((alias: string) => !sample.Id.startsWith(alias))}]));
    // Stands for a container of another owner: Hivemind must not take it for its own.
    const labels = Object.fromEntries(Object.entries(Config.Labels).map(([name, value]) => [name.replace(/^hivemind\./, 'bare.'), value]));
    return {docker, body: {...Config, Hostname: undefined, Labels: labels, HostConfig, NetworkingConfig: {EndpointsConfig: networks}}};
  }));
}

async function compare(cluster: TestCluster, targets: readonly Target[], replicas: number, rounds: number): Promise<{readonly ours: readonly number[]; readonly bare: readonly number[]}> {
  const ours: number[] = [];
  const bare: number[] = [];
  for (let round = -1; round < rounds; round++) {
    const turns = [async () => void (ours[round] = await ourTime(cluster, replicas, round)), async () => void (bare[round] = await bareTime(targets, replicas))];
    // Taken in turns, first the one, then the other; the first round is a warm-up, kept where no index is.
    for (const turn of round % 2 === 0 ? turns : turns.toReversed()) await turn();
  }
  return {ours: [...ours], bare: [...bare]};
}

export async function ourTime(cluster: TestCluster, replicas: number, round: number): Promise<number> {
  const name = `bench-${replicas}-${round + 1}`;
  const elapsed = await timed(() => deploy(cluster, name, replicas));
  // Three engines on one computer take their time.
  await cluster.api.call('DELETE', `/apps/${name}?wait=true`, undefined, {timeoutMs: 120_000});
  return elapsed;
}

async function deploy(cluster: TestCluster, name: string, replicas: number): Promise<void> {
  await cluster.api.ask('POST', '/apps', {name, spec: sleeperOf(cluster.image, replicas)});
  for (;;) {
    const {status} = await cluster.app(name);
    if (status.phase === 'running' && status.replicas.running === replicas) return;
    await pause(LOOK_EVERY_MS);
  }
}

async function bareTime(targets: readonly Target[], replicas: number): Promise<number> {
  const made: Docker.Container[] = [];
  const one = async ({docker, body}: Target): Promise<void> => {
    const container = await docker.createContainer(body);
    made.push(container);
    await container.start();
  };
  const elapsed = await timed(() => Promise.all(Array.from({length: replicas}, (_, index) => targets[index % targets.length]).map((target) => target && one(target))));
  await Promise.all(made.map((container) => container.remove({force: true, v: true})));
  return elapsed;
}
