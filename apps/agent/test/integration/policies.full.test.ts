/** A whole cluster: a policy that a person writes decides who reaches whom, on one machine and across two. */
import type {Container} from '@hivemind/contracts';
import {waitFor} from '@hivemind/testkit';
import {startCluster, type TestCluster} from '../cluster.ts';

let cluster: TestCluster;

beforeAll(async () => {
  cluster = await startCluster({machines: 2});
}, 120_000);
afterAll(() => cluster?.stop());

const command = ['sh', '-c', 'mkdir -p /www; echo here > /www/name; exec httpd -f -p 80 -h /www'];

const reads = async (id: string, address: string): Promise<boolean> => (await cluster.reads(id, address)) === 'here';

/** Of every container of the one app to every one of the other, also where they are on two machines. */
async function untilReached(from: string, to: string, expected: boolean): Promise<void> {
  const [sources, targets] = [await cluster.records(from), await cluster.records(to)];
  await waitFor(async () => {
    for (const {name} of sources) for (const {status} of targets) if ((await reads(name, status.ip ?? '')) !== expected) throw new Error(`${name} ${expected ? 'does not reach' : 'reaches'} ${status.ip}`);
    return true;
  }, {what: `${from} ${expected ? '' : 'not '}to reach ${to}`, deadlineMs: 20_000});
}

describe('policies of a cluster', () => {
  it('hold between containers of a machine and of two, for new containers from the first, and no more when they are gone', async () => {
    await cluster.connect();
    for (const app of ['web', 'api', 'db']) await cluster.deploy(app, cluster.sleeper({replicas: 2, command}));
    for (const app of ['web', 'api', 'db']) await cluster.untilRunning(app, 2);
    const homes = new Set((await cluster.records('db')).map(({spec}: Container) => spec.node));
    expect(homes.size).toBe(2);
    await untilReached('web', 'db', true);
    await cluster.api.ask('POST', '/network-policies', {name: 'only-api', spec: {target: {app: 'db'}, ingress: [{action: 'allow', from: {app: 'api'}}, {action: 'deny', from: {all: true}}]}});
    await untilReached('web', 'db', false);
    await untilReached('api', 'db', true);
    await cluster.scale('db', 4);
    await cluster.untilRunning('db', 4);
    await untilReached('web', 'db', false);
    await untilReached('api', 'db', true);
    await cluster.api.ask('DELETE', '/network-policies/only-api');
    await untilReached('web', 'db', true);
  }, 150_000);
});
