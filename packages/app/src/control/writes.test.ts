import {busErrors} from '@hivemind/bus';
import {TestCluster} from '../testing/cluster.ts';
import {collections, IngressRecord, NetworkSpec} from '@hivemind/contracts';
import {collection} from '@hivemind/store';
import {waitFor} from '@hivemind/testkit';

describe('writing apps', () => {
  let cluster: TestCluster;
  beforeEach(async () => {
    cluster = await TestCluster.start({admit: (spec) => (spec.privileged === true ? [{path: 'spec.privileged', message: 'is not allowed here'}] : [])});
  });
  afterEach(async () => cluster.stop());

  const post = (body: unknown) => cluster.request('POST', '/apps', body);
  const web = (spec: object = {}) => ({name: 'web', spec: {image: 'web:1', replicas: 0, ...spec}});

  it.each([
    ['a name that is no DNS label', {name: 'Web_1', spec: {image: 'x'}}, 'invalid-input', 'name', 'is not a DNS label'],
    ['an unknown field', web({imagee: 'x'}), 'invalid-input', 'spec.imagee', 'did you mean image?'],
    ['an unknown field, written flat', {name: 'web', image: 'x', replica: 2}, 'invalid-input', 'spec.replica', 'did you mean replicas?'],
    ['negative replicas', web({replicas: -1}), 'invalid-input', 'spec.replicas', 'is negative'],
    ['too many replicas', web({replicas: 1e6}), 'invalid-input', 'spec.replicas', 'more than 10000'],
    ['a port out of range', web({ports: [{container: 80, host: 70_000}]}), 'invalid-input', 'spec.ports[0].host', '70000'],
    ['a port twice', web({ports: [{container: 80, host: 80}, {container: 81, host: 80}]}), 'invalid-input', 'spec.ports[1].host', 'another port of the same app'],
    ['a limit that is none', web({ulimits: {nofiles: 1}}), 'invalid-input', 'spec.ulimits.nofiles', 'did you mean nofile?'],
    ['a soft limit above the hard one', web({ulimits: {nofile: {soft: 2, hard: 1}}}), 'invalid-input', 'spec.ulimits.nofile', 'soft limit above its hard one'],
    ['a device elsewhere', web({devices: [{host: '/etc/passwd'}]}), 'invalid-input', 'spec.devices[0].host', 'below /dev'],
    ['a device by a way out of /dev', web({devices: [{host: '/dev/../etc'}]}), 'invalid-input', 'spec.devices[0].host', 'below /dev'],
    ['what nobody may do with a device', web({devices: [{host: '/dev/fuse', permissions: 'x'}]}), 'invalid-input', 'spec.devices[0].permissions', 'none of r, w and m'],
    ['a mode that is not acted upon', web({mode: 'cron'}), 'not-supported', 'spec.mode', 'use replicated, global or job'],
    ['two of a singleton', web({singleton: true, replicas: 2}), 'invalid-input', 'spec.replicas', 'a singleton has one'],
    ['a singleton on each machine', web({singleton: true, mode: 'global'}), 'invalid-input', 'spec.mode', 'never a singleton'],
    ['a fence that a pause would trip', web({singleton: true, fencing: {lease: '1s'}}), 'invalid-input', 'spec.fencing.lease', 'write 5s or more'],
    ['what security refuses', web({privileged: true}), 'invalid-input', 'spec.privileged', 'is not allowed here'],
    ['waiting for itself', web({dependsOn: {web: 'started'}}), 'invalid-input', 'spec.dependsOn', 'web → web'],
    ['a domain without a dot', web({service: {domain: 'web'}}), 'invalid-input', 'spec.service.domain', 'has no dot'],
    ['a domain of the cluster', web({service: {domain: 'web.svc.hive'}}), 'invalid-input', 'spec.service.domain', 'end it otherwise'],
    ['balancing that is not there yet', web({service: {strategy: 'least-connections'}}), 'not-supported', 'spec.service.strategy', 'use round-robin'],
    ['balancing that no machine does', web({service: {strategy: 'ip-hash'}}), 'not-supported', 'spec.service.strategy', 'hivemind network set'],
    ['affinity that no machine keeps', web({service: {affinity: 'client'}}), 'not-supported', 'spec.service.affinity', 'hivemind network set'],
    ['balancing of what has no virtual IP', web({service: {strategy: 'random', headless: true}}), 'invalid-input', 'spec.service.headless', 'leaves nothing to balance'],
    ['memory that no node has', web({resources: {memory: '64Gi'}}), 'does-not-fit', 'spec.resources.memory', 'n1: asks'],
  ])('refuses %s', async (_what, body, code, path, message) => {
    const response = await post(body);
    expect(response.statusCode).toBe(422);
    expect(response.headers['content-type']).toContain('application/problem+json');
    expect(response.json()).toMatchObject({code, errors: expect.arrayContaining([{path, message: expect.stringContaining(message)}])});
    expect((await cluster.request('GET', '/apps')).json().items).toEqual([]);
  });

  it('refuses a second app on one host port, naming the first', async () => {
    await post(web({ports: [{container: 80, host: 8080}]}));
    const response = await post({name: 'other', spec: {image: 'x', ports: [{container: 1, host: 8080}]}});
    expect([response.statusCode, response.json()]).toMatchObject([409, {code: 'port-conflict', errors: [{path: 'spec.ports[0].host', message: expect.stringContaining('app default/web')}]}]);
    expect((await cluster.request('PATCH', '/apps/web', {spec: {replicas: 1}})).statusCode).toBe(200);
  });

  it('refuses a host port that an ingress listens at, unless it was the app\'s before, or no machine could have both', async () => {
    const ingress = (listen: object, nodes = {}) => IngressRecord.parse({name: 'site', namespace: 'shop', labels: {}, annotations: {}, spec: {rules: [{app: 'web'}], listen, nodes}, meta: {uid: 'i', generation: 1, createdAt: '2026-01-01T00:00:00Z', updatedAt: '2026-01-01T00:00:00Z'}});
    const ingresses = collection(collections.ingresses).in(cluster.store);
    await post(web({ports: [{container: 80, host: 9090}]}));
    const first = await ingresses.put('shop/site', ingress({http: 8080}));
    const at = (host: number, protocol = 'tcp', query = '') => cluster.request('POST', `/apps${query}`, {name: 'other', spec: {image: 'x', replicas: 0, ports: [{container: 1, host, protocol}]}});
    await waitFor(async () => (await at(8080, 'tcp', '?dryRun=true')).statusCode === 409, {what: 'it to be refused'});
    expect((await at(8080)).json()).toMatchObject({code: 'port-conflict', errors: [{path: 'spec.ports[0].host', message: expect.stringContaining('ingress shop/site')}]});
    expect((await at(8080, 'udp')).statusCode).toBe(201);
    const second = await ingresses.put('shop/site', ingress({http: 9090}, {names: ['n2']}), {expect: first});
    expect((await cluster.request('PATCH', '/apps/web', {spec: {image: 'web:2'}})).statusCode).toBe(200);
    await ingresses.put('shop/site', ingress({http: 9091}, {names: ['n2']}), {expect: second});
    const patched = (placement: object) => cluster.request('PATCH', '/apps/other', {spec: {placement, ports: [{container: 1, host: 9091}]}});
    await waitFor(async () => (await patched({})).statusCode === 409, {what: 'the other port to be refused'});
    expect((await patched({nodes: ['n1']})).statusCode).toBe(200);
  });

  it('refuses a domain that another app has, in any namespace, and no app its own', async () => {
    expect((await post(web({service: {domain: 'web.example', affinity: 'none'}}))).statusCode).toBe(201);
    const response = await post({name: 'other', namespace: 'shop', spec: {image: 'x', service: {domain: 'web.example'}}});
    expect([response.statusCode, response.json()]).toMatchObject([409, {code: 'domain-taken', errors: [{path: 'spec.service.domain', message: expect.stringContaining('app default/web')}]}]);
    expect((await cluster.request('PATCH', '/apps/web', {spec: {service: {headless: true}}})).statusCode).toBe(200);
  });

  it('takes how virtual IPs are balanced where the cluster has a network, and changes such an app also when it has none any more', async () => {
    const network = collection(collections.networks).in(cluster.store);
    const meta = {uid: 'u', generation: 1, createdAt: '2026-01-01T00:00:00Z', updatedAt: '2026-01-01T00:00:00Z'};
    const stored = await network.put('cluster', {name: 'cluster', labels: {}, annotations: {}, spec: NetworkSpec.parse({backend: 'vxlan'}), meta});
    await waitFor(async () => (await post(web({service: {strategy: 'ip-hash', affinity: 'client'}}))).statusCode === 201, {what: 'it to be taken'});
    await network.put('cluster', {...stored.value, spec: NetworkSpec.parse({backend: 'none'})}, {expect: stored});
    const patch = async (service: object) => (await cluster.request('PATCH', '/apps/web', {spec: {replicas: 0, service}})).statusCode;
    await waitFor(async () => (await patch({strategy: 'random'})) === 422, {what: 'another strategy to be refused'});
    expect([await patch({}), await patch({strategy: null})]).toEqual([200, 200]);
  });

  it('gives one host port to one of two apps that ask at the same moment', async () => {
    const asked = ['one', 'two', 'three'].map((name) => post({name, spec: {image: 'x', ports: [{container: 1, host: 8080}]}}));
    const codes = (await Promise.all(asked)).map(({statusCode}) => statusCode);
    expect(codes.toSorted()).toEqual([201, 409, 409]);
  });

  it('scales no app that has one container on each machine', async () => {
    await post(web({mode: 'global'}));
    expect((await cluster.request('POST', '/apps/web/scale', {replicas: 2})).json()).toMatchObject({status: 422, errors: [{path: 'replicas', message: expect.stringContaining('placement says on which')}]});
  });

  it('refuses a circle of dependencies that its last part would close', async () => {
    await post({name: 'a', spec: {image: 'x', replicas: 0, dependsOn: {b: 'started'}}});
    expect((await post({name: 'b', spec: {image: 'x', replicas: 0, dependsOn: {a: 'started'}}})).json()).toMatchObject({errors: [{message: expect.stringContaining('b → a → b')}]});
  });

  it('asks another security service when the first dies with the question in hand', async () => {
    let died = false;
    const pair = await TestCluster.start({wrap: (bus) => ({...wrapped(bus), request: (subject, data, options) => {
      if (subject !== 'security.admit' || died) return bus.request(subject, data, options);
      died = true;
      return Promise.reject(busErrors.timeout('Nobody answered.'));
    }})});
    try {
      expect((await pair.request('POST', '/apps', web())).statusCode).toBe(201);
      expect(died).toBe(true);
    } finally {
      await pair.stop();
    }
  });

  it('is 503, and changes nothing, when security cannot be asked', async () => {
    const alone = await TestCluster.start({wrap: (bus) => ({...wrapped(bus), request: (subject, data, options) => bus.request(subject === 'security.admit' ? 'nobody.there' : subject, data, options)})});
    try {
      const response = await alone.request('POST', '/apps', web());
      expect([response.statusCode, response.json().code]).toEqual([503, 'unavailable']);
      expect(response.headers['retry-after']).toBe('1');
      expect((await alone.request('GET', '/apps/web')).statusCode).toBe(404);
    } finally {
      await alone.stop();
    }
  });

  it('takes a spec written flat, and what was read', async () => {
    expect((await post({name: 'web', image: 'web:1', replicas: 0})).statusCode).toBe(201);
    const {json, headers} = await cluster.request('GET', '/apps/web');
    const back = await cluster.request('PUT', '/apps/web', json(), {'if-match': String(headers['etag'])});
    expect(back.statusCode).toBe(200);
    expect(back.headers['etag']).toBe(headers['etag']);
    expect(back.json().meta).toEqual(json().meta);
    expect((await cluster.request('PUT', '/apps/web', json())).statusCode).toBe(200);
  });

  it('creates or replaces with PUT, changes with PATCH', async () => {
    expect((await cluster.request('PUT', '/apps/web', {spec: {image: 'web:1', replicas: 0}, labels: {a: '1'}})).statusCode).toBe(201);
    const replaced = await cluster.request('PUT', '/apps/web', web({env: {A: '1'}}));
    expect([replaced.statusCode, replaced.json()]).toMatchObject([200, {labels: {}, spec: {env: {A: '1'}}, meta: {generation: 2}}]);
    const patched = await cluster.request('PATCH', '/apps/web', {labels: {tier: 'front'}, spec: {env: {A: null, B: '2'}}});
    expect(patched.json()).toMatchObject({labels: {tier: 'front'}, spec: {image: 'web:1', env: {B: '2'}}, meta: {generation: 3}});
    expect(patched.json().spec.env).toEqual({B: '2'});
    expect((await cluster.request('PATCH', '/apps/web', {labels: {tier: 'back'}})).json().meta.generation).toBe(3);
    expect((await cluster.request('PATCH', '/apps/none', {labels: {}})).json().code).toBe('app-not-found');
    expect((await cluster.request('PATCH', '/apps/web', {name: 'other'})).json()).toMatchObject({code: 'invalid-input', errors: [{path: 'name'}]});
    expect((await cluster.request('PUT', '/apps/web', {name: 'other', spec: {image: 'x'}})).json()).toMatchObject({code: 'invalid-input', errors: [{path: 'name'}]});
    expect((await post(web())).json().code).toBe('already-exists');
  });

  it('tells who lost the race, and settles races of those who do not mind', async () => {
    const {headers} = await post(web());
    const etag = String(headers['etag']);
    expect((await cluster.request('PATCH', '/apps/web', {labels: {a: '1'}}, {'if-match': etag})).statusCode).toBe(200);
    const lost = await cluster.request('PATCH', '/apps/web', {labels: {a: '2'}}, {'if-match': etag});
    expect([lost.statusCode, lost.json().code]).toEqual([412, 'version-mismatch']);
    expect((await cluster.request('DELETE', '/apps/web', undefined, {'if-match': etag})).statusCode).toBe(202);
  });

  it('loses no change of many at once', async () => {
    await post(web());
    const responses = await Promise.all(Array.from({length: 12}, (_, index) => cluster.request('PATCH', '/apps/web', {labels: {[`l${index}`]: 'x'}})));
    expect(responses.map(({statusCode}) => statusCode)).toEqual(responses.map(() => 200));
    expect(Object.keys((await cluster.request('GET', '/apps/web')).json().labels)).toHaveLength(12);
  });

  it('plans without writing', async () => {
    const plan = await cluster.request('POST', '/apps?dryRun=true', web({replicas: 2}));
    expect([plan.statusCode, plan.json()]).toMatchObject([200, {action: 'create', containers: [{action: 'create', node: 'n1'}, {action: 'create', node: 'n1'}]}]);
    expect((await cluster.request('GET', '/apps/web')).statusCode).toBe(404);
    await post(web({replicas: 1}));
    await cluster.until('running');
    expect((await cluster.request('PUT', '/apps/web?dryRun=true', web({replicas: 1, image: 'web:2'}))).json()).toMatchObject({action: 'update', strategy: 'rolling', fields: [{path: 'spec.image', before: 'web:1', after: 'web:2'}]});
    expect((await cluster.request('POST', '/apps/web/scale?dryRun=true', {replicas: 3})).json()).toMatchObject({action: 'scale'});
    expect((await cluster.request('POST', '/apps/web/plan', {spec: {image: 'web:1', replicas: 1}})).json()).toMatchObject({action: 'none', fields: []});
    expect((await cluster.request('DELETE', '/apps/web?dryRun=true')).json()).toMatchObject({action: 'delete', containers: [{action: 'stop'}]});
    expect((await cluster.request('GET', '/apps/web')).json()).toMatchObject({spec: {image: 'web:1', replicas: 1}});
  });

  it('lists by namespace, label and phase, and makes a namespace when it is first used', async () => {
    await post({...web(), labels: {tier: 'front'}});
    await cluster.request('POST', '/apps?namespace=shop', web());
    await waitFor(async () => (await cluster.request('GET', '/apps?namespace=*&phase=running')).json().items.length === 2, {deadlineMs: 5000, what: 'both to run'});
    const names = async (query: string) => (await cluster.request('GET', `/apps?${query}`)).json().items.map(({namespace, name}: Record<string, string>) => `${namespace}/${name}`);
    expect(await names('')).toEqual(['default/web']);
    expect(await names('namespace=*')).toEqual(['default/web', 'shop/web']);
    expect(await names('labelSelector=tier%3Dfront&namespace=*')).toEqual(['default/web']);
    expect((await cluster.request('GET', '/namespaces')).json().items).toMatchObject([{name: 'default', status: {apps: 1}}, {name: 'shop', status: {apps: 1}}]);
    expect((await cluster.request('POST', '/apps?namespace=a', {...web(), namespace: 'b'})).statusCode).toBe(422);
  });

  it('refuses changes of an app that is being deleted', async () => {
    await post(web({replicas: 1}));
    await cluster.until('running');
    await cluster.machines.get('n1')?.stop();
    expect((await cluster.request('DELETE', '/apps/web')).statusCode).toBe(202);
    expect((await cluster.request('POST', '/apps/web/scale', {replicas: 2})).json().code).toBe('app-deleting');
    expect((await post(web())).json().code).toBe('app-deleting');
    expect((await cluster.request('DELETE', '/apps/web')).statusCode).toBe(202);
    const waited = await cluster.request('DELETE', '/apps/web?wait=true&timeout=1');
    expect([waited.statusCode, waited.json().code]).toEqual([504, 'still-deleting']);
  });
});

