import {AllocationRecord, collections, type NodeReport} from '@hivemind/contracts';
import {FakeClock} from '@hivemind/controller/testing';
import {flushEvents} from '@hivemind/service';
import {collection} from '@hivemind/store';
import {waitFor} from '@hivemind/testkit';
import {jest} from '@jest/globals';
import {createRegistration, type Registration} from '../node/registration.ts';
import {aReport as report, logger, ManagerHarness} from '../testing/harness.ts';

describe('the node manager', () => {
  let harness: ManagerHarness;

  beforeEach(async () => {
    harness = await ManagerHarness.start();
  });

  afterEach(() => harness.stop());

  const ask: ManagerHarness['ask'] = (url, options) => harness.ask(url, options);
  const register = (node?: string, told?: NodeReport) => harness.register(node, told);
  const beat = (session: number, node?: string, told?: NodeReport) => harness.beat(session, node, told);
  const get = async (url: string) => (await ask(url)).body;
  const shows: ManagerHarness['shows'] = (url, expected) => harness.shows(url, expected);

  it('gives each registration a higher session, and refuses the older ones', async () => {
    expect(await register()).toMatchObject({cluster: 'c1', session: 1, heartbeatMs: 500});
    await beat(1);
    expect(await register()).toMatchObject({session: 2});
    await expect(beat(1)).rejects.toMatchObject({code: 'session-expired', status: 409});
    await beat(2);
    await expect(beat(1, 'stranger')).rejects.toMatchObject({code: 'session-expired'});
  });

  it('shows a node as unreachable when it is not heard for its lease, and gives it a higher session after', async () => {
    await register();
    await shows('/nodes/n1', {status: {phase: 'ready', session: 1}});
    harness.leases.advance(1_500);
    await beat(1);
    harness.leases.advance(1_500);
    await beat(1);
    harness.leases.advance(2_001);
    await expect(beat(1)).rejects.toMatchObject({code: 'session-expired'});
    await shows('/nodes/n1', {status: {phase: 'unreachable', conditions: [{type: 'Reachable', status: 'false', reason: 'LeaseLapsed'}, {}, {}]}});
    expect(await register()).toMatchObject({session: 2});
    await shows('/nodes/n1', {status: {phase: 'ready'}});
  });

  it('takes over what the machine says of itself, and keeps the labels that people gave it', async () => {
    await register();
    await shows('/nodes/n1', {});
    await ask('/nodes/n1/labels', {method: 'PATCH', payload: {disk: 'ssd'}});
    await beat(1, 'n1', report({labels: {'hivemind.io/os': 'linux', 'hivemind.io/kernel': '6.1'}, runtime: {name: 'fake', version: '1', available: false, message: 'gone'}}));
    await shows('/nodes/n1', {labels: {disk: 'ssd', 'hivemind.io/kernel': '6.1'}, status: {runtime: {available: false}}});
  });

  it('says which published ports are left to processes of the machine, and tells of each once', async () => {
    await register();
    const taken = [{port: 22, protocol: 'tcp' as const, service: 'shop/web'}];
    await beat(1, 'n1', report({hostPorts: {taken}}));
    await shows('/nodes/n1', {status: {conditions: [{}, {}, {}, {type: 'HostPorts', status: 'false', reason: 'PortTaken', message: expect.stringContaining('22/tcp of shop/web')}]}});
    await beat(1, 'n1', report({hostPorts: {taken: [...taken, {port: 53, protocol: 'udp', service: 'shop/dns'}]}}));
    await flushEvents(harness.store);
    const told = (await collection(collections.events).in(harness.store).list()).items.filter(({value}) => value.reason === 'PortTaken');
    expect(told.map(({value}) => value.message)).toEqual([expect.stringContaining('22/tcp of shop/web'), expect.stringMatching(/: 53\/udp of shop\/dns$/)]);
    await beat(1, 'n1', report({hostPorts: {taken: []}}));
    await waitFor(async () => !JSON.stringify(await get('/nodes/n1')).includes('HostPorts'), {what: 'the condition to go'});
  });

  it('is cordoned and opened again, and refuses to overwrite the facts of the machine', async () => {
    await register();
    await shows('/nodes/n1', {});
    const cordoned = await ask('/nodes/n1/cordon', {method: 'POST'});
    expect(cordoned.body).toMatchObject({spec: {unschedulable: true}, meta: {generation: 2}});
    expect((await ask('/nodes/n1/cordon', {method: 'POST'})).etag).toBe(cordoned.etag);
    expect((await ask('/nodes/n1', {method: 'PATCH', headers: {'if-match': '"1"'}, payload: {spec: {unschedulable: false}}})).status).toBe(412);
    expect((await ask('/nodes/n1/uncordon', {method: 'POST'})).body).toMatchObject({spec: {unschedulable: false}});
    expect((await ask('/nodes/n1/labels', {method: 'PATCH', payload: {'hivemind.io/os': 'plan9'}})).body).toMatchObject({status: 422, errors: [{path: 'labels.hivemind.io/os'}]});
    expect((await ask('/nodes/n1/labels', {method: 'PATCH', payload: {'not a label': 'x'}})).status).toBe(422);
    expect((await ask('/nodes/none/cordon', {method: 'POST'})).body).toMatchObject({status: 404, code: 'node-not-found'});
  });

  it('counts what is promised and what is left', async () => {
    await register();
    const promised = AllocationRecord.parse({node: 'n1', containers: {a: {cpu: 500, memory: 1e8, ports: [], namespace: 'd', app: 'a'}, b: {cpu: 250, memory: 1e8, ports: [], namespace: 'd', app: 'a'}}});
    await collection(collections.allocations).in(harness.store).put('n1', promised);
    await shows('/nodes/n1/resources', {requested: {cpu: 750, memory: 2e8, containers: 2}, used: null, free: {cpu: 1250, memory: 8e8}});
    expect(await get('/nodes?phase=ready')).toMatchObject({items: [{name: 'n1'}]});
  });

  it('survives several agents of one name registering at once: one session stands', async () => {
    const sessions = await Promise.all(Array.from({length: 5}, () => register()));
    const numbers = sessions.map(({session}) => session);
    expect(new Set(numbers).size).toBe(5);
    const outcomes = await Promise.allSettled(numbers.map((session) => beat(session)));
    expect(outcomes.filter(({status}) => status === 'fulfilled')).toHaveLength(1);
  });

  describe('and its node half', () => {
    let clock: FakeClock;
    let registration: Registration;
    let told: NodeReport;
    let registrations: number;

    beforeEach(async () => {
      clock = new FakeClock();
      told = report();
      registrations = 0;
      registration = createRegistration({bus: harness.bus, node: 'n1', instance: 'i1', report: async () => told, clock, logger});
      registration.onRegistered(() => registrations++);
      await registration.start();
    });

    afterEach(() => registration.stop());

    it('keeps the lease alive, and registers again when it had lapsed', async () => {
      expect(registration.current()).toBe(1);
      const keepAlive = jest.spyOn(harness.store, 'keepAlive');
      for (let beats = 1; beats <= 6; beats++) {
        harness.leases.advance(500);
        await waitFor(async () => {
          await clock.advance(500);
          return keepAlive.mock.calls.length >= beats;
        }, {what: `beat ${beats}`});
      }
      expect(registration.current()).toBe(1);
      harness.leases.advance(5_000);
      await waitFor(async () => {
        await clock.advance(1_000);
        return registration.current() === 2;
      }, {what: 'a second session'});
      expect(registrations).toBe(2);
    });

    it('tells at once what changed', async () => {
      told = report({runtime: {name: 'fake', version: '1', available: false, message: 'gone'}});
      registration.reportNow();
      await shows('/nodes/n1', {status: {runtime: {available: false, message: 'gone'}}});
    });

    it('keeps its session while the control plane is away', async () => {
      await harness.manager.stop();
      await clock.advance(60_000);
      expect(registration.current()).toBe(1);
    });

    it('registers again when its session was refused elsewhere', async () => {
      registration.expired(1);
      await waitFor(() => registration.current() === 2, {what: 'a second session'});
      registration.expired(1);
      expect(registration.current()).toBe(2);
    });
  });
});
