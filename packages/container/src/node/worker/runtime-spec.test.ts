import {containerRecord} from './testing/builders.ts';
import {runtimeSpecOf} from './runtime-spec.ts';

const surroundings = {cluster: 'c1-cluster', node: 'n1', dataDir: '/data', revision: {epoch: 'e', n: 1}, replicas: 1};
const network = {bridge: 'hm0', subnet: '10.244.3.0/24', gateway: '10.244.3.1', others: '10.244.3.252/30', mtu: 1450, address: '10.244.3.7', dns: {servers: ['10.244.3.1'], search: ['shop.svc.hive', 'svc.hive'], options: []}};
const record = containerRecord({namespace: 'shop', app: 'web', template: {aliases: ['www'], networks: ['front', 'back']}});

describe('the networks of a container', () => {
  it('are the engine\'s own, one for each that it names in its namespace, which answer its names', () => {
    expect(runtimeSpecOf(record, [], surroundings).networks).toEqual([{name: 'hivemind-c1-clust-shop-front', aliases: ['web', 'www']}, {name: 'hivemind-c1-clust-shop-back', aliases: ['web', 'www']}]);
  });

  it('are the machine\'s one where it has one, at an address that its label tells', () => {
    const spec = runtimeSpecOf(record, [{}, {network}], surroundings);
    expect(spec).toMatchObject({network, networks: [{name: 'hivemind-c1-clust', aliases: []}], labels: {'hivemind.address': '10.244.3.7'}});
  });

  it('have the engine publish its ports, unless the machine leads them on', () => {
    const published = {...record, ports: [{container: 80, protocol: 'tcp' as const, host: 8080, name: 'http'}]};
    expect(runtimeSpecOf(published, [], surroundings).record.ports).toEqual(published.ports);
    expect(runtimeSpecOf(published, [{network}], surroundings).record.ports).toEqual(published.ports);
    const {record: made, labels} = runtimeSpecOf(published, [{network: {...network, publishes: true}}], surroundings);
    expect(made.ports).toEqual([{container: 80, protocol: 'tcp', name: 'http'}]);
    // What it was asked to be is kept, for whoever rebuilds a lost store.
    expect(JSON.parse(labels['hivemind.origin'] ?? '')).toMatchObject({container: {ports: published.ports}});
  });

  it('have the engine answer whole names where nobody else does', () => {
    const spec = runtimeSpecOf(record, [{network: {...network, dns: {...network.dns, servers: []}}}], surroundings);
    expect(spec.networks).toEqual([{name: 'hivemind-c1-clust', aliases: ['web.shop.svc.hive', 'www.shop.svc.hive']}]);
  });
});
