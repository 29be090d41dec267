import {collections, ContainerRecord, ContainerStatusRecord, resourceKey, revisionKey, templateOf, type AppRecord} from '@hivemind/contracts';
import * as subjects from '@hivemind/contracts/subjects';
import {call, createEmbeddedBus, type Bus} from '@hivemind/bus';
import {createHttp, type Manager} from '@hivemind/service';
import {collection, openSqliteStore, type Store} from '@hivemind/store';
import {tempDir, waitFor} from '@hivemind/testkit';
import {pino} from 'pino';
import {Registry} from 'prom-client';
import {anApp} from '../testing/cluster.ts';
import {createDeploymentManager} from './manager.ts';
import {rollouts} from './tables.ts';

const apps = collection(collections.apps);
const revisions = collection(collections.appRevisions);
const containers = collection(collections.containers);
const statuses = collection(collections.containerStatus);
const logger = pino({level: 'silent'});

describe('the deployment manager', () => {
  let store: Store;
  let bus: Bus;
  let manager: Manager;
  let http: ReturnType<typeof createHttp>;

  beforeEach(async () => {
    store = await openSqliteStore({path: `${tempDir()}/store.db`});
    bus = createEmbeddedBus({logger});
    const metrics = new Registry();
    let ids = 0;
    manager = createDeploymentManager({store, bus, logger, metrics, cluster: 'c1', dataDir: '/nowhere', instance: 'test', now: Date.now, uid: () => `uid-${++ids}`, random: () => 0.5});
    http = createHttp({logger, metrics, name: 'test'});
    await manager.routes(http);
    await manager.start();
  });

  afterEach(async () => {
    await manager.stop();
    await http.close();
    await bus.close();
    await store.close();
  });

  /** Writes the app and its revision as the app manager does. */
  async function declare(app: AppRecord): Promise<void> {
    const key = resourceKey(app.namespace, app.name);
    const revision = {appUid: app.meta.uid, app: app.name, namespace: app.namespace, number: app.revision, spec: app.spec, restarts: 0, createdAt: app.meta.createdAt, cause: 'test'};
    await store.transact({writes: [apps.putting(key, app), revisions.putting(revisionKey(app.namespace, app.name, app.revision), revision)]});
  }

  /** As many ready containers as the current rollout counts. */
  async function makeSo(app: AppRecord): Promise<void> {
    const rollout = await current(app);
    for (const {revision, replicas} of rollout?.counts ?? []) {
      for (let i = 0; i < replicas; i++) {
        const id = `web-${revision}-${i}`;
        const record = ContainerRecord.parse({id, namespace: 'default', app: 'web', appUid: app.meta.uid, revision, node: 'n1', generation: 1, template: templateOf(app.spec), ports: [], mode: 'replicated', createdAt: app.meta.createdAt});
        const status = ContainerStatusRecord.parse({id, namespace: 'default', app: 'web', node: 'n1', session: 1, status: {phase: 'running', ready: true, readySince: app.meta.createdAt}, reportedAt: app.meta.createdAt});
        await store.transact({writes: [containers.putting(id, record), statuses.putting(id, status)]});
      }
    }
  }

  const current = async (app: AppRecord) => (await rollouts.in(store).get(revisionKey(app.namespace, app.name, app.revision)))?.value;
  /** As the API shows it: its view follows the store by a moment. */
  const phase = (app: AppRecord, wanted: string) =>
    waitFor(async () => {
      const {spec, status} = (await http.inject({url: '/deployments/web'})).json();
      return spec?.revision === app.revision && status.phase === wanted;
    }, {deadlineMs: 5000, what: `rollout ${wanted}`});

  it('writes how many containers there should be, and says completed when they are ready', async () => {
    const app = anApp({replicas: 2});
    await declare(app);
    await waitFor(async () => (await current(app)) !== undefined, {deadlineMs: 5000, what: 'a rollout'});
    expect(await current(app)).toMatchObject({phase: 'progressing', counts: [{revision: 1, replicas: 2}]});
    await makeSo(app);
    await phase(app, 'completed');
    const listed = await http.inject({url: '/deployments'});
    expect(listed.json()).toMatchObject({items: [{kind: 'Deployment', spec: {app: 'web', revision: 1}, status: {phase: 'completed', ready: 2}}]});
  });

  it('is paused, resumed and rolled back by request, and refuses what cannot be', async () => {
    const first = anApp({replicas: 1});
    await declare(first);
    await phase(first, 'progressing');
    await makeSo(first);
    await phase(first, 'completed');
    const refused = await http.inject({method: 'POST', url: '/deployments/web/pause'});
    expect(refused.json()).toMatchObject({status: 409, code: 'deployment-finished'});
    const second = anApp({replicas: 1, image: 'web:2'}, 2);
    await declare(second);
    await phase(second, 'progressing');
    expect((await http.inject({method: 'POST', url: '/deployments/web/pause'})).json()).toMatchObject({status: {phase: 'paused'}});
    expect((await http.inject({method: 'POST', url: '/deployments/web/resume'})).json()).toMatchObject({status: {phase: 'progressing'}});
    expect((await http.inject({method: 'POST', url: '/deployments/web/abort'})).json()).toMatchObject({status: {phase: 'rolling-back', reason: 'Aborted'}});
    const old = await http.inject({method: 'POST', url: `/deployments/${first.meta.uid}-1/rollback`});
    expect(old.json()).toMatchObject({status: 409, code: 'deployment-superseded'});
    expect((await http.inject({url: '/deployments/nothing'})).json()).toMatchObject({status: 404, code: 'deployment-not-found'});
  });

  it('removes the rollouts of an app that is gone', async () => {
    const app = anApp();
    await declare(app);
    await phase(app, 'progressing');
    await store.transact({writes: [apps.deleting('default/web')]});
    await waitFor(async () => (await current(app)) === undefined, {deadlineMs: 5000, what: 'the rollout to go'});
  });

  it('explains how a change would proceed', async () => {
    const reply = await call(bus, subjects.explainStrategy, {}, {spec: anApp({ports: [{container: 80, host: 8080}]}).spec});
    expect(reply).toEqual({strategy: 'stop-first', because: expect.stringContaining('8080')});
  });
});
