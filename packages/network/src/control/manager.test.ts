import {type Bus, call, createEmbeddedBus, listen, serve} from '@hivemind/bus';
import {collections, getNetwork, getOverlay, Ipam, networkChanged, Overlay, type OverlayStatus} from '@hivemind/contracts';
import {createHttp, flushEvents, type HttpServer, type Manager} from '@hivemind/service';
import {collection, openSqliteStore, type Store} from '@hivemind/store';
import {waitFor} from '@hivemind/testkit';
import {pino} from 'pino';
import {Registry} from 'prom-client';
import {createNetworkManager} from './manager.ts';

const logger = pino({level: 'silent'});
const meta = {uid: 'u1', generation: 1, createdAt: '2026-01-01T00:00:00Z', updatedAt: '2026-01-01T00:00:00Z'};
const nodes = collection(collections.nodes);

describe('the network manager', () => {
  let store: Store;
  let bus: Bus;
  let managers: Manager[];
  let http: HttpServer;
  let base: string;
  let changes = 0;

  const aNode = (name: string, address = `10.200.0.${name.slice(1)}`) => nodes.in(store).put(name, {name, labels: {}, annotations: {}, spec: {unschedulable: false, taints: [], address}, meta});
  const ask = async (url: string, method = 'GET', body?: unknown, headers: Record<string, string> = {}) => {
    const answer = await fetch(`${base}${url}`, {method, headers: {...(body === undefined ? {} : {'content-type': 'application/json'}), ...headers}, ...(body === undefined ? {} : {body: JSON.stringify(body)})});
    return {status: answer.status, etag: answer.headers.get('etag'), body: await answer.json()};
  };
  const ipam = async () => Ipam.parse((await ask('/networks/ipam')).body);
  const set = (spec: object) => ask('/networks/cluster', 'PUT', {name: 'cluster', spec});
  const get = (node: string, holds?: string) => call(bus, getNetwork, {node}, {session: 1, ...(holds === undefined ? {} : {holds})});

  beforeEach(async () => {
    store = await openSqliteStore({path: ':memory:'});
    bus = createEmbeddedBus();
    managers = ['one', 'two'].map((instance) => createNetworkManager({store, bus, logger, metrics: new Registry(), cluster: 'c1', dataDir: '/nowhere', instance, now: Date.now, uid: () => 'u', random: () => 0.5}));
    http = createHttp({logger, metrics: new Registry(), name: 'test'});
    await managers[0]!.routes(http);
    await Promise.all(managers.map((manager) => manager.start()));
    base = await http.listen({port: 0, host: '127.0.0.1'});
    changes = 0;
    await listen(bus, networkChanged, {}, () => void changes++);
  });

  afterEach(async () => {
    await Promise.all(managers.map((manager) => manager.stop()));
    await http.close();
    await bus.close();
    await flushEvents(store);
    await store.close();
  });

  it('takes no addresses while the engine\'s own networks are used', async () => {
    await aNode('n1');
    expect(await get('n1')).toMatchObject({spec: {backend: 'none', cidr: '10.244.0.0/16'}, self: null, peers: []});
    expect((await ask('/networks/ipam')).body).toMatchObject({total: 256, used: 0, without: ['n1']});
    expect((await ask('/networks')).body).toMatchObject({items: [{kind: 'Network', name: 'cluster', spec: {backend: 'none'}}]});
  });

  it('gives each machine a part of its own, however many ask at once and of whichever instance, and tells all', async () => {
    expect((await set({backend: 'vxlan'})).status).toBe(200);
    const names = Array.from({length: 20}, (_, index) => `n${index + 1}`);
    await Promise.all(names.map((name) => aNode(name)));
    const views = await Promise.all([...names, ...names].map((name) => get(name)));
    const parts = new Map(views.map(({self}) => [self?.node, self?.subnet]));
    expect(parts.size).toBe(20);
    expect(new Set(parts.values()).size).toBe(20);
    for (const {self} of views) expect(self?.subnet).toBe(parts.get(self?.node));
    expect((await get('n1')).peers).toHaveLength(19);
    expect((await get('n1')).peers[0]).toEqual({node: 'n10', address: '10.200.0.10', subnet: parts.get('n10')});
    await waitFor(() => changes > 0, {what: 'the machines to be told'});
    const shown = await ipam();
    expect(shown).toMatchObject({used: 20, without: []});
    expect(shown.items.find(({node}) => node === 'n3')).toMatchObject({subnet: parts.get('n3'), gateway: parts.get('n3')?.replace('.0/24', '.1')});
  });

  it('releases the part of a machine that is removed, and gives it again to nobody soon', async () => {
    await set({backend: 'vxlan'});
    await aNode('n1');
    const {self} = await get('n1');
    await nodes.in(store).delete('n1');
    await waitFor(async () => (await ipam()).used === 0, {what: 'the part to be released'});
    await expect(get('n1')).rejects.toMatchObject({code: 'node-unknown', status: 404});
    await aNode('n2');
    expect((await get('n2')).self?.subnet).not.toBe(self?.subnet);
  });

  it('gives a machine back what it holds after the store was emptied', async () => {
    await set({backend: 'vxlan'});
    await aNode('n1');
    expect((await get('n1', '10.244.77.0/24')).self?.subnet).toBe('10.244.77.0/24');
  });

  it('says which machine is left without addresses when there are no more', async () => {
    await set({backend: 'vxlan', cidr: '10.244.0.0/23'});
    await Promise.all(['n1', 'n2', 'n3'].map((name) => aNode(name)));
    await get('n1');
    await get('n2');
    await expect(get('n3')).rejects.toMatchObject({code: 'subnets-exhausted', status: 422});
    expect((await ask('/networks/ipam')).body).toMatchObject({total: 2, used: 2, without: ['n3']});
    expect((await set({backend: 'vxlan', cidr: '10.244.0.0/22'})).status).toBe(200);
    expect((await get('n3')).self?.subnet).toBe('10.244.2.0/24');
  });

  it.each([
    [{backend: 'vxlan', cidr: '10.96.0.0/15'}, 'range-unusable', 'spec.cidr'],
    [{backend: 'vxlan', cidr: '10.200.0.0/24'}, 'range-unusable', 'spec.cidr'],
    [{backend: 'vxlan', cidr: '10.50.0.0/24'}, 'range-unusable', 'spec.cidr'],
    [{backend: 'vxlan', cidr: '10.50.0.0/16'}, 'range-in-use', 'spec.cidr'],
  ])('refuses %j', async (spec, code, path) => {
    await set({backend: 'vxlan'});
    await aNode('n1');
    await aNode('n2');
    await get('n1');
    expect((await set(spec)).body).toMatchObject({status: 422, code, errors: [{path}]});
    expect((await ask('/networks/cluster')).body).toMatchObject({spec: {backend: 'vxlan', cidr: '10.244.0.0/16'}});
  });

  it('hands on the keys that machines told, no key twice, and forgets those of machines that are gone', async () => {
    const [one, two] = ['A'.repeat(43), 'B'.repeat(42) + 'A'].map((key) => `${key}=`);
    await Promise.all(['n1', 'n2', 'n3'].map((name) => aNode(name)));
    const tell = (node: string, wireguardKey: string | undefined) => call(bus, getNetwork, {node}, {session: 1, wireguardKey});
    // Before anybody wants it.
    expect((await tell('n1', one)).self).toBeNull();
    await set({backend: 'vxlan'});
    await tell('n1', one);
    await tell('n2', two);
    expect((await tell('n3', one)).peers.map(({node, wireguardKey}) => [node, wireguardKey])).toEqual([['n1', one], ['n2', two]]);
    expect((await get('n1')).peers.map(({node, wireguardKey}) => [node, wireguardKey])).toEqual([['n2', two], ['n3', undefined]]);
    await nodes.in(store).delete('n1');
    await waitFor(async () => (await ipam()).used === 2, {what: 'the part to be released'});
    await tell('n3', one);
    expect((await get('n2')).peers).toMatchObject([{node: 'n3', wireguardKey: one}]);
    await expect(tell('n3', 'a key\n[Peer]')).rejects.toThrow();
  });

  it('refuses to encrypt while machines that answer cannot, and says why', async () => {
    const status = {backend: 'vxlan' as const, subnet: null, mtu: null, problems: [], mended: {times: 0, last: null}, device: null, peers: []};
    const means: Record<string, OverlayStatus['wireguard']> = {n1: {by: 'kernel'}, n2: {unable: 'no WireGuard in the kernel'}, n3: undefined};
    await set({backend: 'vxlan'});
    for (const node of ['n1', 'n2', 'n3', 'n4']) await aNode(node);
    for (const node of Object.keys(means)) await serve(bus, getOverlay, {node}, async () => ({...status, node, wireguard: means[node]}));
    const refused = await ask('/networks/cluster', 'PATCH', {spec: {backend: 'wireguard'}});
    expect(refused.body).toMatchObject({status: 422, code: 'backend-unsupported', detail: 'Back-end wireguard cannot be had on n2 (no WireGuard in the kernel), n3 (its agent is of an earlier release).', errors: [{path: 'spec.backend'}]});
    means.n2 = {by: 'wireguard-go'};
    means.n3 = {by: 'kernel'};
    expect((await ask('/networks/cluster', 'PATCH', {spec: {backend: 'wireguard'}})).body).toMatchObject({spec: {backend: 'wireguard'}});
    // What it was switched to goes on.
    means.n3 = {unable: 'gone'};
    expect((await ask('/networks/cluster', 'PATCH', {spec: {mtu: 1400}})).status).toBe(200);
  });

  it('tells machines where virtual IPs are taken from, and keeps that clear of containers and machines', async () => {
    const settings = collection(collections.discoverySettings).in(store);
    await set({backend: 'vxlan'});
    await aNode('n1');
    expect((await get('n1')).virtualIps).toBe('10.96.0.0/16');
    await waitFor(() => changes > 0, {what: 'the machines to be told of the first'});
    const before = changes;
    await settings.put('settings', {virtualIps: '10.50.0.0/16'});
    await waitFor(async () => (await get('n1')).virtualIps === '10.50.0.0/16' && changes > before, {what: 'the machines to be told'});
    expect((await set({backend: 'vxlan', cidr: '10.50.0.0/15'})).body).toMatchObject({status: 422, code: 'range-unusable', errors: [{path: 'spec.cidr', message: expect.stringContaining('10.50.0.0/16')}]});
    await settings.put('settings', {virtualIps: '10.200.0.0/16'});
    await waitFor(async () => (await get('n1')).virtualIps === '10.200.0.0/16', {what: 'another range'});
    expect((await set({backend: 'auto'})).body).toMatchObject({status: 422, code: 'range-unusable', errors: [{path: 'spec.backend', message: expect.stringContaining('10.200.0.1')}]});
    expect((await set({backend: 'none'})).status).toBe(200);
  });

  it('refuses what is not a setting, other networks, and a write that lost the race', async () => {
    expect((await set({backend: 'carrier-pigeon'})).body).toMatchObject({status: 422, errors: [{path: 'spec.backend'}]});
    expect((await set({cidr: 'wide'})).body).toMatchObject({status: 422, errors: [{path: 'spec.cidr'}]});
    expect((await ask('/networks/other')).body).toMatchObject({status: 404, code: 'network-not-found'});
    const {etag} = await set({backend: 'direct'});
    expect((await ask('/networks/cluster', 'PATCH', {spec: {mtu: 1400}}, {'if-match': '"1"'})).status).toBe(412);
    expect((await ask('/networks/cluster', 'PATCH', {spec: {mtu: 1400}}, {'if-match': etag!})).body).toMatchObject({spec: {backend: 'direct', mtu: 1400}, meta: {generation: 3}});
  });

  it('asks every machine how it reaches the others, and names those that do not answer', async () => {
    await aNode('n1');
    await aNode('n2');
    const status = {node: 'n1', backend: 'none' as const, subnet: null, mtu: null, problems: [], mended: {times: 0, last: null}, device: null, peers: []};
    await serve(bus, getOverlay, {node: 'n1'}, async () => status);
    await waitFor(async () => Overlay.parse((await ask('/networks/overlay')).body).silent.length === 1, {what: 'both machines to be asked'});
    expect((await ask('/networks/overlay')).body).toEqual({backend: 'none', items: [status], silent: ['n2']});
  });
});
