/**
 * A cluster whose machines run containers by containerd alone: a slice of what `npm run test:full` does a second time, with
 * HIVEMIND_TEST_RUNTIME=containerd.
 */
import {waitFor} from '@hivemind/testkit';
import {startCluster, type TestCluster} from '../cluster.ts';

let cluster: TestCluster;

beforeAll(async () => {
  cluster = await startCluster({machines: 2, runtime: 'containerd'});
}, 120_000);
afterAll(() => cluster?.stop());

it('containers of both machines reach all by address and by name, also while an agent is away, which finds them as they were', async () => {
  for (const {name} of cluster.members) expect((await cluster.node(name)).status.runtime).toMatchObject({name: 'containerd', available: true});
  await cluster.connect();
  await cluster.deploy('web', cluster.sleeper({replicas: 4, ports: [{container: 80}], command: ['sh', '-c', 'mkdir -p /www; echo web > /www/name; exec httpd -f -p 80 -h /www']}));
  await cluster.untilRunning('web', 4);
  const untilAllReach = (): Promise<unknown> => waitFor(async () => {
    const web = await cluster.records('web');
    expect(new Set(web.map(({spec}) => spec.node)).size).toBe(2);
    for (const {name} of web) for (const host of [...web.map(({status}) => status.ip ?? 'no address'), 'web']) if ((await cluster.reads(name, host)) !== 'web') throw new Error(`${name} does not reach ${host}`);
    return true;
  }, {what: 'all to reach all', deadlineMs: 30_000});
  await untilAllReach();
  const before = await cluster.containers('web');
  const [member] = cluster.members;
  await member?.agent.kill();
  await untilAllReach();
  member?.agent.launch();
  await cluster.untilReady(cluster.members);
  expect(await cluster.containers('web')).toEqual(before);
}, 120_000);
