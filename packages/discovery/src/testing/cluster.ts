/** The manager on a store in memory, with apps, machines and containers as others would write them. */
import {type Bus, createEmbeddedBus} from '@hivemind/bus';
import {type AppSpecInput, AppRecord, CLUSTER_NETWORK, collections, ContainerRecord, ContainerStatus, NetworkSpec, type NodeVerdict, resourceKey, revisionKey, Rollout, templateOf} from '@hivemind/contracts';
import {createHttp, type Manager} from '@hivemind/service';
import {collection, openSqliteStore, type Store} from '@hivemind/store';
import {pino} from 'pino';
import {Registry} from 'prom-client';
import {createDiscoveryManager} from '../control/manager.ts';

const at = '2026-01-01T00:00:00Z';
const meta = {uid: 'u1', generation: 1, createdAt: at, updatedAt: at};

export interface TestCluster {
  readonly store: Store;
  readonly bus: Bus;
  app(name: string, spec?: Partial<AppSpecInput>, options?: {namespace?: string; createdAt?: string}): Promise<void>;
  removeApp(name: string, namespace?: string): Promise<void>;
  /** `address` undefined: it has none yet. */
  container(id: string, options: {app: string; namespace?: string; node?: string; address?: string; ready?: boolean; revision?: number; removed?: boolean}): Promise<void>;
  /** It is ready from now on. */
  ready(id: string): Promise<void>;
  removeContainer(id: string): Promise<void>;
  node(name: string, address: string): Promise<void>;
  verdict(node: string, state: NodeVerdict['state']): Promise<void>;
  traffic(app: string, shares: readonly {revision: number; weight: number}[]): Promise<void>;
  /** Back-end of the containers' network. */
  network(backend: 'vxlan' | 'none'): Promise<void>;
  hold(held: boolean): Promise<void>;
  /** Status, and the body. */
  ask(path: string, options?: {method?: string; body?: object}): Promise<{status: number; body: Body}>;
  close(): Promise<void>;
}

/** As much of any answer as tests look at. */
export interface Body {
  readonly [field: string]: unknown;
  readonly items?: readonly Body[];
  readonly status?: unknown;
}

export async function testCluster({bus = createEmbeddedBus(), path = ':memory:'}: {bus?: Bus; path?: string} = {}): Promise<TestCluster> {
  const store = await openSqliteStore({path});
  const logger = pino({level: 'silent'});
  const metrics = new Registry();
  let ids = 0;
  const manager: Manager = createDiscoveryManager({store, bus, logger, metrics, cluster: 'c1', dataDir: '/nowhere', instance: 'test', now: Date.now, uid: () => `uid-${++ids}`, random: () => 0.5});
  const http = createHttp({logger, metrics, name: 'test'});
  await manager.routes(http);
  await manager.start();
  const base = await http.listen({port: 0, host: '127.0.0.1'});
  const apps = collection(collections.apps).in(store);
  const containers = collection(collections.containers).in(store);
  const statuses = collection(collections.containerStatus).in(store);
  return {
    store, bus,
    async app(name, spec = {}, {namespace = 'shop', createdAt = at} = {}) {
      const before = await apps.get(resourceKey(namespace, name));
      await apps.put(resourceKey(namespace, name), AppRecord.parse({name, namespace, labels: {}, annotations: {}, revision: 1, meta: {...meta, uid: `app-${namespace}-${name}`, createdAt}, spec: {image: 'busybox', ports: [{name: 'http', container: 80}], ...spec}}), {expect: before ?? 0});
    },
    async removeApp(name, namespace = 'shop') {
      await apps.delete(resourceKey(namespace, name));
    },
    async container(id, {app, namespace = 'shop', node = 'n1', address, ready = true, revision = 1, removed = false}) {
      const spec = (await apps.get(resourceKey(namespace, app)))?.value.spec;
      if (!spec) throw new Error(`there is no app ${app}`);
      await containers.put(id, ContainerRecord.parse({id, namespace, app, appUid: `app-${namespace}-${app}`, revision, node, generation: 1, template: templateOf(spec), ports: [], mode: 'replicated', createdAt: at, ...(removed ? {removedAt: at} : {})}));
      await statuses.put(id, {id, namespace, app, node, session: 1, status: ContainerStatus.parse({phase: 'running', ready, ...(address === undefined ? {} : {ip: address})}), reportedAt: at});
    },
    async ready(id) {
      await statuses.update(id, (record) => record && {...record, status: {...record.status, ready: true}});
    },
    async removeContainer(id) {
      await containers.delete(id);
      await statuses.delete(id);
    },
    async node(name, address) {
      await collection(collections.nodes).in(store).put(name, {name, labels: {}, annotations: {}, spec: {unschedulable: false, taints: [], address}, meta});
    },
    async verdict(node, state) {
      await collection(collections.nodeVerdicts).in(store).put(node, {name: node, state, degraded: false, reason: 'x', message: 'nobody hears it', since: at});
    },
    async traffic(app, shares) {
      await collection(collections.rollouts).in(store).put(revisionKey('shop', app, 2), Rollout.parse({id: 'r', appUid: `app-shop-${app}`, app, namespace: 'shop', revision: 2, previous: 1, phase: 'progressing', strategy: 'rolling', counts: shares.map((share) => ({...share, replicas: 1})), generation: 1, reason: '', message: '', startedAt: at}));
    },
    async network(backend) {
      const networks = collection(collections.networks).in(store);
      await networks.put(CLUSTER_NETWORK, {name: CLUSTER_NETWORK, labels: {}, annotations: {}, spec: NetworkSpec.parse({backend}), meta}, {expect: (await networks.get(CLUSTER_NETWORK)) ?? 0});
    },
    async hold(held) {
      await collection(collections.cluster).in(store).put('adoption', {held, reason: 'x', since: at});
    },
    async ask(path, {method = 'GET', body} = {}) {
      const answer = await fetch(`${base}${path}`, {method, ...(body ? {body: JSON.stringify(body), headers: {'content-type': 'application/json'}} : {})});
      return {status: answer.status, body: (await answer.json()) as Body};
    },
    async close() {
      await manager.stop();
      await http.close();
      await bus.close();
      await store.close();
    },
  };
}
