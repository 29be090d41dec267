import {call} from '@hivemind/bus';
import {collections, getNames, NetworkSpec} from '@hivemind/contracts';
import {collection} from '@hivemind/store';
import {waitFor} from '@hivemind/testkit';
import {type Body, type TestCluster, testCluster} from '../testing/cluster.ts';

describe('the discovery manager', () => {
  let cluster: TestCluster;
  beforeEach(async () => {
    cluster = await testCluster();
  });
  afterEach(() => cluster.close());

  /** Waits until the service reads so. */
  const shows = async (name: string, expected: object, path = ''): Promise<Body> => {
    let last: unknown;
    return waitFor(async () => {
      const {body} = await cluster.ask(`/services/${name}${path}?namespace=shop`);
      last = body;
      try {
        expect(body).toMatchObject(expected);
        return body;
      } catch {
        return undefined;
      }
    }, {what: `${name}${path} to be ${JSON.stringify(expected)}`}).catch((error: unknown) => {
      throw new Error(`it is ${JSON.stringify(last)}`, {cause: error});
    });
  };

  it('makes a service of every app, with an address of its own and the containers that can be reached', async () => {
    await cluster.app('web', {aliases: ['www'], service: {domain: 'web.local'}});
    await cluster.app('db', {ports: []});
    await cluster.container('web-a', {app: 'web', address: '10.244.1.2'});
    await cluster.container('web-b', {app: 'web', address: '10.244.2.2', node: 'n2', ready: false});
    await cluster.container('web-c', {app: 'web'});
    const {status} = await shows('web', {
      kind: 'Service', spec: {app: 'web', headless: false, domain: 'web.local', ports: [{name: 'http', port: 80, protocol: 'tcp'}]},
      status: {phase: 'ready', endpoints: {total: 2, ready: 1}, names: ['web.shop.svc.hive', 'www.shop.svc.hive', 'web.local', 'web.shop', 'www.shop', 'web', 'www']},
    });
    const db = await shows('db', {status: {phase: 'empty', endpoints: {total: 0}}});
    const ips = [status, db.status].map((each) => (each as {virtualIp: string}).virtualIp);
    expect(ips).toEqual([expect.stringMatching(/^10\.96\.\d+\.\d+$/), expect.stringMatching(/^10\.96\.\d+\.\d+$/)]);
    expect(ips[0]).not.toBe(ips[1]);
    expect((await cluster.ask('/services/web/endpoints?namespace=shop')).body.items).toEqual([
      expect.objectContaining({kind: 'Endpoint', name: 'web-a', spec: {service: 'web', node: 'n1', address: '10.244.1.2', ports: [{name: 'http', port: 80, protocol: 'tcp'}], revision: 1, weight: 100}, status: {ready: true, reason: 'Ready'}}),
      expect.objectContaining({name: 'web-b', status: {ready: false, reason: 'NotReady'}, spec: expect.objectContaining({weight: 0})}),
    ]);
    expect((await cluster.ask('/services?namespace=shop&phase=empty')).body.items).toEqual([expect.objectContaining({name: 'db'})]);
    expect((await cluster.ask('/services/nothing?namespace=shop')).body).toMatchObject({status: 404, code: 'service-not-found'});
  });

  it('takes out of rotation what is removed, and what is on a machine that is not heard, and says why', async () => {
    await cluster.app('web');
    await cluster.container('web-a', {app: 'web', address: '10.244.1.2'});
    await cluster.container('web-b', {app: 'web', address: '10.244.2.2', node: 'n2'});
    await shows('web', {status: {endpoints: {total: 2, ready: 2}}});
    await cluster.verdict('n2', 'unreachable');
    await shows('web', {endpoints: [{container: 'web-a', inRotation: true, because: 'it is ready'}, {container: 'web-b', inRotation: false, because: 'its machine n2 is not reached: nobody hears it'}]}, '/resolve');
    await cluster.verdict('n2', 'dead');
    await shows('web', {endpoints: [{}, {because: 'its machine n2 is dead: nobody hears it'}]}, '/resolve');
    await cluster.verdict('n2', 'ready');
    await cluster.container('web-a', {app: 'web', address: '10.244.1.2', removed: true});
    await shows('web', {endpoints: [{inRotation: false, because: 'it is being removed'}, {inRotation: true}]}, '/resolve');
    await cluster.removeContainer('web-a');
    await shows('web', {status: {endpoints: {total: 1, ready: 1}}});
    await cluster.removeApp('web');
    await waitFor(async () => (await cluster.ask('/services/web?namespace=shop')).status === 404, {what: 'the service to go with its app'});
    expect((await cluster.store.list('endpoints')).records).toEqual([]);
  });

  it('weighs containers by the shares of their revisions; one without a share is not in rotation', async () => {
    await cluster.app('web', {service: {headless: true}});
    await cluster.traffic('web', [{revision: 1, weight: 75}, {revision: 2, weight: 25}]);
    for (const [id, revision] of [['web-a', 1], ['web-b', 2], ['web-c', 3]] as const) await cluster.container(id, {app: 'web', address: `10.244.1.${revision}`, revision});
    await shows('web', {status: {endpoints: {total: 3}}});
    const weights = async () => (await cluster.ask('/services/web/endpoints?namespace=shop')).body.items?.map(({name, spec}) => [name, (spec as {weight: number}).weight]);
    await waitFor(async () => JSON.stringify(await weights()) === '[["web-a",100],["web-b",35],["web-c",0]]', {what: 'the weights'});
    const {body} = await cluster.ask('/services/web/resolve?namespace=shop');
    expect(body).toMatchObject({
      answers: [{name: 'web.shop.svc.hive', type: 'A', answer: ['10.244.1.1', '10.244.1.2'], because: expect.stringContaining('headless')}, {name: 'web.shop'}, {name: 'web'}, {name: '_http._tcp.web.shop.svc.hive', type: 'SRV', answer: ['web-a.web.shop.svc.hive:80', 'web-b.web.shop.svc.hive:80']}, {name: 'web-a.web.shop.svc.hive'}, {}, {}],
      endpoints: [{inRotation: true}, {inRotation: true}, {inRotation: false, because: 'it is ready, and its revision has no share of the traffic'}],
    });
    expect((await cluster.ask('/services/web?namespace=shop')).body.status).not.toHaveProperty('virtualIp');
  });

  it('tells how a virtual IP is balanced, and that no machine does so while there is no network', async () => {
    await cluster.app('web', {service: {strategy: 'ip-hash', affinity: 'client'}});
    await shows('web', {spec: {strategy: 'ip-hash', affinity: 'client'}, status: {conditions: [{type: 'Balancing', status: 'false', reason: 'NoNetwork', message: expect.stringContaining('strategy and affinity')}]}});
    const told = async () => (await call(cluster.bus, getNames, {node: 'n1'}, {})).items.find(({key}) => key === 'shop/web')?.value;
    expect(await told()).toMatchObject({balancing: {strategy: 'ip-hash', affinity: 'client'}});
    await collection(collections.networks).in(cluster.store).put('cluster', {name: 'cluster', labels: {}, annotations: {}, spec: NetworkSpec.parse({backend: 'vxlan'}), meta: {uid: 'u', generation: 1, createdAt: '2026-01-01T00:00:00Z', updatedAt: '2026-01-01T00:00:00Z'}});
    await shows('web', {status: {conditions: []}});
    await cluster.app('web', {service: {affinity: 'none'}});
    await waitFor(async () => !JSON.stringify(await told()).includes('balancing'), {what: 'machines to be told of none'});
  });

  it('gives a domain to the app that asked first, and to the next one when that is gone', async () => {
    await cluster.app('late', {service: {domain: 'web.local'}}, {createdAt: '2026-01-02T00:00:00Z'});
    await cluster.app('early', {service: {domain: 'web.local'}});
    await shows('early', {spec: {domain: 'web.local'}});
    await shows('late', {status: {conditions: [{type: 'Domain', status: 'false', reason: 'DomainTaken', message: expect.stringContaining('shop/early')}]}});
    await cluster.removeApp('early');
    await shows('late', {spec: {domain: 'web.local'}, status: {conditions: []}});
  });

  it('says so when no address is left, and gives one that becomes free', async () => {
    const set = (virtualIps: string) => cluster.ask('/discovery/settings', {method: 'PATCH', body: {virtualIps}});
    expect((await set('10.99.0.0/30')).body).toEqual({virtualIps: '10.99.0.0/30'});
    for (const name of ['a', 'b']) await cluster.app(name);
    const given = await Promise.all(['a', 'b'].map((name) => shows(name, {status: {virtualIp: expect.stringMatching(/^10\.99\.0\.[12]$/)}})));
    expect(new Set(given.map(({status}) => (status as {virtualIp: string}).virtualIp)).size).toBe(2);
    await cluster.app('c');
    await shows('c', {status: {conditions: [{type: 'VirtualIp', reason: 'Exhausted', message: expect.stringContaining('10.99.0.0/30')}]}});
    await cluster.removeApp('a');
    await shows('c', {status: {virtualIp: (given[0]!.status as {virtualIp: string}).virtualIp, conditions: []}});
    expect((await set('10.96.0.0/16')).status).toBe(200);
    expect((await shows('b', {})).status).toMatchObject({virtualIp: (given[1]!.status as {virtualIp: string}).virtualIp});
    await cluster.node('n1', '10.5.0.9');
    await waitFor(async () => (await set('10.5.0.0/16')).status === 422, {what: 'a range with a machine in it to be refused'});
    expect((await set('10.244.128.0/17')).body).toMatchObject({status: 422, code: 'range-invalid', detail: expect.stringContaining('10.244.0.0/16')});
    expect((await set('10.96.0.0/31')).body).toMatchObject({status: 422, errors: [{path: 'virtualIps'}]});
    expect((await set('ten')).status).toBe(422);
  });

  it('publishes ports once containers have a network: one that two ask for goes to the older, any free one to nobody else', async () => {
    for (const [name, createdAt] of [['late', '2026-01-02T00:00:00Z'], ['early', '2026-01-01T00:00:00Z']] as const) await cluster.app(name, {ports: [{container: 80, host: 8080}]}, {createdAt});
    await Promise.all(Array.from({length: 20}, (_, index) => cluster.app(`any-${index}`, {ports: [{container: 80, host: 0}]})));
    expect((await shows('early', {status: {conditions: []}})).status).not.toHaveProperty('published');
    await cluster.network('vxlan');
    await shows('early', {status: {published: [{port: 8080, targetPort: 80, protocol: 'tcp'}], conditions: []}});
    await shows('late', {status: {conditions: [{type: 'Published', reason: 'PortTaken', message: expect.stringContaining('shop/early')}]}});
    const given = await Promise.all(Array.from({length: 20}, async (_, index) => {
      const {status} = await shows(`any-${index}`, {status: {published: [{targetPort: 80}]}});
      return (status as {published: {port: number}[]}).published[0]?.port;
    }));
    expect(new Set(given).size).toBe(20);
    await cluster.removeApp('early');
    await shows('late', {status: {published: [{port: 8080}], conditions: []}});
    await cluster.network('none');
    await waitFor(async () => (await shows('late', {})).status && !('published' in ((await shows('late', {})).status as object)), {what: 'the engines to publish again'});
  });

  it('gives no address twice, however many ask at once', async () => {
    await cluster.ask('/discovery/settings', {method: 'PATCH', body: {virtualIps: '10.99.0.0/26'}});
    await Promise.all(Array.from({length: 62}, (_, index) => cluster.app(`app-${index}`)));
    const addresses = async () => (await cluster.ask('/services?namespace=shop&limit=1000')).body.items?.flatMap(({status}) => (status as {virtualIp?: string}).virtualIp ?? []) ?? [];
    await waitFor(async () => (await addresses()).length === 62, {what: 'all to have one'});
    expect(new Set(await addresses()).size).toBe(62);
  });
});
