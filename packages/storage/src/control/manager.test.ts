import {type Bus, call, createEmbeddedBus} from '@hivemind/bus';
import {AppRecord, collections, ContainerRecord, templateOf} from '@hivemind/contracts';
import * as subjects from '@hivemind/contracts/subjects';
import {createHttp, type HttpServer, type Manager} from '@hivemind/service';
import {collection, openSqliteStore, type Store} from '@hivemind/store';
import {removeTempDir, tempDir, waitFor} from '@hivemind/testkit';
import {pino} from 'pino';
import {Registry} from 'prom-client';
import {createStorage, type Storage} from '../node/index.ts';
import {createStorageManager} from './manager.ts';

/** Volumes of an engine, by name. */
function engineWith(...names: string[]) {
  const volumes = new Set(names);
  return {
    volumes,
    removeVolume: async (name: string) => void volumes.delete(name),
    volumeUsage: async (asked: readonly string[]) => asked.filter((name) => volumes.has(name)).map((name) => ({name, bytes: 7, path: `/engine/${name}`})),
  };
}

const logger = pino({level: 'silent'});
const meta = {uid: 'u1', generation: 1, createdAt: '2026-01-01T00:00:00Z', updatedAt: '2026-01-01T00:00:00Z'};
const apps = collection(collections.apps);
const containers = collection(collections.containers);

describe('the storage manager', () => {
  let store: Store;
  let bus: Bus;
  let manager: Manager;
  let http: HttpServer;
  let base: string;
  let engine: ReturnType<typeof engineWith>;
  let storage: Storage;

  beforeEach(async () => {
    store = await openSqliteStore({path: ':memory:'});
    await aNode('n1');
    bus = createEmbeddedBus();
    const metrics = new Registry();
    let ids = 0;
    manager = createStorageManager({store, bus, logger, metrics, cluster: 'c1', dataDir: '/nowhere', instance: 'test', now: Date.now, uid: () => `uid-${++ids}`, random: () => 0.5});
    http = createHttp({logger, metrics, name: 'test'});
    await manager.routes(http);
    await manager.start();
    base = await http.listen({port: 0, host: '127.0.0.1'});
    engine = engineWith('hivemind-c1-shop-data');
    storage = createStorage({bus, node: 'n1', cluster: 'c1', runtime: engine});
    await storage.start();
  });

  afterEach(async () => {
    await storage.stop();
    await manager.stop();
    await http.close();
    await bus.close();
    await store.close();
  });

  const aNode = (name: string) => collection(collections.nodes).in(store).put(name, {name, labels: {}, annotations: {}, spec: {unschedulable: false, taints: [], address: ''}, meta});

  /** One HTTP call; answers status, headers and parsed body. */
  const ask = async (url: string, {method = 'GET', payload, headers = {}}: {method?: string; payload?: object; headers?: Record<string, string>} = {}) => {
    const answer = await fetch(`${base}${url}`, {method, headers: {...(payload ? {'content-type': 'application/json'} : {}), ...headers}, ...(payload ? {body: JSON.stringify(payload)} : {})});
    return {status: answer.status, etag: answer.headers.get('etag'), body: await answer.json()};
  };

  const claim = (name: string, node = 'n1') => call(bus, subjects.claimVolumes, {}, {claims: [{namespace: 'shop', name, node}]});
  const app = (): AppRecord => AppRecord.parse({name: 'db', namespace: 'shop', labels: {}, annotations: {}, revision: 1, meta, spec: {image: 'busybox', volumes: [{name: 'data', mount: '/data'}]}});

  it('gives data up only where its machine is dead or gone', async () => {
    const rules = (state: 'unreachable' | 'dead') => collection(collections.nodeVerdicts).in(store).put('n2', {name: 'n2', state, degraded: false, reason: 'x', message: '', since: meta.createdAt});
    const shows = (phase: string) => waitFor(async () => JSON.stringify((await ask('/volumes/data?namespace=shop')).body).includes(`"phase":"${phase}"`), {what: `the volume to be ${phase}`});
    await aNode('n2');
    await call(bus, subjects.claimVolumes, {}, {claims: [{namespace: 'shop', name: 'data', node: 'n2'}]});
    await shows('bound');
    const abandon = () => ask('/volumes/data/abandon?namespace=shop', {method: 'POST'});
    expect((await abandon()).body).toMatchObject({status: 409, code: 'volume-not-lost'});
    await rules('unreachable');
    await shows('unreachable');
    expect((await abandon()).status).toBe(409);
    await collection(collections.nodes).in(store).delete('n2');
    await shows('lost');
    await aNode('n2');
    await rules('dead');
    await shows('unreachable');
    expect((await abandon()).body).toMatchObject({status: {phase: 'pending', usedBy: []}});
    expect((await abandon()).status).toBe(200);
    await call(bus, subjects.claimVolumes, {}, {claims: [{namespace: 'shop', name: 'data', node: 'n1'}]});
  });

  it('makes a volume when it is first used, bound to that machine, and refuses another', async () => {
    await claim('data');
    await claim('data');
    expect((await ask('/volumes/data?namespace=shop')).body).toMatchObject({status: {phase: 'bound', node: 'n1', usedBy: []}});
    await expect(claim('data', 'n2')).rejects.toMatchObject({code: 'volume-elsewhere', status: 409});
  });

  it('creates, labels and lists volumes', async () => {
    const created = await ask('/volumes', {method: 'POST', payload: {name: 'media', labels: {tier: 'gold'}}});
    expect(created.status).toBe(201);
    expect((await ask('/volumes', {method: 'POST', payload: {name: 'media'}})).body).toMatchObject({status: 409, code: 'volume-exists'});
    expect((await ask('/volumes/media', {method: 'PATCH', payload: {labels: {tier: null, kind: 'films'}}})).body).toMatchObject({labels: {kind: 'films'}});
    expect((await ask('/volumes/media', {method: 'PUT', headers: {'if-match': '"1"'}, payload: {labels: {}}})).status).toBe(412);
    await claim('data');
    expect((await ask('/volumes?namespace=*&phase=pending')).body).toMatchObject({items: [{name: 'media'}], next: null});
  });

  it('refuses by name what it does not act upon', async () => {
    const refused = (await ask('/volumes', {method: 'POST', payload: {name: 'big', size: '10Gi'}})).body;
    expect(refused).toMatchObject({status: 422, errors: [{path: 'spec.size'}]});
    expect((await ask('/volumes', {method: 'POST', payload: {name: 'nfs', driver: 'nfs'}})).status).toBe(422);
    expect((await ask('/volumes/none')).body).toMatchObject({status: 404, code: 'volume-not-found'});
  });

  it('deletes nothing that an app or a container uses, and says who', async () => {
    await claim('data');
    await apps.in(store).put('shop/db', app());
    const record = ContainerRecord.parse({id: 'old-aaaaa', namespace: 'shop', app: 'old', appUid: 'u2', revision: 1, node: 'n1', generation: 1, template: templateOf(app().spec), ports: [], mode: 'replicated', createdAt: meta.createdAt});
    const {version} = await containers.in(store).put(record.id, record);
    expect(version).toBeGreaterThan(0);
    const refused = await ask('/volumes/data?namespace=shop', {method: 'DELETE'});
    expect(refused.body).toMatchObject({status: 409, code: 'volume-in-use', detail: expect.stringContaining('db, old')});
    await apps.in(store).delete('shop/db');
    await containers.in(store).delete(record.id);
    expect((await ask('/volumes/data?namespace=shop', {method: 'DELETE'})).body).toMatchObject({status: 'gone'});
    expect((await ask('/volumes/data?namespace=shop')).status).toBe(404);
  });

  it('takes the data along when a volume is deleted, and keeps both while the machine is away', async () => {
    await claim('data');
    expect((await ask('/volumes/data/usage?namespace=shop')).body).toEqual({namespace: 'shop', name: 'data', bytes: 7, path: '/engine/hivemind-c1-shop-data'});
    await storage.stop();
    expect((await ask('/volumes/data?namespace=shop', {method: 'DELETE'})).body).toMatchObject({status: 503, code: 'volume-node-unavailable'});
    await storage.start();
    await ask('/volumes/data?namespace=shop', {method: 'DELETE'});
    expect(engine.volumes.size).toBe(0);
  });
});

