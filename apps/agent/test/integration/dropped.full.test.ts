/** A whole cluster under load: replicas come and go behind a virtual IP, and no request fails. */
import {waitFor} from '@hivemind/testkit';
import * as z from 'zod';
import {startCluster, type TestCluster} from '../cluster.ts';
import {servingOk, startLoad} from '../load.ts';

let cluster: TestCluster;

beforeAll(async () => {
  cluster = await startCluster({machines: 2});
}, 120_000);
afterAll(() => cluster?.stop());

const Service = z.object({status: z.object({virtualIp: z.string()})});

/** Of 0.3 s each, from each machine: a container that stops always has some. */
const PER_SECOND = 40;

describe('nothing is dropped', () => {
  it('while an app is scaled and rolled that is gone at once when it is told to stop', async () => {
    await cluster.connect();
    await cluster.deploy('client', cluster.sleeper({mode: 'global'}));
    await cluster.deploy('web', cluster.sleeper({replicas: 4, ...servingOk(), ports: [{container: 80}], stop: {signal: 'SIGTERM', grace: '5s'}, update: {healthyFor: '0s'}, health: {readiness: {tcp: {port: 80}, interval: '200ms'}}}));
    await cluster.untilRunning('client', 2);
    await cluster.untilRunning('web', 4);
    const {status: {virtualIp: address}} = Service.parse(await cluster.api.ask('GET', '/services/web'));
    const clients = await cluster.records('client');
    expect(new Set(clients.map(({spec}) => spec.node)).size).toBe(2);
    const settled = (replicas: number, revision: number): Promise<unknown> => waitFor(async () => {
      const records = await cluster.records('web');
      return records.length === replicas && records.every(({spec, status}) => spec.revision === revision && status.ready);
    }, {what: `${replicas} of revision ${revision}, ready, and no other`, deadlineMs: 60_000});
    const loads = await Promise.all(clients.map(({name}) => startLoad(cluster, {from: name, address, port: 80, path: '/slow', perSecond: PER_SECOND})));
    await cluster.scale('web', 1);
    await settled(1, 1);
    await cluster.scale('web', 4);
    await settled(4, 1);
    await cluster.api.ask('PATCH', '/apps/web', {spec: {env: {ROUND: '2'}}});
    await settled(4, 2);
    const reports = await Promise.all(loads.map((load) => load.stop()));
    expect(reports.map(({failed}) => failed)).toEqual([{}, {}]);
    for (const {made} of reports) expect(made).toBeGreaterThan(2 * PER_SECOND);
  }, 150_000);
});
