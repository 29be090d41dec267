import {call} from '@hivemind/bus';
import * as subjects from '@hivemind/contracts/subjects';
import {waitFor} from '@hivemind/testkit';
import {TestCluster} from '../testing/cluster.ts';
import {appRevisions, containerStatus} from './collections.ts';

const settled = {deadlineMs: 5000, what: 'the cluster to settle'};

describe('the life of an app', () => {
  let cluster: TestCluster;
  beforeEach(async () => {
    cluster = await TestCluster.start();
  });
  afterEach(async () => cluster.stop());

  const create = (spec: object, name = 'web') => cluster.request('POST', '/apps', {name, spec: {image: 'web:1', ...spec}});
  const runs = (app = 'web') => [...cluster.machines.values()].flatMap((machine) => [...machine.runs.values()]).filter((record) => record.app === app);
  const revisionsRunning = () => runs().map(({revision}) => revision).toSorted();

  it('runs what is created, scales it, and leaves nothing when it is deleted', async () => {
    const created = await create({replicas: 2, ports: [{name: 'http', container: 80, host: 0}]});
    expect(created.statusCode).toBe(201);
    expect(created.headers.location).toBe('/api/v1/apps/web?namespace=default');
    await cluster.until('running');
    expect(await cluster.status()).toMatchObject({replicas: {desired: 2, running: 2, ready: 2, updated: 2}, revision: 1});

    expect((await cluster.request('POST', '/apps/web/scale', {replicas: 5})).statusCode).toBe(200);
    await waitFor(() => runs().length === 5, settled);
    await cluster.request('POST', '/apps/web/scale', {replicas: 1});
    await waitFor(async () => runs().length === 1 && (await cluster.containers()).length === 1, settled);

    const deleted = await cluster.request('DELETE', '/apps/web?wait=true');
    expect([deleted.statusCode, deleted.json()]).toMatchObject([200, {status: 'gone'}]);
    expect(runs()).toEqual([]);
    expect(await cluster.containers()).toEqual([]);
    expect((await cluster.request('GET', '/apps/web')).statusCode).toBe(404);
    expect((await appRevisions.in(cluster.store).list()).items).toEqual([]);
    expect((await cluster.store.get('allocations', 'n1'))?.value).toContain('"containers":{}');
    expect((await create({})).statusCode).toBe(201);
  });

  it('replaces its containers for another template or a restart, and goes back', async () => {
    await create({replicas: 2});
    await cluster.until('running');
    await cluster.request('PATCH', '/apps/web', {spec: {image: 'web:2'}});
    await waitFor(() => revisionsRunning().join() === '2,2', settled);
    await cluster.request('POST', '/apps/web/restart');
    await waitFor(() => revisionsRunning().join() === '3,3', settled);
    await cluster.request('POST', '/apps/web/scale', {replicas: 1});
    const back = await cluster.request('POST', '/apps/web/rollback', {revision: 1});
    expect(back.json()).toMatchObject({spec: {image: 'web:1', replicas: 1}});
    await waitFor(() => revisionsRunning().join() === '4', settled);
    const {items} = (await cluster.request('GET', '/apps/web/revisions')).json();
    expect(items.map(({revision, cause, current}: Record<string, unknown>) => [revision, cause, current])).toEqual([[4, 'rollback to 1', true], [3, 'restart', false], [2, 'update', false], [1, 'create', false]]);
    expect((await cluster.request('POST', '/apps/web/rollback', {revision: 9})).json()).toMatchObject({code: 'revision-not-found', detail: 'App web has no revision 9; there are 4, 3, 2, 1.'});
  });

  it('keeps its last ten revisions', async () => {
    await create({replicas: 0});
    for (let version = 2; version <= 13; version++) await cluster.request('PATCH', '/apps/web', {spec: {image: `web:${version}`}});
    const {items} = (await cluster.request('GET', '/apps/web/revisions')).json();
    expect(items.map(({revision}: {revision: number}) => revision)).toEqual([13, 12, 11, 10, 9, 8, 7, 6, 5, 4]);
  });

  it('stops by request, and starts again', async () => {
    await create({replicas: 2});
    await cluster.until('running');
    await cluster.request('POST', '/apps/web/stop');
    await cluster.until('stopped');
    expect(runs()).toEqual([]);
    await cluster.request('POST', '/apps/web/start');
    await cluster.until('running');
    expect(runs()).toHaveLength(2);
  });

  it('waits for what it depends on, saying so, and starts then', async () => {
    await create({dependsOn: {db: 'healthy'}});
    await cluster.until('pending');
    expect((await cluster.status()).conditions).toContainEqual(expect.objectContaining({type: 'DependenciesMet', message: 'waits: app db does not exist'}));
    await create({}, 'db');
    await cluster.until('running');
  });

  it('runs a job to its end and keeps it', async () => {
    cluster.behave = () => ({phase: 'exited', ready: false, exitCode: 0, reason: 'Completed'});
    await create({mode: 'job', replicas: 3});
    await cluster.until('completed');
    expect(await cluster.containers()).toHaveLength(3);
  });

  it('waits for room, saying what each machine said, and takes it when it comes', async () => {
    await create({replicas: 3, resources: {memory: '5Gi'}});
    await waitFor(async () => (await cluster.status()).phase === 'degraded', settled);
    expect((await cluster.status()).conditions).toContainEqual(expect.objectContaining({reason: 'Unplaced', message: expect.stringMatching(/^2 containers have no machine\. n1: asks \d+ of memory, \d+ free$/)}));
    await cluster.addNode({name: 'n2'});
    await cluster.addNode({name: 'n3'});
    await cluster.until('running');
    expect(runs().map(({node}) => node).toSorted()).toEqual(['n1', 'n2', 'n3']);
  });

  it('shows what crashes, and goes on changing it', async () => {
    cluster.behave = () => ({phase: 'exited', ready: false, reason: 'CrashLoop', exitCode: 3, restarts: 4, nextAttemptAt: '2026-01-01T00:01:00Z', lastLogs: ['no such table']});
    await create({});
    await cluster.until('failed');
    expect((await cluster.status()).conditions).toContainEqual(expect.objectContaining({reason: 'CrashLoop', message: expect.stringMatching(/exit code 3.*next attempt at 2026-01-01T00:01:00Z.*no such table/s)}));
    cluster.behave = () => ({});
    await cluster.request('PATCH', '/apps/web', {spec: {image: 'web:2'}});
    await cluster.until('running');
  });

  it('claims volumes on the machine before anything is committed to it', async () => {
    const atClaim: unknown[] = [];
    cluster.onClaim = async (claims) => void atClaim.push(claims, await cluster.containers());
    await create({volumes: [{name: 'data', mount: '/data'}]});
    await cluster.until('running');
    expect(atClaim).toEqual([[{namespace: 'default', name: 'data', node: 'n1'}], []]);
  });

  it('places nothing whose volume could not be claimed, and removes what it should all the same', async () => {
    await create({replicas: 2, volumes: [{name: 'data', mount: '/data'}]});
    await cluster.until('running');
    cluster.onClaim = async () => Promise.reject(new Error('the disk is full'));
    await cluster.request('PATCH', '/apps/web', {spec: {image: 'web:2'}});
    await waitFor(async () => (await cluster.containers()).length === 0, settled);
    cluster.onClaim = async () => undefined;
    await waitFor(() => revisionsRunning().join() === '2,2', settled);
  });

  it('puts another container in the place of one, by request', async () => {
    await create({replicas: 1});
    await cluster.until('running');
    const [before] = runs();
    await call(cluster.bus, subjects.replaceContainer, {}, {id: before?.id ?? ''});
    await waitFor(() => runs().length === 1 && runs()[0]?.id !== before?.id, settled);
    await expect(call(cluster.bus, subjects.replaceContainer, {}, {id: 'none'})).rejects.toMatchObject({code: 'container-not-found'});
  });

  it('goes on after its manager was replaced in the middle of things', async () => {
    await create({replicas: 20});
    await cluster.restartManager();
    await cluster.request('POST', '/apps/web/scale', {replicas: 4});
    await cluster.restartManager();
    await waitFor(async () => runs().length === 4 && (await cluster.containers()).length === 4, settled);
  });

  it('forgets a container once its status says that it is gone, not before', async () => {
    await create({replicas: 1});
    await cluster.until('running');
    const machine = cluster.machines.get('n1');
    await machine?.stop();
    await cluster.request('POST', '/apps/web/scale', {replicas: 0});
    await waitFor(async () => (await cluster.containers())[0]?.removedAt !== undefined, settled);
    const [going] = await cluster.containers();
    expect((await cluster.store.get('allocations', 'n1'))?.value).toContain(going?.id);
    const id = going?.id ?? '';
    const stored = await containerStatus.in(cluster.store).get(id);
    if (stored) await containerStatus.in(cluster.store).put(id, {...stored.value, status: {...stored.value.status, phase: 'removed', ready: false}});
    await waitFor(async () => (await cluster.containers()).length === 0, settled);
    await waitFor(async () => !(await cluster.store.get('allocations', 'n1'))?.value.includes(id), settled);
  });
});

