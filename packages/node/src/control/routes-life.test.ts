import {AppSpec, collections, type ContainerRecord, ContainerRecord as Containers, ContainerStatusRecord, templateOf, type AppSpecInput} from '@hivemind/contracts';
import {collection} from '@hivemind/store';
import {ManagerHarness} from '../testing/harness.ts';

const containers = collection(collections.containers);
const statuses = collection(collections.containerStatus);
const apps = collection(collections.apps);
const volumes = collection(collections.volumes);
const at = '2026-01-01T00:00:00.000Z';
const meta = {uid: 'u', generation: 1, createdAt: at, updatedAt: at};

describe('the life of a machine', () => {
  let harness: ManagerHarness;
  beforeEach(async () => {
    harness = await ManagerHarness.start();
    await harness.register('n1');
    await harness.shows('/nodes/n1', {status: {phase: 'ready'}});
  });
  afterEach(() => harness.stop());

  const post = (url: string, payload: unknown = {}) => harness.ask(url, {method: 'POST', payload});
  async function runs(id: string, spec: Partial<AppSpecInput> = {}, fields: Partial<ContainerRecord> = {}): Promise<void> {
    const name = id.split('-')[0] ?? id;
    const parsed = AppSpec.parse({image: 'web:1', ...spec});
    const record = Containers.parse({id, namespace: 'default', app: name, appUid: 'u', revision: 1, node: 'n1', generation: 1, template: templateOf(parsed), ports: [], mode: 'replicated', createdAt: at, ...fields});
    await apps.in(harness.store).put(`default/${name}`, {name, namespace: 'default', labels: {}, annotations: {}, spec: parsed, revision: 1, stopped: false, restarts: 0, meta});
    await containers.in(harness.store).put(id, record);
  }
  const ends = (id: string, phase: string, exitCode?: number) =>
    statuses.in(harness.store).put(id, ContainerStatusRecord.parse({id, namespace: 'default', app: 'web', node: 'n1', session: 1, status: {phase, ready: false, exitCode}, reportedAt: at}));

  it('is drained: what can move is waited for, users of local volumes are named, global ones and finished ones do not count', async () => {
    await volumes.in(harness.store).put('default/data', {name: 'data', namespace: 'default', labels: {}, annotations: {}, spec: {driver: 'local'}, node: 'n1', meta});
    await runs('web-aaaaa');
    await runs('db-aaaaa', {volumes: [{name: 'data', mount: '/data'}]});
    await runs('agent-aaaaa', {mode: 'global'});
    await runs('job-aaaaa', {mode: 'job'});
    await ends('job-aaaaa', 'exited', 0);
    expect((await harness.ask('/nodes/n1/drain')).body).toMatchObject({status: 409, code: 'not-draining'});
    expect((await post('/nodes/n1/drain', {deadline: '5m'})).body).toMatchObject({spec: {unschedulable: true, drain: {stopLocal: false, deadlineAt: expect.any(String)}}});
    await harness.shows('/nodes/n1', {status: {phase: 'draining', drain: {done: false, total: 2}}});
    await harness.shows('/nodes/n1/drain', {blocked: expect.arrayContaining([expect.objectContaining({container: 'web-aaaaa', reason: 'WaitsForReplacement'}), expect.objectContaining({container: 'db-aaaaa', reason: 'LocalVolume', message: expect.stringContaining('data')})])});
    await containers.in(harness.store).delete('web-aaaaa');
    await harness.shows('/nodes/n1', {status: {phase: 'ready', drain: {done: true, total: 1}}});
    expect((await harness.ask('/nodes/n1')).body).toMatchObject({status: {conditions: expect.arrayContaining([expect.objectContaining({type: 'Drained', status: 'true'})])}});
    expect((await post('/nodes/n1/uncordon')).body).toMatchObject({spec: {address: '10.0.0.1', taints: [], unschedulable: false}, status: {phase: 'ready'}});
    expect((await harness.ask('/nodes/n1/drain')).status).toBe(409);
  });

  it('goes into maintenance, where global apps go too, and out of it', async () => {
    await runs('agent-aaaaa', {mode: 'global'});
    expect((await post('/nodes/n1/maintenance')).body).toMatchObject({spec: {maintenance: true, unschedulable: true, drain: {stopLocal: true}}, status: {phase: 'maintenance'}});
    await harness.shows('/nodes/n1', {status: {drain: {total: 1, done: false}}});
    expect((await post('/nodes/n1/maintenance', {enabled: false})).body).toMatchObject({spec: {unschedulable: false}, status: {phase: 'ready'}});
  });

  it('is tainted and freed of taints', async () => {
    expect((await post('/nodes/n1/taints', {key: 'gpu', effect: 'NoSchedule'})).body).toMatchObject({spec: {taints: [{key: 'gpu', effect: 'NoSchedule'}]}});
    expect((await post('/nodes/n1/taints', {key: 'gpu', value: 'a100', effect: 'NoSchedule'})).body).toMatchObject({spec: {taints: [{key: 'gpu', value: 'a100', effect: 'NoSchedule'}]}});
    expect((await harness.ask('/nodes/n1/taints?key=cpu', {method: 'DELETE'})).body).toMatchObject({status: 404, code: 'taint-not-found'});
    expect((await harness.ask('/nodes/n1/taints?key=gpu', {method: 'DELETE'})).body).toMatchObject({spec: {taints: []}});
    expect((await post('/nodes/n1/taints', {key: 'gpu', effect: 'Never'})).body).toMatchObject({status: 422, errors: [{path: 'effect'}]});
  });

  it('is not removed while it is heard and has containers; force does not count where two must never run', async () => {
    await runs('web-aaaaa');
    await harness.shows('/nodes/n1', {});
    expect((await harness.ask('/nodes/n1', {method: 'DELETE'})).body).toMatchObject({status: 409, code: 'node-in-use'});
    await runs('one-aaaaa', {singleton: true});
    expect((await harness.ask('/nodes/n1?force=true', {method: 'DELETE'})).body).toMatchObject({status: 409, detail: expect.stringContaining('one-aaaaa')});
    await containers.in(harness.store).delete('one-aaaaa');
    await volumes.in(harness.store).put('default/data', {name: 'data', namespace: 'default', labels: {}, annotations: {}, spec: {driver: 'local'}, node: 'n1', meta});
    const gone = await harness.ask('/nodes/n1?force=true', {method: 'DELETE'});
    expect(gone.body).toMatchObject({status: 'gone', name: 'n1'});
    expect((await harness.ask('/nodes/n1')).status).toBe(404);
    await expect(harness.beat(1)).rejects.toMatchObject({code: 'session-expired'});
  });

  it('is fenced only when it is not heard, for the sessions until then', async () => {
    expect((await post('/nodes/n1/fence', {confirmDead: true})).body).toMatchObject({status: 409, code: 'node-heard'});
    harness.leases.advance(2_001);
    await harness.shows('/nodes/n1', {status: {phase: 'unreachable'}});
    expect((await post('/nodes/n1/fence', {})).body).toMatchObject({status: 422, errors: [{path: 'confirmDead'}]});
    expect((await post('/nodes/n1/fence', {confirmDead: true})).body).toMatchObject({status: {phase: 'dead'}});
    await harness.register('n1');
    await harness.shows('/nodes/n1', {status: {phase: 'ready', session: 2}});
  });

  it('is missed by times that can be set', async () => {
    expect((await harness.ask('/nodes/settings')).body).toMatchObject({lease: '2s', deadAfter: '4s'});
    expect((await harness.ask('/nodes/settings', {method: 'PATCH', payload: {lease: '8s', brake: {hold: '1m'}}})).body).toMatchObject({lease: '8s', deadAfter: '4s', brake: {hold: '1m', window: '1m'}});
    expect((await harness.ask('/nodes/settings', {method: 'PATCH', payload: {lease: '10ms'}})).body).toMatchObject({status: 422, code: 'settings-unsafe'});
    expect((await harness.ask('/nodes/settings', {method: 'PATCH', payload: {leese: '1s'}})).body).toMatchObject({status: 422, errors: [{message: expect.stringContaining('did you mean lease')}]});
    // The running session is told, and its lease is replaced.
    expect(await harness.beat(1)).toMatchObject({heartbeatMs: 500});
    expect(await harness.beat(1)).toMatchObject({heartbeatMs: 2_000});
    harness.leases.advance(7_000);
    await harness.beat(1);
  });

  it('says that the brake is not engaged', async () => {
    expect((await harness.ask('/nodes/brake')).body).toEqual({engaged: false, nodes: [], message: '', since: null});
    expect((await harness.ask('/nodes/brake', {method: 'DELETE'})).body).toMatchObject({status: 409, code: 'brake-not-engaged'});
  });
});
