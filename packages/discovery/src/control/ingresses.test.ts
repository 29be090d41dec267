import {serve} from '@hivemind/bus';
import {checkCertificate, collections, getIngresses, ingressesChanged, reportIngress} from '@hivemind/contracts';
import {call, listen} from '@hivemind/bus';
import {collection} from '@hivemind/store';
import {waitFor} from '@hivemind/testkit';
import {type TestCluster, testCluster} from '../testing/cluster.ts';

describe('ingresses', () => {
  let cluster: TestCluster;
  beforeEach(async () => {
    cluster = await testCluster();
    await cluster.node('n1', '10.0.0.1');
    await cluster.app('web');
    await cluster.container('web-a', {app: 'web', address: '10.244.1.2'});
    await waitFor(async () => ((await cluster.ask('/services/web?namespace=shop')).body.status as {phase?: string} | undefined)?.phase === 'ready', {what: 'the service'});
  });
  afterEach(() => cluster.close());
  const post = (name: string, spec: object, query = '') => cluster.ask(`/ingresses?namespace=shop${query}`, {method: 'POST', body: {name, spec}});
  const rules = (...list: object[]) => ({rules: list.map((rule) => ({app: 'web', ...rule}))});

  it('are created, read, changed and deleted, with their version as ETag and what was read written back', async () => {
    const {status, body} = await post('site', rules({host: 'shop.example'}));
    expect([status, body]).toMatchObject([201, {kind: 'Ingress', namespace: 'shop', spec: {listen: {http: 80, https: 443}, balance: 'least-connections', retries: {attempts: 3}}, status: {phase: 'ready', nodes: ['n1'], conditions: []}}]);
    expect(await cluster.ask('/ingresses/site?namespace=shop', {method: 'PUT', body})).toMatchObject({status: 200, body: {meta: {generation: 1}}});
    expect(await cluster.ask('/ingresses/site?namespace=shop', {method: 'PATCH', body: {spec: {listen: {http: 8080}}}})).toMatchObject({status: 200, body: {spec: {listen: {http: 8080}, rules: [{host: 'shop.example'}]}, meta: {generation: 2}}});
    expect((await cluster.ask('/ingresses?namespace=shop&phase=ready')).body.items).toHaveLength(1);
    expect(await post('site', rules({}))).toMatchObject({status: 409, body: {code: 'ingress-exists'}});
    expect(await cluster.ask('/ingresses/site?namespace=shop', {method: 'DELETE'})).toMatchObject({status: 200, body: {kind: 'Deletion', status: 'gone'}});
    expect(await cluster.ask('/ingresses/site?namespace=shop')).toMatchObject({status: 404, body: {code: 'ingress-not-found'}});
  });

  it('are refused by field: what cannot be, what is not known, what another one has', async () => {
    const path = (name: string) => ({errors: [{path: name}]});
    await post('first', rules({host: 'shop.example', path: '/api'}));
    const refused: readonly (readonly [object, number, string, object])[] = [
      [{rules: []}, 422, 'invalid-input', path('spec.rules')],
      [rules({hots: 'shop.example'}), 422, 'invalid-input', {errors: [{path: 'spec.rules[0].hots', message: expect.stringContaining('did you mean host?')}]}],
      [rules({host: 'Shop_Example'}), 422, 'invalid-input', path('spec.rules[0].host')],
      [rules({path: "/a' } { always_true"}), 422, 'invalid-input', path('spec.rules[0].path')],
      [rules({headers: {a: "b'\nuser root"}}), 422, 'invalid-input', path('spec.rules[0].headers.a')],
      [{...rules({}), redirectHttps: true}, 422, 'invalid-input', path('spec.redirectHttps')],
      [{...rules({}), listen: {http: false}}, 422, 'invalid-input', path('spec.listen.http')],
      [{...rules({}), tls: [{file: '../../etc/shadow'}]}, 422, 'invalid-input', path('spec.tls[0].file')],
      [rules({path: '/a'}, {path: '/a/'}), 422, 'ingress-unusable', path('spec.rules[1]')],
      [rules({}, {host: 'shop.example', path: '/api/'}), 409, 'ingress-conflict', {errors: [{path: 'spec.rules[1]', message: expect.stringContaining('ingress shop/first')}]}],
      [{...rules({host: 'b.example'}), listen: {http: 8080, https: 80}, tls: [{file: 'a.pem'}]}, 409, 'ingress-conflict', path('spec.listen.https')],
    ];
    for (const [spec, status, code, more] of refused) expect([spec, await post('second', spec)]).toMatchObject([spec, {status, body: {code, ...more}}]);
    // By file there is nothing that could be looked at here.
    expect((await post('second', rules({host: 'b.example'}))).status).toBe(201);
  });

  it('are refused where they listen at a port that an app publishes, by its number or since it was given one', async () => {
    const at = (http: number) => ({...rules({}), listen: {http}});
    await cluster.network('vxlan');
    await cluster.app('front', {ports: [{container: 80, host: 8080}]});
    await cluster.app('any', {ports: [{container: 80, host: '8090-8095'}]});
    await waitFor(async () => JSON.stringify(await cluster.ask('/services/any?namespace=shop')).includes('8090'), {what: 'a port for it'});
    await waitFor(async () => JSON.stringify(await cluster.ask('/services/front?namespace=shop')).includes('8080'), {what: 'the port it asked for'});
    const conflict = (app: string) => ({status: 409, body: {code: 'ingress-conflict', errors: [{path: 'spec.listen.http', message: expect.stringContaining(`published by app shop/${app}`)}]}});
    expect(await post('site', at(8080))).toMatchObject(conflict('front'));
    expect(await post('site', at(8080), '&dryRun=true')).toMatchObject(conflict('front'));
    expect(await post('site', at(8090))).toMatchObject(conflict('any'));
    expect((await post('site', at(8091))).status).toBe(201);
    expect(await cluster.ask('/ingresses/site?namespace=shop', {method: 'PATCH', body: {spec: {listen: {http: 8080}}}})).toMatchObject(conflict('front'));
    // Nobody is given what an ingress listens at. Who came to have it at the same moment is told, and not refused for it again.
    await cluster.app('more', {ports: [{container: 80, host: '8091-8095'}]});
    await waitFor(async () => JSON.stringify(await cluster.ask('/services/more?namespace=shop')).includes('8092'), {what: 'the next port'});
    await cluster.app('late', {ports: [{container: 80, host: 8091}]});
    await waitFor(async () => JSON.stringify((await cluster.ask('/ingresses/site?namespace=shop')).body.status).includes('published by app shop/late'), {what: 'its condition'});
    expect(await cluster.ask('/ingresses/site?namespace=shop', {method: 'PATCH', body: {spec: {balance: 'random'}}})).toMatchObject({status: 200, body: {status: {conditions: [{reason: 'PortPublished'}]}}});
    await cluster.removeApp('late');
    await waitFor(async () => ((await cluster.ask('/ingresses/site?namespace=shop')).body.status as {phase?: string}).phase === 'ready', {what: 'it to have its port'});
  });

  it('without a network of the cluster are taken where app and ingress name other machines', async () => {
    await cluster.app('front', {ports: [{container: 80, host: 80}], placement: {nodes: ['n2']}});
    expect(await post('site', {...rules({}), nodes: {names: ['n1', 'n2']}})).toMatchObject({status: 409, body: {code: 'ingress-conflict'}});
    expect((await post('site', {...rules({}), nodes: {names: ['n1']}})).status).toBe(201);
  });

  it('look again where an app asked for the port at the same moment', async () => {
    let asked = false;
    await serve(cluster.bus, checkCertificate, {}, async () => {
      if (!asked) await cluster.app('front', {ports: [{container: 80, host: 80}]});
      if (!asked) await collection(collections.hostPorts).in(cluster.store).put('tcp/80', {port: 80, protocol: 'tcp', app: 'shop/front'});
      asked = true;
      return {problem: ''};
    });
    expect(await post('site', {...rules({}), tls: [{secret: 'cert'}]})).toMatchObject({status: 409, body: {code: 'ingress-conflict', errors: [{path: 'spec.listen.http'}]}});
  });

  it('are tried first with dryRun, which changes nothing', async () => {
    expect(await post('site', rules({}, {app: 'ghost', path: '/g'}), '&dryRun=true')).toMatchObject({status: 200, body: {kind: 'Plan', action: 'create', nodes: ['n1'], conditions: [{reason: 'AppNotFound'}]}});
    await post('site', rules({}));
    const put = (spec: object) => cluster.ask('/ingresses/site?namespace=shop&dryRun=true', {method: 'PUT', body: {name: 'site', spec}});
    expect((await put(rules({}))).body).toMatchObject({action: 'none', nodes: []});
    expect((await put({...rules({}), nodes: {names: ['n9']}})).body).toMatchObject({action: 'update', nodes: ['n1'], conditions: [{reason: 'NoMachine'}]});
    expect((await cluster.ask('/ingresses/site?namespace=shop&dryRun=true', {method: 'DELETE'})).body).toMatchObject({action: 'delete', nodes: ['n1']});
    expect((await cluster.ask('/ingresses/site?namespace=shop')).body).toMatchObject({meta: {generation: 1}, spec: {nodes: {}}});
  });

  it('take a certificate only where its key is its own, as those say who may open it', async () => {
    await serve(cluster.bus, checkCertificate, {}, async ({secret}) => ({problem: secret === 'good' ? '' : 'certificate and key do not belong together'}));
    expect(await post('site', {...rules({}), tls: [{secret: 'good'}, {secret: 'bad'}]})).toMatchObject({status: 422, body: {code: 'certificate-unusable', errors: [{path: 'spec.tls[1].secret', message: expect.stringContaining('do not belong together')}]}});
    expect((await post('site', {...rules({}), tls: [{secret: 'good'}]})).status).toBe(201);
  });

  it('say what keeps them from being served, and how the machines fare', async () => {
    await cluster.app('two', {ports: [{name: 'a', container: 1}, {name: 'b', container: 2}]});
    await waitFor(async () => (await cluster.ask('/services/two?namespace=shop')).status === 200, {what: 'the other service'});
    const {body} = await post('site', rules({}, {app: 'two', path: '/a'}, {app: 'two', path: '/b', port: 'c'}, {app: 'two', path: '/c', port: 'a'}));
    expect(body.status).toMatchObject({phase: 'degraded', conditions: [
      {reason: 'PortNotFound', message: expect.stringContaining('say which, of a (1), b (2)')}, {reason: 'PortNotFound', message: expect.stringContaining('no TCP port c')}, {reason: 'NobodyReady'},
    ]});
    const nodes = async () => (await cluster.ask('/ingresses/site/nodes?namespace=shop')).body.items;
    expect(await nodes()).toMatchObject([{node: 'n1', state: 'silent'}]);
    const {version} = await call(cluster.bus, getIngresses, {node: 'n1'}, {});
    await serve(cluster.bus, reportIngress, {node: 'n1'}, async () => ({version, running: true, problem: ''}));
    expect(await nodes()).toEqual([{node: 'n1', state: 'current', version, running: true, problem: ''}]);
  });

  it('reach the machines that take them, which are told when there are others', async () => {
    const told: string[] = [];
    await listen(cluster.bus, ingressesChanged, {}, ({version}) => void told.push(version));
    await post('site', {...rules({}), nodes: {names: ['n1']}});
    const page = (node: string) => call(cluster.bus, getIngresses, {node}, {});
    const {version, ingresses} = await page('n1');
    expect(ingresses).toMatchObject([{namespace: 'shop', name: 'site'}]);
    expect((await page('n2')).ingresses).toEqual([]);
    await waitFor(() => told.at(-1) === version, {what: 'the machines to be told'});
    await cluster.hold(true);
    await waitFor(() => page('n1').then(() => false, (error: unknown) => (error as {code?: string}).code === 'names-held'), {what: 'a store that is not adopted to say nothing'});
  });
});
