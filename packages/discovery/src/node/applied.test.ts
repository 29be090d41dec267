import {systemClock} from '@hivemind/controller';
import {removeTempDir, tempDir, waitFor} from '@hivemind/testkit';
import {pino} from 'pino';
import {type TestCluster, testCluster} from '../testing/cluster.ts';
import {createDiscovery, type Discovery} from './discovery.ts';

const never = new AbortController().signal;

describe('a container that is removed', () => {
  let cluster: TestCluster;
  const machines: {readonly names: Discovery; readonly dataDir: string}[] = [];
  beforeEach(async () => {
    cluster = await testCluster();
    await cluster.app('web');
    for (const node of ['n1', 'n2']) await cluster.node(node, '10.5.0.9');
  });
  afterEach(async () => {
    for (const {names, dataDir} of machines.splice(0)) {
      await names.stop();
      await removeTempDir(dataDir);
    }
    await cluster.close();
  });

  /** `apply` resolves when the machine's kernel does as it was told. */
  async function machine(node: string, apply: () => Promise<void>): Promise<Discovery> {
    const dataDir = tempDir('discovery');
    const names = createDiscovery({bus: cluster.bus, node, dataDir, listen: [], virtualIps: true, clock: systemClock, random: Math.random, logger: pino({level: 'silent'})});
    machines.push({names, dataDir});
    names.onEndpointsChanged(apply);
    await names.start();
    return names;
  }
  const isKnown = (names: Discovery) => waitFor(() => names.services()[0]?.endpoints.length === 2, {what: 'both containers to be in rotation'});

  it('is left by nobody before every machine leads elsewhere, one that is slow included, one that is not ready left out', async () => {
    let kernel = Promise.resolve();
    const [one, two] = [await machine('n1', async () => undefined), await machine('n2', () => kernel)];
    await cluster.container('web-a', {app: 'web', address: '10.244.1.1'});
    await cluster.container('web-b', {app: 'web', address: '10.244.1.2'});
    await isKnown(one);
    await isKnown(two);
    const slow = Promise.withResolvers<void>();
    kernel = slow.promise;
    await cluster.container('web-a', {app: 'web', address: '10.244.1.1', removed: true});
    await waitFor(() => two.services()[0]?.endpoints.length === 1, {what: 'the slow machine to be told'});
    expect(await one.left('web-a', 200, never)).toMatch(/n2|machines/);
    const left = one.left('web-a', 20_000, never);
    slow.resolve();
    expect(await left).toBeUndefined();
    // Stuck for good: once it is ruled unreachable nobody waits for it.
    kernel = new Promise(() => undefined);
    await cluster.container('web-b', {app: 'web', address: '10.244.1.2', removed: true});
    await waitFor(() => two.services()[0]?.endpoints.length === 0, {what: 'the stuck machine to be told'});
    const again = one.left('web-b', 20_000, never);
    await cluster.verdict('n2', 'unreachable');
    expect(await again).toBeUndefined();
  });

  it('is known to be left by an agent that starts again after it went', async () => {
    const one = await machine('n1', async () => undefined);
    await cluster.container('web-a', {app: 'web', address: '10.244.1.1'});
    await cluster.container('web-b', {app: 'web', address: '10.244.1.2'});
    await isKnown(one);
    await cluster.container('web-a', {app: 'web', address: '10.244.1.1', removed: true});
    expect(await one.left('web-a', 20_000, never)).toBeUndefined();
    await one.stop();
    machines.pop();
    expect(await (await machine('n1', async () => undefined)).left('web-a', 20_000, never)).toBeUndefined();
  });
});
