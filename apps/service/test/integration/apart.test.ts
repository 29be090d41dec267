/** Every manager as a service of its own, on real NATS and Redis, behind a gateway. */
import {TestCluster} from '../services.ts';

const cluster = new TestCluster();

beforeAll(async () => {
  await cluster.startServers();
  await cluster.startAll();
  await cluster.startAgent('n1');
});
afterAll(() => cluster.stop());

it('deploys, scales and deletes an app', async () => {
  expect((await cluster.call('POST', '/apps', {name: 'web', spec: {image: 'busybox', replicas: 2}})).status).toBe(201);
  await cluster.untilReady('web', 2);
  expect((await cluster.call('POST', '/apps/web/scale', {replicas: 4})).status).toBe(200);
  await cluster.untilReady('web', 4);
  expect((await cluster.call('DELETE', '/apps/web?wait=true')).status).toBe(200);
});