describe('mounts on the machine', () => {
  const record = (volumes: object[]) => ContainerRecord.parse({id: 'a-aaaaa', namespace: 'shop', app: 'a', appUid: 'u', revision: 1, node: 'n1', generation: 1, template: {image: 'busybox', volumes}, ports: [], mode: 'replicated', createdAt: meta.createdAt});
  const prepare = (volumes: object[], createHostDirectories = true) =>
    createStorage({bus: createEmbeddedBus(), node: 'n1', cluster: 'c1', runtime: engineWith(), createHostDirectories}).hook.prepare?.(record(volumes), new AbortController().signal);

  it('are engine volumes with labels, directories and memory', async () => {
    const dir = tempDir('storage');
    const made = await prepare([{name: 'data', mount: '/data', readOnly: true}, {host: `${dir}/new/deep`, mount: '/host'}, {tmpfs: true, size: '1Mi', mount: '/tmp'}]);
    expect(made?.mounts).toEqual([
      {type: 'volume', source: 'hivemind-c1-shop-data', target: '/data', readOnly: true, labels: {'hivemind.cluster': 'c1', 'hivemind.namespace': 'shop', 'hivemind.volume': 'data'}},
      {type: 'bind', source: `${dir}/new/deep`, target: '/host', readOnly: false},
      {type: 'tmpfs', target: '/tmp', size: 1_048_576},
    ]);
    await removeTempDir(dir);
  });

  it('of a file are left as they are, and what cannot be made is refused', async () => {
    expect((await prepare([{host: '/etc/hostname', mount: '/h'}]))?.mounts).toHaveLength(1);
    await expect(prepare([{host: '/etc/hostname/below', mount: '/h'}])).rejects.toMatchObject({code: 'host-path-unavailable'});
  });
});