describe('what a node is told', () => {
  let cluster: TestCluster;
  beforeEach(async () => {
    cluster = await TestCluster.start({nodes: [{name: 'n1'}, {name: 'n2', memory: 1}]});
  });
  afterEach(async () => cluster.stop());

  it('its own assignment, under its current session alone', async () => {
    await cluster.request('POST', '/apps', {name: 'web', spec: {image: 'web:1', replicas: 2, resources: {memory: '1Mi'}}});
    await cluster.until('running');
    const own = await call(cluster.bus, subjects.getAssignment, {node: 'n1'}, {session: 1});
    expect(own.cluster).toBe('c1');
    expect(own.containers.map(({id}) => id).toSorted()).toEqual((await cluster.containers()).map(({id}) => id).toSorted());
    expect(own.bodies).toHaveLength(2);
    expect(own.revision.n).toBeGreaterThanOrEqual(own.version);
    const ids = own.containers.map(({id}) => id);
    expect((await call(cluster.bus, subjects.getContainers, {node: 'n2'}, {ids})).containers).toEqual([]);
    expect((await call(cluster.bus, subjects.getContainers, {node: 'n1'}, {ids})).containers).toHaveLength(2);
    await expect(call(cluster.bus, subjects.getAssignment, {node: 'n1'}, {session: 2})).rejects.toMatchObject({code: 'session-expired', status: 409});
  });

  it('bodies of a large assignment in pages', async () => {
    const env = {LARGE: 'x'.repeat(30_000)};
    await cluster.request('POST', '/apps', {name: 'web', spec: {image: 'web:1', replicas: 20, env, resources: {memory: '1Mi'}}});
    await cluster.until('running');
    const {containers, bodies} = await call(cluster.bus, subjects.getAssignment, {node: 'n1'}, {session: 1});
    expect(containers).toHaveLength(20);
    expect(bodies.length).toBeLessThan(20);
    expect(bodies.length).toBeGreaterThan(0);
  });

  it('configs that its containers use, and no others', async () => {
    await cluster.request('POST', '/configs', {name: 'web-conf', spec: {data: {'web.conf': 'listen 80;'}}});
    await cluster.request('POST', '/configs', {name: 'private', spec: {data: {key: 'c2VjcmV0'}, encoding: 'base64'}});
    await cluster.request('POST', '/apps', {name: 'web', spec: {image: 'web:1', resources: {memory: '1Mi'}, files: [{mount: '/etc/web.conf', config: 'web-conf', key: 'web.conf'}], env: {X: {config: 'absent', key: 'x'}}}});
    await cluster.until('running');
    const asked = ['web-conf', 'private', 'absent'].map((name) => ({namespace: 'default', name}));
    const reply = await call(cluster.bus, subjects.getConfigs, {node: 'n1'}, {configs: asked});
    expect(reply.configs).toEqual([{namespace: 'default', name: 'web-conf', data: {'web.conf': Buffer.from('listen 80;').toString('base64')}}]);
    expect(reply.missing.map(({name}) => name)).toEqual(['private', 'absent']);
  });
});
