import {readFileSync, writeFileSync} from 'node:fs';
import {join} from 'node:path';
import {call, createEmbeddedBus} from '@hivemind/bus';
import {lossy} from '@hivemind/bus/testing';
import {getNames} from '@hivemind/contracts';
import {systemClock} from '@hivemind/controller';
import {removeTempDir, tempDir, waitFor} from '@hivemind/testkit';
import {pino} from 'pino';
import type {EndpointsChange, Point} from '../model.ts';
import {readItems, SNAPSHOT_FILE} from '../names/snapshot-file.ts';
import {Registry} from '../core/registry.ts';
import {type TestCluster, testCluster} from '../testing/cluster.ts';
import {createDiscovery, type Discovery} from './discovery.ts';
import type {NamesPart, NamesTarget} from './hand-on.ts';

/** A sidecar that keeps what it is told, and can be started again. */
class FakeSidecar implements NamesTarget {
  registry = new Registry();
  at: Point = {epoch: '', n: 0};
  wholes = 0;
  away = false;
  virtualIps: boolean | undefined;
  #parts: NamesPart[] = [];

  async applyNames(part: NamesPart): Promise<Point> {
    if (this.away) throw new Error('away');
    this.virtualIps = part.virtualIps;
    const items = readItems(Buffer.from(part.items).toString());
    if (!part.whole && part.epoch === this.at.epoch && part.from === this.at.n) {
      this.registry.apply(items);
      this.at = {epoch: part.epoch, n: part.n};
    } else if (part.whole) {
      this.#parts = part.part === 0 ? [part] : [...this.#parts, part];
      if (!part.more) {
        this.registry.apply(this.#parts.flatMap((one) => readItems(Buffer.from(one.items).toString())), true);
        this.at = {epoch: part.epoch, n: part.n};
        this.wholes += 1;
      }
    }
    return this.at;
  }

  restart(): void {
    this.registry = new Registry();
    this.at = {epoch: '', n: 0};
  }

  view(name: string) {
    return this.registry.view(`shop/${name}`);
  }
}

describe('names on a machine', () => {
  let dataDir: string;
  let cluster: TestCluster;
  let machine: Discovery | undefined;
  let sidecar: FakeSidecar;
  beforeEach(() => {
    dataDir = tempDir('discovery');
    sidecar = new FakeSidecar();
  });
  afterEach(async () => {
    await machine?.stop();
    await cluster.close();
    await removeTempDir(dataDir);
  });

  const start = async (bus = cluster.bus): Promise<Discovery> => {
    machine = createDiscovery({bus, node: 'n1', dataDir, listen: ['127.0.0.1:53'], virtualIps: true, sidecar, clock: systemClock, random: Math.random, logger: pino({level: 'silent'})});
    await machine.start();
    return machine;
  };
  const addresses = (names: Pick<Discovery, 'services'>, name: string): readonly string[] | undefined => names.services().find((service) => service.name === name)?.endpoints.map(({address}) => address);

  it('converge with what the control plane knows under a bus that drops, doubles and delays', async () => {
    const bus = lossy(createEmbeddedBus(), {seed: 7, requestTimeout: 0.2});
    cluster = await testCluster({bus});
    await cluster.app('web');
    const names = await start();
    const told: EndpointsChange[] = [];
    names.onEndpointsChanged((change) => told.push(change));
    for (let round = 0; round < 40; round++) {
      await cluster.container(`web-${round % 7}`, {app: 'web', address: `10.244.1.${round}`, ready: round % 3 > 0});
      if (round % 5 === 0) await cluster.removeContainer(`web-${(round + 3) % 7}`);
    }
    bus.heal();
    expect(bus.losses.dropped).toBeGreaterThan(0);
    const truth = async () => (await cluster.ask('/services/web/endpoints?namespace=shop&limit=1000&ready=true')).body.items?.map(({spec}) => (spec as {address: string}).address).toSorted();
    await waitFor(async () => JSON.stringify(addresses(names, 'web')?.toSorted()) === JSON.stringify(await truth()), {what: 'the machine to know what is ready', deadlineMs: 20_000});
    await waitFor(() => JSON.stringify(sidecar.view('web')) === JSON.stringify(names.services()[0]), {what: 'its sidecar to know the same'});
    // Who balances was told each step, and the last word is the truth.
    expect(told.at(-1)?.services.find(({name}) => name === 'web')?.endpoints).toEqual(names.services()[0]?.endpoints);
  });

  it('give a virtual IP that is new when the machine delivers it, and go on where it does not', async () => {
    cluster = await testCluster();
    await cluster.app('web', {service: {headless: true}});
    const names = await start();
    let delivered = Promise.withResolvers<void>();
    const told: (boolean | undefined)[] = [];
    names.onEndpointsChanged(({services}) => {
      told.push(services.find(({name}) => name === 'web')?.headless);
      return delivered.promise;
    });
    delivered.resolve();
    await waitFor(() => sidecar.view('web')?.headless === true, {what: 'the headless service'});
    delivered = Promise.withResolvers();
    await cluster.app('web', {service: {headless: false}});
    await waitFor(() => told.at(-1) === false, {what: 'who balances to be told'});
    expect(sidecar.view('web')?.headless).toBe(true);
    delivered.resolve();
    await waitFor(() => sidecar.view('web')?.headless === false, {what: 'its names to follow'});
    delivered = Promise.withResolvers();
    await cluster.app('api');
    await waitFor(() => sidecar.view('api') !== undefined, {what: 'names of a service that is never delivered'});
    delivered.resolve();
  });

  it('that an earlier release kept are asked for again: it left out what it did not know', async () => {
    cluster = await testCluster();
    await cluster.network('vxlan');
    await cluster.app('web', {ports: [{container: 80, host: 8080}]});
    const names = await start();
    const published = (): number | undefined => machine?.services()[0]?.published?.[0]?.port;
    await waitFor(() => published() === 8080, {what: 'the port'});
    await names.stop();
    const path = join(dataDir, SNAPSHOT_FILE);
    const [head = '', ...rest] = readFileSync(path, 'utf8').trim().split('\n').map((line) => JSON.parse(line));
    delete head.facts;
    for (const {value} of rest) delete value.published;
    writeFileSync(path, [head, ...rest].map((line) => JSON.stringify(line)).join('\n'));
    const again = await start();
    expect(again.services()).toHaveLength(1);
    await waitFor(() => published() === 8080, {what: 'the port again, though nothing changed'});
    await again.stop();
    await start();
    expect(published()).toBe(8080);
  });

  it('come in pages where they are many, and go on from disk without the control plane', async () => {
    cluster = await testCluster();
    const labels = 'x'.repeat(200);
    await Promise.all(Array.from({length: 1_500}, (_, index) => cluster.app(`app-${index}`, {aliases: [labels.slice(0, 60), `${labels.slice(0, 50)}-${index}`], ports: [{name: 'http', container: 80}, {name: 'metrics', container: 9_090}]})));
    await waitFor(async () => (await cluster.ask('/services?namespace=shop&limit=1')).body.next !== undefined && (await cluster.store.list('services', {after: 'shop/app-998'})).records.length > 0, {what: 'services'});
    await waitFor(async () => (await call(cluster.bus, getNames, {node: 'n1'}, {})).next !== undefined, {what: 'more than a page of them'});
    const names = await start();
    await waitFor(() => names.services().length === 1_500, {what: 'all to arrive', deadlineMs: 20_000});
    await waitFor(() => [...sidecar.registry.keys()].length === 1_500, {what: 'the sidecar to have them'});
    const known = names.services();
    await names.stop();
    await cluster.close();
    cluster = await testCluster();
    await cluster.hold(true);
    const again = await start();
    expect(again.services()).toEqual(known);
    await waitFor(async () => call(cluster.bus, getNames, {node: 'n1'}, {}).then(() => false, (error: {code: string}) => error.code === 'names-held'), {what: 'the empty store to be held'});
    expect(again.services().length).toBe(1_500);
    // Once it is adopted, it counts: there is nothing.
    await cluster.hold(false);
    await waitFor(() => again.services().length === 0, {what: 'the names of the store that counts', deadlineMs: 20_000});
  });

  it('are brought to a sidecar that was away or started again, and nothing to one that knows them', async () => {
    cluster = await testCluster();
    await cluster.app('web');
    await cluster.container('web-a', {app: 'web', address: '10.244.1.1'});
    const names = await start();
    await waitFor(() => sidecar.view('web')?.endpoints.length === 1, {what: 'the sidecar to be told'});
    const wholes = sidecar.wholes;
    await cluster.container('web-b', {app: 'web', address: '10.244.1.2'});
    await waitFor(() => sidecar.view('web')?.endpoints.length === 2, {what: 'the change'});
    expect(sidecar.wholes).toBe(wholes);
    sidecar.away = true;
    await cluster.removeContainer('web-a');
    await waitFor(() => addresses(names, 'web')?.length === 1, {what: 'the machine to know'});
    sidecar.restart();
    sidecar.away = false;
    await waitFor(() => sidecar.view('web')?.endpoints.map(({address}) => address).join() === '10.244.1.2', {what: 'the sidecar to be told everything'});
  });

  it('give virtual IPs as they did when they were kept last, until somebody says whether these are delivered', async () => {
    cluster = await testCluster();
    const told = (expected: boolean): Promise<unknown> => waitFor(() => sidecar.virtualIps === expected, {what: `the sidecar to be told ${expected}`});
    let names = createDiscovery({bus: cluster.bus, node: 'n1', dataDir, listen: [], sidecar, clock: systemClock, random: Math.random, logger: pino({level: 'silent'})});
    await names.start();
    await told(false);
    names.configure({virtualIps: true});
    await told(true);
    await names.stop();
    sidecar.virtualIps = undefined;
    names = machine = createDiscovery({bus: cluster.bus, node: 'n1', dataDir, listen: [], sidecar, clock: systemClock, random: Math.random, logger: pino({level: 'silent'})});
    await names.start();
    await told(true);
    await names.stop();
    // What is said before counts more than what was kept.
    sidecar.virtualIps = undefined;
    names = machine = createDiscovery({bus: cluster.bus, node: 'n1', dataDir, listen: [], sidecar, clock: systemClock, random: Math.random, logger: pino({level: 'silent'})});
    names.configure({virtualIps: false});
    await names.start();
    await told(false);
  });
});
