/** What the integration tests of a whole Hivemind share: apps by name, and the engine's own view of them. */
import {App, Container, type AppSpecInput} from '@hivemind/contracts';
import {busyboxImage, dockerEngine, startHivemind, waitFor, type HivemindOptions, type HivemindProcess} from '@hivemind/testkit';
import type Docker from 'dockerode';
import * as z from 'zod';

export interface Fixture extends AsyncDisposable {
  readonly docker: Docker;
  readonly image: string;
  readonly hivemind: HivemindProcess;
}

/** A Hivemind on an engine; at the end its containers, networks and volumes are removed, whatever the test did to it. */
export async function aHivemind(options: HivemindOptions & {readonly docker?: Docker} = {}): Promise<Fixture> {
  const docker = options.docker ?? (await dockerEngine());
  const image = await busyboxImage(docker);
  const hivemind = await startHivemind(options);
  const cluster = await clusterOf(hivemind);
  return {
    docker,
    image,
    hivemind,
    async [Symbol.asyncDispose]() {
      await hivemind.stop();
      await removeCluster(docker, cluster);
    },
  };
}

export async function clusterOf(hivemind: HivemindProcess): Promise<string> {
  const {body} = await hivemind.call('GET', '/status');
  return z.object({cluster: z.string()}).parse(body).cluster;
}

/** Removes everything that carries the cluster's label, and looks again until there is nothing: the engine refuses what is still in use. */
export function removeCluster(docker: Docker, cluster: string): Promise<unknown> {
  const label = [`hivemind.cluster=${cluster}`];
  return waitFor(
    async () => {
      const containers = await docker.listContainers({all: true, filters: {label}});
      await Promise.allSettled(containers.map(({Id}) => docker.getContainer(Id).remove({force: true})));
      const networks = await docker.listNetworks({filters: {label}});
      const {Volumes: volumes} = await docker.listVolumes({filters: {label}});
      const removed = await Promise.allSettled([...networks.map(({Id}) => docker.getNetwork(Id).remove()), ...volumes.map(({Name}) => docker.getVolume(Name).remove())]);
      const refused = removed.filter((result) => result.status === 'rejected').map(({reason}) => String(reason));
      if (containers.length === 0 && volumes.length === 0 && networks.length > 0 && refused.every(isMiscount)) return true;
      if (containers.length + networks.length + volumes.length === 0) return true;
      throw new Error(`${containers.length} containers, ${networks.length} networks, ${volumes.length} volumes; refused: ${refused.join('; ') || 'none'}`);
    },
    {what: `nothing of cluster ${cluster} to be left`, deadlineMs: 30_000},
  );
}

/**
 * The engine at times counts an endpoint of a network that no container has any more, when clients vanish amid starts, and refuses to
 * remove the network until it is started anew (moby issue 42119, in 20.10 to 28). No client can mend that count; only such a network may stay.
 */
const isMiscount = (refusal: string): boolean => refusal.includes('has active endpoints');

/** A spec that sleeps and goes at once when told to. */
export const sleeper = (image: string, rest: Partial<AppSpecInput> = {}): AppSpecInput => ({image, command: ['sleep', '3600'], stop: {signal: 'SIGKILL', grace: '1s'}, ...rest});

export async function createApp(hivemind: HivemindProcess, name: string, spec: AppSpecInput): Promise<void> {
  const {status, body} = await hivemind.call('POST', '/apps', {name, spec});
  if (status !== 201) throw new Error(`POST /apps answered ${status}: ${JSON.stringify(body)}`);
}

export async function app(hivemind: HivemindProcess, name: string): Promise<z.infer<typeof App>> {
  const {status, body} = await hivemind.call('GET', `/apps/${name}`);
  if (status !== 200) throw new Error(`GET /apps/${name} answered ${status}: ${JSON.stringify(body)}`);
  return App.parse(body);
}

export async function containersOf(hivemind: HivemindProcess, name: string): Promise<readonly Container[]> {
  const {body} = await hivemind.call('GET', `/containers?app=${name}`);
  return z.object({items: z.array(Container)}).parse(body).items;
}

export function untilRunning(hivemind: HivemindProcess, name: string, replicas: number, deadlineMs = 30_000): Promise<unknown> {
  return waitFor(
    async () => {
      const {status} = await app(hivemind, name);
      if (status.phase === 'running' && status.replicas.ready === replicas && status.replicas.running === replicas) return true;
      throw new Error(JSON.stringify(status));
    },
    {what: `${replicas} ready replicas of ${name}`, deadlineMs, intervalMs: 50},
  );
}

export interface EngineContainer {
  /** Our id. */
  readonly id: string;
  readonly runtimeId: string;
  readonly state: string;
  readonly pid: number;
  readonly startedAt: string;
  readonly revision: string;
}

/** The engine's containers of an app, by our id, whatever their state. */
export async function engineContainers(docker: Docker, cluster: string, name: string): Promise<readonly EngineContainer[]> {
  const listed = await docker.listContainers({all: true, filters: {label: [`hivemind.cluster=${cluster}`, `hivemind.app=${name}`]}});
  // One that was removed meanwhile is not there.
  const inspected = await Promise.all(listed.map(({Id}) => docker.getContainer(Id).inspect().catch((error: unknown) => {
    if (error instanceof Error && 'statusCode' in error && error.statusCode === 404) return undefined;
    throw error;
  })));
  return inspected.flatMap((found) => (found === undefined ? [] : [found]))
    .map(({Id, State, Config}) => ({id: Config.Labels['hivemind.container'] ?? '', runtimeId: Id, state: State.Status, pid: State.Pid, startedAt: State.StartedAt, revision: Config.Labels['hivemind.revision'] ?? ''}))
    .toSorted((a, b) => a.id.localeCompare(b.id));
}
