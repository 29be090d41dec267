/** Services as processes: each may be killed while a deploy runs, when another of its kind is there. */
import {join} from 'node:path';
import {waitFor} from '@hivemind/testkit';
import * as z from 'zod';
import {serviceNames} from '../../src/index.ts';
import {startServiceProcess, type ServiceProcess} from '../process.ts';
import {TestCluster} from '../services.ts';

const cluster = new TestCluster();
const processes = new Map<string, ServiceProcess>();

/** With a data dir of its own, as on a machine of its own; the cluster key is what an operator gives to all. */
const args = (name: string): string[] => ['--bus', cluster.nats.url, '--store', cluster.redis.url, '--data-dir', join(cluster.dataDir, `of-${name}`), '--listen', '127.0.0.1:0'];
const env = () => ({HIVEMIND_CLUSTER_KEY_FILE: join(cluster.dataDir, 'cluster.key')});
const managers = serviceNames.filter((name) => name !== 'gateway');

beforeAll(async () => {
  await cluster.startServers();
  await cluster.start('gateway');
  for (const name of managers) processes.set(name, await startServiceProcess(name, args(name), env()));
  await cluster.startAgent('n1');
}, 120_000);
afterAll(async () => {
  await Promise.all([...processes.values()].map((process) => process.end('SIGKILL')));
  await cluster.stop();
});

const deploy = async (name: string, replicas = 2): Promise<void> => {
  const {status, json} = await cluster.call('POST', '/apps', {name, spec: {image: 'busybox', replicas}}, {'idempotency-key': name});
  expect([status, json]).toEqual([201, expect.anything()]);
};
const Services = z.object({services: z.array(z.object({service: z.string(), instance: z.string()}))});
const instancesOf = async (service: string): Promise<readonly string[]> =>
  Services.parse((await cluster.call('GET', '/status')).json).services.filter((entry) => entry.service === service).map(({instance}) => instance);

it('deploys through nine processes', async () => {
  await deploy('first');
  await cluster.untilReady('first', 2);
});

it('names the manager that is not there, and goes on when it is back', async () => {
  await processes.get('health')?.end('SIGKILL');
  const {status, json, headers} = await cluster.call('GET', '/health');
  expect([status, headers.get('retry-after')]).toEqual([503, '1']);
  expect(json).toMatchObject({code: 'no-instance', detail: expect.stringContaining('health')});
  processes.set('health', await startServiceProcess('health', args('health'), env()));
  await waitFor(async () => (await cluster.call('GET', '/health')).status === 200, {what: 'health to be answered'});
});

it('leaves, when told to stop, before it stops taking requests', async () => {
  const before = await instancesOf('storage');
  const asked = new AbortController();
  const answers: number[] = [];
  const asking = (async () => {
    while (!asked.signal.aborted) answers.push((await cluster.call('GET', '/volumes')).status);
  })();
  const second = await startServiceProcess('storage', args('storage'), env());
  expect(await processes.get('storage')?.end('SIGTERM')).toBe(0);
  processes.set('storage', second);
  asked.abort();
  await asking;
  expect(new Set(answers)).toEqual(new Set([200]));
  const after = await instancesOf('storage');
  expect(after).toHaveLength(1);
  expect(before).not.toContain(after[0]);
});

describe('with a second of each', () => {
  beforeAll(() => cluster.startAll(), 60_000);

  it.each(managers)('survives the loss of a %s service while a deploy runs', async (name) => {
    const killed = processes.get(name)?.end('SIGKILL');
    await deploy(`without-${name}`, 3);
    await killed;
    await cluster.untilReady(`without-${name}`, 3, 45_000);
  }, 60_000);
});
