import {spawnSync} from 'node:child_process';
import {existsSync} from 'node:fs';
import {App, Container, Node} from '@hivemind/contracts';
import {freePort, waitFor} from '@hivemind/testkit';
import * as z from 'zod';
import {call, clusterDown, clusterUp, machines} from './lifecycle.mjs';
import {compose} from './compose.mjs';
import {clusterImages} from './images.mjs';

type Cluster = Awaited<ReturnType<typeof clusterUp>>;

const prefix = 'hivemind-test-';
const docker = (...args: string[]) => {
  const {status, stdout, stderr} = spawnSync('docker', args, {encoding: 'utf8'});
  if (status !== 0) throw new Error(`docker ${args.join(' ')}: ${stderr}`);
  return stdout.trim();
};

/** Clusters of test runs that were killed. */
async function sweep(): Promise<void> {
  const projects = docker('ps', '--all', '--filter', 'label=com.docker.compose.project', '--format', '{{.Label "com.docker.compose.project"}}').split('\n');
  for (const project of new Set(projects)) {
    if (project.startsWith(prefix) && !existsSync(`/proc/${project.slice(prefix.length)}`)) await clusterDown({project});
  }
}

describe('the dev cluster', () => {
  const project = `${prefix}${process.pid}`;
  let cluster: Cluster;

  /** Parsed answer of the API; throws any but a 2xx. */
  async function api<S extends z.ZodType>(schema: S, method: string, path: string, body?: unknown): Promise<z.infer<S>> {
    const {status, body: answer} = z.object({status: z.number(), body: z.unknown()}).parse(await call(cluster, method, `/api/v1${path}`, body));
    if (status >= 300) throw new Error(`${method} ${path} answers ${status}: ${JSON.stringify(answer)}`);
    return schema.parse(answer);
  }
  const app = () => api(App, 'GET', '/apps/web');
  const node = (name: string) => api(Node, 'GET', `/nodes/${name}`);
  const containers = async () => (await api(z.object({items: z.array(Container)}), 'GET', '/containers?app=web')).items;
  const ready = async () => (await containers()).filter(({status}) => status.ready);
  const engineOf = async (machine: string) => (await compose(['ps', '-q', machine], cluster)).trim();
  /** Names of what runs on a machine's engine. */
  const running = async (machine: string) => docker('exec', await engineOf(machine), 'docker', 'ps', '--filter', 'label=hivemind.app=web', '--format', '{{.Names}}').split('\n').filter(Boolean);

  // The first time ever, Debian's packages are downloaded.
  beforeAll(async () => {
    await sweep();
    const [port, nats, redis] = await Promise.all([freePort(), freePort(), freePort()]);
    const images = await clusterImages({say: () => undefined});
    cluster = await clusterUp({say: () => undefined, project, images, env: {...process.env, HIVEMIND_PORT: `${port}`, NATS_PORT: `${nats}`, REDIS_PORT: `${redis}`}});
  }, 900_000);
  afterAll(() => clusterDown({project}), 60_000);

  it('runs an app on its machines, replaces what a machine took with it, and takes the machine back', async () => {
    const health = {readiness: {http: {path: '/', port: 80}, interval: '1s'}};
    await api(App, 'POST', '/apps', {name: 'web', spec: {image: 'hivemind-demo/web:1', env: {GREETING: 'Hello'}, replicas: 3, ports: [{name: 'http', container: 80, host: 0}], health, pull: {policy: 'never'}}});
    await waitFor(async () => (await app()).status.replicas.ready === 3, {what: 'three replicas', deadlineMs: 40_000});
    const [lost] = await ready();
    const machine = lost!.spec.node;
    const id = await engineOf(machine);
    const address = docker('inspect', '--format', '{{range .NetworkSettings.Networks}}{{.IPAddress}}{{end}}', id);
    expect(await (await fetch(`http://${address}:${lost!.status.ports[0]!.host}/`)).text()).toContain('Hello');

    docker('kill', id);
    await waitFor(async () => (await node(machine)).status.phase === 'dead', {what: `${machine} to be known as dead`, deadlineMs: 40_000});
    const others = machines.filter((name) => name !== machine);
    await waitFor(async () => {
      const places = (await ready()).map(({spec}) => spec.node);
      return places.length === 3 && places.every((place) => others.includes(place));
    }, {what: 'three replicas on the other machines', deadlineMs: 40_000});

    docker('start', id);
    await waitFor(async () => (await node(machine)).status.phase === 'ready', {what: `${machine} to be back`, deadlineMs: 40_000});
    await waitFor(async () => (await Promise.all(machines.map(running))).flat().length === 3, {what: 'three containers on all engines', deadlineMs: 40_000});
    expect((await app()).status.replicas).toMatchObject({desired: 3, ready: 3});
  }, 150_000);

  it('survives the death of every service', async () => {
    const before = (await ready()).map(({status}) => status.runtimeId).toSorted();
    const services = ['gateway', 'app', 'deployment', 'scheduler', 'node', 'container', 'nats', 'redis'];
    await compose(['kill', ...services], cluster);
    await compose(['up', '-d', '--no-build'], cluster);
    await waitFor(async () => (await ready()).length === 3, {what: 'the cluster to know its containers again', deadlineMs: 60_000});
    await api(App, 'PATCH', '/apps/web', {spec: {replicas: 4}});
    await waitFor(async () => (await ready()).length === 4, {what: 'a fourth replica', deadlineMs: 40_000});
    expect((await ready()).map(({status}) => status.runtimeId)).toEqual(expect.arrayContaining(before));
  }, 150_000);
});
