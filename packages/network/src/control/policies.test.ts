import {type Bus, call, createEmbeddedBus, listen} from '@hivemind/bus';
import {collections, getPolicies, policiesChanged} from '@hivemind/contracts';
import {createHttp, flushEvents, type HttpServer, type Manager} from '@hivemind/service';
import {collection, openSqliteStore, type Store} from '@hivemind/store';
import {waitFor} from '@hivemind/testkit';
import {pino} from 'pino';
import {Registry} from 'prom-client';
import {createNetworkManager} from './manager.ts';

const logger = pino({level: 'silent'});
const meta = {uid: 'u1', generation: 1, createdAt: '2026-01-01T00:00:00Z', updatedAt: '2026-01-01T00:00:00Z'};
const onlyApi = {name: 'only-api', spec: {target: {app: 'db'}, ingress: [{action: 'allow', from: {app: 'api'}, ports: [{port: 5432}]}, {action: 'deny', from: {all: true}}]}};

describe('network policies', () => {
  let store: Store;
  let bus: Bus;
  let manager: Manager;
  let http: HttpServer;
  let base: string;
  const versions: string[] = [];

  const ask = async (url: string, method = 'GET', body?: unknown, headers: Record<string, string> = {}) => {
    const answer = await fetch(`${base}${url}`, {method, headers: {...(body === undefined ? {} : {'content-type': 'application/json'}), ...headers}, ...(body === undefined ? {} : {body: JSON.stringify(body)})});
    return {status: answer.status, etag: answer.headers.get('etag'), body: await answer.json()};
  };
  const app = async (namespace: string, name: string, addresses: readonly string[], labels: Record<string, string> = {}) => {
    await collection(collections.services).in(store).put(`${namespace}/${name}`, {name, namespace, labels, appUid: 'a', headless: false, aliases: [], ports: [], traffic: [], conditions: [], meta});
    for (const [index, address] of addresses.entries()) {
      const container = `${name}-${index}`;
      await collection(collections.endpoints).in(store).put(container, {container, namespace, service: name, node: 'n1', address, ports: [], revision: 1, ready: false, reason: 'NotReady'});
    }
  };
  const get = (after?: string) => call(bus, getPolicies, {node: 'n1'}, {session: 1, ...(after === undefined ? {} : {after})});
  const test = async (from: object, to: object, port = 5432, protocol = 'tcp') => (await ask('/network-policies/test', 'POST', {from, to, port, protocol})).body;

  beforeEach(async () => {
    store = await openSqliteStore({path: ':memory:'});
    bus = createEmbeddedBus();
    manager = createNetworkManager({store, bus, logger, metrics: new Registry(), cluster: 'c1', dataDir: '/nowhere', instance: 'one', now: Date.now, uid: () => 'u', random: () => 0.5});
    http = createHttp({logger, metrics: new Registry(), name: 'test'});
    await manager.routes(http);
    await manager.start();
    base = await http.listen({port: 0, host: '127.0.0.1'});
    versions.length = 0;
    await listen(bus, policiesChanged, {}, ({version}) => void versions.push(version));
    await ask('/networks/cluster', 'PUT', {name: 'cluster', spec: {backend: 'auto'}});
  });
  afterEach(async () => {
    await manager.stop();
    await http.close();
    await bus.close();
    await flushEvents(store);
    await store.close();
  });

  it('are written, read, changed and deleted', async () => {
    await app('default', 'db', ['10.244.0.4']);
    const made = await ask('/network-policies', 'POST', onlyApi);
    expect(made).toMatchObject({status: 201, body: {kind: 'NetworkPolicy', spec: {mode: 'enforce', isolate: false}, status: {apps: ['db'], conditions: []}}});
    expect((await ask('/network-policies', 'POST', onlyApi)).body).toMatchObject({status: 409, code: 'policy-exists'});
    expect((await ask('/network-policies/only-api', 'PATCH', {mode: 'audit'}, {'if-match': '"1"'})).status).toBe(412);
    expect((await ask('/network-policies/only-api', 'PATCH', {mode: 'audit'}, {'if-match': made.etag!})).body).toMatchObject({spec: {mode: 'audit'}, meta: {generation: 2}});
    expect((await ask('/network-policies?namespace=*')).body).toMatchObject({items: [{name: 'only-api'}]});
    expect((await ask('/network-policies/only-api', 'DELETE')).body).toEqual({kind: 'Deletion', name: 'only-api', namespace: 'default', status: 'gone'});
    expect((await ask('/network-policies/only-api')).body).toMatchObject({status: 404, code: 'policy-not-found'});
  });

  it.each([
    ['names nothing', {target: {all: true}}, 'spec'],
    ['has no target', {target: {}, isolate: true}, 'spec.target'],
    ['has a peer of two kinds', {target: {all: true}, ingress: [{action: 'deny', from: {all: true, app: 'web'}}]}, 'spec.ingress[0].from'],
    ['has bits past a prefix', {target: {all: true}, egress: [{action: 'deny', to: {cidr: '10.0.0.1/8'}}]}, 'spec.egress[0].to.cidr'],
    ['has a rule that never decides', {target: {all: true}, ingress: [{action: 'deny', from: {all: true}}, {action: 'allow', from: {app: 'web'}}]}, 'spec.ingress[1]'],
    ['has no port', {target: {all: true}, ingress: [{action: 'deny', from: {all: true}, ports: [{port: 0}]}]}, 'spec.ingress[0].ports[0].port'],
    ['has ports the wrong way round', {target: {all: true}, ingress: [{action: 'deny', from: {all: true}, ports: [{port: 90, endPort: 80}]}]}, 'spec.ingress[0].ports[0].endPort'],
    ['has a field of another system', {target: {all: true}, isolate: true, podSelector: {}}, 'spec.podSelector'],
  ])('are refused where one %s', async (_, spec, path) => {
    expect((await ask('/network-policies', 'POST', {name: 'p', spec})).body).toMatchObject({status: 422, errors: [{path}]});
  });

  it('are refused where nothing would enforce them, and say so where that came later', async () => {
    await ask('/network-policies', 'POST', onlyApi);
    await ask('/networks/cluster', 'PUT', {name: 'cluster', spec: {backend: 'none'}});
    expect((await ask('/network-policies', 'POST', {...onlyApi, name: 'other'})).body).toMatchObject({status: 422, code: 'policies-unenforced'});
    expect((await ask('/network-policies/only-api')).body).toMatchObject({status: {conditions: [{reason: 'NothingSelected'}, {reason: 'NoNetwork'}]}});
  });

  it('say whether one may reach another, and which rule decides', async () => {
    await app('default', 'db', ['10.244.0.4']);
    await app('default', 'api', ['10.244.0.5', '10.244.0.6']);
    expect(await test({app: 'web'}, {app: 'db'})).toEqual({allowed: true, decidedBy: null, wouldDeny: [], message: 'default/web may reach default/db on tcp 5432: no rule denies it'});
    await ask('/network-policies', 'POST', onlyApi);
    expect(await test({app: 'api'}, {app: 'db'})).toMatchObject({allowed: true, decidedBy: {policy: 'only-api', direction: 'ingress', rule: 0}});
    expect(await test({app: 'api'}, {app: 'db'}, 22)).toEqual({allowed: false, decidedBy: {namespace: 'default', policy: 'only-api', direction: 'ingress', rule: 1, action: 'deny'}, wouldDeny: [], message: 'default/api may not reach default/db on tcp 22: ingress[1] of default/only-api says so'});
    expect(await test({address: '10.244.0.6'}, {address: '10.244.0.4'})).toMatchObject({allowed: true, decidedBy: {rule: 0}});
    expect(await test({address: '192.0.2.1'}, {app: 'db'})).toMatchObject({allowed: false});
    // Of two containers one is in the range: the app is not let through.
    await ask('/network-policies', 'POST', {name: 'one', spec: {target: {app: 'web'}, egress: [{action: 'deny', to: {cidr: '10.244.0.6/32'}}]}});
    expect(await test({app: 'web'}, {app: 'api'})).toMatchObject({allowed: false, decidedBy: {policy: 'one', direction: 'egress'}});
    await ask('/network-policies/one', 'PATCH', {mode: 'audit'});
    expect(await test({app: 'web'}, {app: 'api'})).toMatchObject({allowed: true, decidedBy: null, wouldDeny: [{policy: 'one', rule: 0}]});
  });

  it('are told to machines with labels looked up and addresses of those that rules speak of, each time they change', async () => {
    await app('default', 'db', ['10.244.0.4']);
    await app('default', 'api', ['10.244.0.5'], {tier: 'back'});
    expect(await get()).toMatchObject({policies: [], members: [], next: null});
    await ask('/network-policies', 'POST', {name: 'p', spec: {target: {labels: {tier: 'back'}}, ingress: [{action: 'allow', from: {app: 'db'}}], isolate: true}});
    await ask('/network-policies', 'POST', {...onlyApi, spec: {...onlyApi.spec, ingress: onlyApi.spec.ingress.slice(1)}});
    const told = await get();
    expect(told.policies.map(({name, target}) => [name, target.apps])).toEqual([['only-api', ['db']], ['p', ['api']]]);
    expect(told.members).toEqual([{namespace: 'default', app: 'api', addresses: ['10.244.0.5']}, {namespace: 'default', app: 'db', addresses: ['10.244.0.4']}]);
    await waitFor(() => versions.at(-1) === told.version, {what: 'machines to be told'});
    await app('default', 'web', ['10.244.0.9']);
    await waitFor(async () => versions.at(-1) !== told.version && versions.at(-1) === (await get()).version, {what: 'machines to be told of a container'});
    expect((await get()).members).toHaveLength(3);
  });

  it('are told by pages, and not at all by a store that does not count', async () => {
    await ask('/network-policies', 'POST', {name: 'p', spec: {target: {all: true}, isolate: true}});
    for (const name of ['a', 'b']) {
      const addresses = Array.from({length: 6_000}, (_, index) => `10.244.${name === 'a' ? 0 : 1}.${index}`);
      await collection(collections.services).in(store).put(`default/${name}`, {name, namespace: 'default', labels: {}, appUid: 'a', headless: false, aliases: [], ports: [], traffic: [], conditions: [], meta});
      for (let at = 0; at < addresses.length; at += 500) {
        await Promise.all(addresses.slice(at, at + 500).map((address, index) => collection(collections.endpoints).in(store).put(`${name}-${at + index}`, {container: `${name}-${at + index}`, namespace: 'default', service: name, node: 'n1', address, ports: [], revision: 1, ready: true, reason: 'Ready'})));
      }
    }
    await waitFor(async () => (await get()).next === 'default/a', {what: 'more than a page'});
    await waitFor(async () => (await get('default/a')).members[0]?.addresses.length === 6_000, {what: 'the second page'});
    expect(await get('default/a')).toMatchObject({policies: [], members: [{app: 'b'}], next: null});
    await collection(collections.cluster).in(store).put('adoption', {held: true, reason: 'test', since: '2026-01-01T00:00:00Z'});
    await waitFor(async () => get().then(() => false, ({code}: {code: string}) => code === 'policies-held'), {what: 'the store to be held'});
  });
});
