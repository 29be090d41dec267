import {randomUUID} from 'node:crypto';
import {createEmbeddedBus, emit, serve, type Bus} from '@hivemind/bus';
import {ContainerRecord, type ContainerStatus, engineLabels} from '@hivemind/contracts';
import * as subjects from '@hivemind/contracts/subjects';
import {busyboxImage, dockerEngine, removeTempDir, tempDir, waitFor} from '@hivemind/testkit';
import type Docker from 'dockerode';
import {pino} from 'pino';
import {type Agent, startAgent} from '../../src/index.ts';

const logger = pino({level: 'silent'});

describe('the agent on a Docker engine', () => {
  const cluster = randomUUID();
  const statuses = new Map<string, ContainerStatus>();
  let assigned: ContainerRecord[] = [];
  let docker: Docker;
  let image: string;
  let bus: Bus;
  let dataDir: string;
  let agent: Agent | undefined;
  let n = 1;

  beforeAll(async () => {
    docker = await dockerEngine();
    image = await busyboxImage(docker);
    dataDir = tempDir('agent');
    bus = createEmbeddedBus();
    const to = {node: 'n1'};
    await serve(bus, subjects.registerNode, to, async () => ({cluster, session: 1, heartbeatMs: 5_000}));
    await serve(bus, subjects.heartbeat, to, async () => ({}));
    await serve(bus, subjects.getAssignment, to, async () => ({cluster, revision: {epoch: 'e', n}, version: n, containers: assigned.map(({id, generation}) => ({id, generation})), bodies: assigned, hold: false}));
    await serve(bus, subjects.getConfigs, to, async () => ({configs: [{namespace: 'it', name: 'texts', data: {greeting: btoa('hello from a file')}}], missing: []}));
    await serve(bus, subjects.reportStatus, to, async ({containers}) => {
      for (const {id, status} of containers) statuses.set(id, status);
      return {};
    });
    await serve(bus, subjects.reportStrangers, to, async () => ({accepted: true}));
  });

  afterAll(async () => {
    await assign();
    await waitFor(async () => (await ours()).length === 0, {what: 'all containers to be removed', deadlineMs: 20_000});
    await agent?.stop();
    await bus.close();
    for (const {Id} of await docker.listNetworks({filters: {label: [`${engineLabels.cluster}=${cluster}`]}})) await docker.getNetwork(Id).remove();
    for (const {Name} of (await docker.listVolumes({filters: {label: [`${engineLabels.cluster}=${cluster}`]}})).Volumes) await docker.getVolume(Name).remove();
    await removeTempDir(dataDir);
  });

  const ours = () => docker.listContainers({all: true, filters: {label: [`${engineLabels.cluster}=${cluster}`]}});

  async function assign(...records: ContainerRecord[]): Promise<void> {
    assigned = records;
    n += 1;
    await emit(bus, subjects.assignmentChanged, {node: 'n1'}, {version: n});
  }

  function record(id: string, template: object): ContainerRecord {
    return ContainerRecord.parse({id, namespace: 'it', app: 'web', appUid: 'u', revision: 1, node: 'n1', generation: 1, ports: [], mode: 'replicated', createdAt: '2026-01-01T00:00:00Z', template: {image, stop: {grace: '1s'}, ...template}});
  }

  const start = async (): Promise<Agent> => (agent = await startAgent({bus, dataDir, name: 'n1', address: '127.0.0.1', logger}));
  const becomes = (id: string, what: string, condition: (status: ContainerStatus) => boolean) =>
    waitFor(() => {
      const status = statuses.get(id);
      return status && condition(status) ? status : undefined;
    }, {what: `${id} to be ${what}`, deadlineMs: 20_000});

  it('runs it with its file and volume, ready when its probe says so', async () => {
    await start();
    await assign(record('web-aaaaa', {
      init: true,
      command: ['sh', '-c', 'cat /etc/greeting > /data/copy; mkdir -p /www; cp /etc/greeting /www/index.html; exec httpd -f -p 80 -h /www'],
      files: [{mount: '/etc/greeting', config: 'texts', key: 'greeting'}],
      volumes: [{name: 'data', mount: '/data'}],
      health: {readiness: {http: {path: '/index.html', port: 80}, interval: '200ms'}, liveness: {exec: ['test', '-f', '/data/copy'], interval: '1s'}},
    }));
    const status = await becomes('web-aaaaa', 'ready', ({ready}) => ready);
    expect(status).toMatchObject({phase: 'running', restarts: 0, reason: ''});
    const answer = await fetch(`http://${status.ip}/index.html`);
    expect(await answer.text()).toBe('hello from a file');
  });

  it('starts the same container again when its main process is killed', async () => {
    const [before] = await ours();
    await docker.getContainer(before?.Id ?? '').kill({signal: 'SIGKILL'});
    const status = await becomes('web-aaaaa', 'ready again', ({restarts, ready}) => restarts === 1 && ready);
    expect(status).toMatchObject({exitCode: 137, runtimeId: before?.Id});
  });

  it('restarts what fails its liveness probe', async () => {
    const [container] = await ours();
    const remove = await docker.getContainer(container?.Id ?? '').exec({Cmd: ['rm', '/data/copy']});
    await remove.start({});
    await becomes('web-aaaaa', 'restarted and ready', ({restarts, ready}) => restarts === 2 && ready);
  });

  it('leaves what runs untouched when it starts again itself', async () => {
    const [before] = await ours();
    const started = (await docker.getContainer(before?.Id ?? '').inspect()).State.StartedAt;
    await agent?.stop();
    statuses.clear();
    await start();
    await becomes('web-aaaaa', 'ready', ({ready, restarts}) => ready && restarts === 2);
    expect((await docker.getContainer(before?.Id ?? '').inspect()).State.StartedAt).toBe(started);
  });

  it('shows why a command cannot be started, beside one that runs', async () => {
    await assign(...assigned, record('bad-aaaaa', {command: ['/no/such/program']}));
    const status = await becomes('bad-aaaaa', 'failing', ({reason}) => reason === 'StartFailed');
    expect(status.message).toContain('/no/such/program');
    expect(statuses.get('web-aaaaa')?.phase).toBe('running');
  });

  it('stops and removes what is no longer assigned, and keeps the volume', async () => {
    await assign();
    await becomes('web-aaaaa', 'removed', ({phase}) => phase === 'removed');
    await waitFor(async () => (await ours()).length === 0, {what: 'the engine to have none'});
    const {Volumes} = await docker.listVolumes({filters: {label: [`${engineLabels.cluster}=${cluster}`]}});
    expect(Volumes).toHaveLength(1);
  });
});