describe('configs and namespaces', () => {
  let cluster: TestCluster;
  beforeEach(async () => {
    cluster = await TestCluster.start();
  });
  afterEach(async () => cluster.stop());

  it('configs are made, changed, and deleted when no app uses them', async () => {
    const made = await cluster.request('POST', '/configs', {name: 'conf', data: {key: 'v1'}});
    expect([made.statusCode, made.json()]).toMatchObject([201, {kind: 'Config', spec: {data: {key: 'v1'}, encoding: 'text'}}]);
    expect((await cluster.request('POST', '/configs', {name: 'conf', data: {}})).statusCode).toBe(409);
    expect((await cluster.request('PATCH', '/configs/conf', {spec: {data: {more: 'v2'}}})).json()).toMatchObject({spec: {data: {key: 'v1', more: 'v2'}}, meta: {generation: 2}});
    expect((await cluster.request('PUT', '/configs/conf', {spec: {data: {key: '?'}, encoding: 'base64'}})).json()).toMatchObject({code: 'invalid-input', errors: [{path: 'spec.data.key'}]});
    await cluster.request('POST', '/apps', {name: 'web', spec: {image: 'x', replicas: 0, env: {A: {config: 'conf', key: 'key'}}}});
    expect((await cluster.request('DELETE', '/configs/conf')).json()).toMatchObject({code: 'config-in-use', detail: 'Config conf is used by web.'});
    await cluster.request('DELETE', '/apps/web?wait=true');
    expect((await cluster.request('DELETE', '/configs/conf')).statusCode).toBe(200);
    expect((await cluster.request('GET', '/configs/conf')).json().code).toBe('config-not-found');
    expect((await cluster.request('GET', '/configs')).json().items).toEqual([]);
  });

  it('default always exists, and what holds something cannot be deleted', async () => {
    expect((await cluster.request('DELETE', '/namespaces/default')).json().code).toBe('namespace-fixed');
    expect((await cluster.request('POST', '/namespaces', {name: 'shop', labels: {a: 'b'}})).statusCode).toBe(201);
    expect((await cluster.request('POST', '/namespaces', {name: 'shop'})).statusCode).toBe(409);
    expect((await cluster.request('PATCH', '/namespaces/shop', {labels: {c: 'd'}})).json().labels).toEqual({a: 'b', c: 'd'});
    expect((await cluster.request('PUT', '/namespaces/shop', {})).json().labels).toEqual({});
    await cluster.request('POST', '/configs?namespace=shop', {name: 'conf', data: {}});
    expect((await cluster.request('DELETE', '/namespaces/shop')).json()).toMatchObject({code: 'namespace-not-empty', detail: 'Namespace shop still has configs: delete those first.'});
    await cluster.request('DELETE', '/configs/conf?namespace=shop');
    expect((await cluster.request('DELETE', '/namespaces/shop')).statusCode).toBe(200);
    expect((await cluster.request('GET', '/namespaces/shop')).statusCode).toBe(404);
  });
});

/** The methods of a bus as an object that can be spread. */
function wrapped(bus: TestCluster['bus']): TestCluster['bus'] {
  return {
    publish: (...args) => bus.publish(...args), subscribe: (...args) => bus.subscribe(...args), request: (...args) => bus.request(...args), respond: (...args) => bus.respond(...args),
    openStream: (...args) => bus.openStream(...args), serveStreams: (...args) => bus.serveStreams(...args), onStatus: (...args) => bus.onStatus(...args), close: () => bus.close(),
  };
}
