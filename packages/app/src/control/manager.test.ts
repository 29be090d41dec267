import {waitFor} from '@hivemind/testkit';
import {TestCluster} from '../testing/cluster.ts';

const deadline = {deadlineMs: 5000, what: 'the cluster to settle'};

describe('the app manager', () => {
  let cluster: TestCluster;
  beforeEach(async () => {
    cluster = await TestCluster.start();
  });
  afterEach(async () => cluster.stop());

  const phase = async (name: string) => (await cluster.request('GET', `/apps/${name}`)).json().status?.phase;
  const runs = (app: string) => [...cluster.machines.values()].flatMap((machine) => [...machine.runs.values()]).filter((record) => record.app === app).length;

  it('runs what is created, scales it, and leaves nothing when it is deleted', async () => {
    const created = await cluster.request('POST', '/apps', {name: 'web', spec: {image: 'web:1', replicas: 2, ports: [{name: 'http', container: 80, host: 0}]}});
    expect(created.statusCode).toBe(201);
    expect(created.headers.location).toBe('/api/v1/apps/web?namespace=default');
    await waitFor(async () => (await phase('web')) === 'running', deadline);

    const scaled = await cluster.request('POST', '/apps/web/scale', {replicas: 5});
    expect(scaled.statusCode).toBe(200);
    await waitFor(async () => (await phase('web')) === 'running' && runs('web') === 5, deadline);
    await cluster.request('POST', '/apps/web/scale', {replicas: 1});
    await waitFor(async () => runs('web') === 1 && (await cluster.containers()).length === 1, deadline);

    const deleted = await cluster.request('DELETE', '/apps/web?wait=true');
    expect(deleted.json()).toMatchObject({status: 'gone'});
    expect(runs('web')).toBe(0);
    expect(await cluster.containers()).toEqual([]);
    expect((await cluster.request('GET', '/apps/web')).statusCode).toBe(404);
    expect((await cluster.store.get('allocations', 'n1'))?.value).toContain('"containers":{}');
  });
});
