/** Two of every service at once, each with connections of its own: one cluster, not two halves. */
import {waitFor} from '@hivemind/testkit';
import * as z from 'zod';
import {serviceNames, type RunningService} from '../../src/index.ts';
import {TestCluster} from '../services.ts';

const cluster = new TestCluster();
const Items = z.object({items: z.array(z.object({name: z.string()}))});

beforeAll(async () => {
  await cluster.startServers();
  await cluster.startAll();
  await cluster.startEach(serviceNames);
  await cluster.startAgent('n1');
}, 60_000);
afterAll(() => cluster.stop());

const gateways = (): readonly RunningService[] => [...cluster.services].filter(({name}) => name === 'gateway');

it('reads what was written, whichever instance is asked', async () => {
  const [one, other] = gateways();
  for (let round = 0; round < 10; round++) {
    const name = `c${round}`;
    expect((await cluster.call('POST', '/configs', {name, spec: {data: {}}}, {}, one!.url)).status).toBe(201);
    // Twice: each of the two instances is asked.
    for (const base of [other!.url, other!.url]) {
      const {json} = await cluster.call('GET', '/configs', undefined, {}, base);
      expect(Items.parse(json).items.map((item) => item.name)).toContain(name);
    }
  }
});

it('has one effect of a request that is sent to both at once', async () => {
  const replies = await Promise.all(gateways().map(({url}) => cluster.call('POST', '/configs', {name: 'once', spec: {data: {}}}, {'idempotency-key': 'once'}, url)));
  expect(replies.map(({status}) => status).toSorted()).toEqual(expect.arrayContaining([201]));
  for (const {status} of replies) expect([201, 409]).toContain(status);
});

it('lets one of two writers win', async () => {
  await cluster.call('POST', '/apps', {name: 'race', spec: {image: 'busybox', replicas: 0}});
  const etag = (await cluster.call('GET', '/apps/race')).headers.get('etag') ?? '';
  const replies = await Promise.all(gateways().flatMap(({url}) => [1, 2].map((label) => cluster.call('PATCH', '/apps/race', {labels: {label: `${label}`}}, {'if-match': etag}, url))));
  expect(replies.filter(({status}) => status === 200)).toHaveLength(1);
  expect(replies.filter(({status}) => status === 412)).toHaveLength(3);
});

it('seals a secret with one, and opens it on a machine through the other', async () => {
  for (const name of ['s1', 's2', 's3', 's4']) expect((await cluster.call('POST', '/secrets', {name, spec: {data: {key: `value of ${name}`}}})).status).toBe(201);
  const env = Object.fromEntries(['s1', 's2', 's3', 's4'].map((secret) => [secret.toUpperCase(), {secret, key: 'key'}]));
  for (const name of ['open-a', 'open-b']) {
    await cluster.call('POST', '/apps', {name, spec: {image: 'busybox', env}});
    await cluster.untilReady(name, 1);
  }
});

it('counts replicas once while many apps change at once', async () => {
  const names = Array.from({length: 12}, (_, index) => `many-${index}`);
  await Promise.all(names.map((name, index) => cluster.call('POST', '/apps', {name, spec: {image: 'busybox', replicas: 1 + (index % 3)}}, {}, gateways()[index % 2]!.url)));
  await Promise.all(names.map((name, index) => cluster.untilReady(name, 1 + (index % 3))));
  await Promise.all(names.map((name) => cluster.call('POST', `/apps/${name}/scale`, {replicas: 2})));
  await Promise.all(names.map((name) => cluster.untilReady(name, 2)));
  // Those that were one too many go after the others are counted ready.
  await waitFor(async () => {
    const {json} = await cluster.call('GET', '/containers?phase=running&limit=1000');
    const ofMany = z.object({items: z.array(z.object({spec: z.object({app: z.string()})}))}).parse(json).items.filter(({spec}) => names.includes(spec.app));
    return ofMany.length === 24;
  }, {what: 'two containers of each app', deadlineMs: 20_000});
});

it('goes on when a gateway and the leading app manager leave', async () => {
  const [gateway] = gateways();
  const apps = [...cluster.services].filter(({name}) => name === 'app');
  await Promise.all([cluster.call('POST', '/apps', {name: 'on', spec: {image: 'busybox', replicas: 3}}), cluster.stopService(gateway!), cluster.stopService(apps[0]!)]).catch(() => undefined);
  await cluster.call('PUT', '/apps/on', {name: 'on', spec: {image: 'busybox', replicas: 3}});
  await cluster.untilReady('on', 3);
});
