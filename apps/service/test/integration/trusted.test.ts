/** Services on a bus that asks everybody who they are, and machines that join it through a gateway off loopback. */
import {join} from 'node:path';
import {startJoinedAgent, type Agent} from '@hivemind/agent';
import {createFakeRuntime} from '@hivemind/container/testing';
import {openRedisStore} from '@hivemind/store';
import {startRedis} from '@hivemind/testkit';
import {openClusterKey, openClusterTrust} from '@hivemind/trust';
import {startTrustedNats, type TrustedNats} from '@hivemind/trust/testing';
import * as z from 'zod';
import {serviceNames, sharedIdentity, type RunningService} from '../../src/index.ts';
import {logger, outerAddress, TestCluster} from '../services.ts';

const cluster = new TestCluster();
let nats: TrustedNats;
let agent: Agent | undefined;
let id: string;
let outer: RunningService;

beforeAll(async () => {
  cluster.redis = await startRedis();
  // What an operator does before the first service: the trust, and a server that is configured with it.
  const store = await openRedisStore({url: cluster.redis.url});
  id = await sharedIdentity({store, dataDir: cluster.dataDir, now: Date.now()});
  const clusterKey = await openClusterKey(join(cluster.dataDir, 'cluster.key'), async () => false);
  nats = await startTrustedNats({tls: true, trust: await openClusterTrust({store, clusterKey, cluster: id, now: Date.now()})});
  cluster.nats = nats.server;
  await store.close();
  const bus = nats.server.url.replace('nats:', 'tls:');
  await cluster.start('gateway', {bus});
  outer = await cluster.start('gateway', {bus, listen: `${outerAddress}:0`});
  // One after another: modules that are loaded in between would keep a handshake waiting for longer than the server does.
  for (const name of serviceNames.filter((service) => service !== 'gateway')) await cluster.start(name, {bus});
}, 60_000);
afterAll(async () => {
  await agent?.stop();
  await cluster.stop();
});

it('lets a machine join with a token, and runs what is deployed on it', async () => {
  expect(outer.url).toMatch(/^https:/);
  const {json} = await cluster.call('POST', '/nodes/join-tokens', {});
  const {token} = z.object({token: z.string()}).parse(json);
  agent = await startJoinedAgent({gateway: outer.url, token, name: 'joined', address: '127.0.0.1', dataDir: join(cluster.dataDir, 'machine'), runtime: createFakeRuntime({cluster: id, engine: cluster.engine}), logger});
  expect((await cluster.call('POST', '/apps', {name: 'web', spec: {image: 'busybox', replicas: 2}})).status).toBe(201);
  await cluster.untilReady('web', 2);
  expect((await cluster.call('GET', '/nodes')).json).toMatchObject({items: [{name: 'joined', status: {phase: 'ready'}}]});
});
