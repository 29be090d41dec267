import type {Bus} from '@hivemind/bus';
import {collections, type MemberState} from '@hivemind/contracts';
import {FakeClock} from '@hivemind/controller/testing';
import {collection} from '@hivemind/store';
import {waitFor} from '@hivemind/testkit';
import {ManagerHarness} from '../testing/harness.ts';

const members = collection(collections.members);
const leases = collection(collections.nodeLeases);

describe('the ruler', () => {
  let clock: FakeClock;
  let harness: ManagerHarness;

  beforeEach(async () => {
    clock = new FakeClock();
    harness = await ManagerHarness.start(clock);
    for (const name of ['n1', 'n2', 'n3']) await harness.register(name);
    await shows('n1', 'ready');
  });
  afterEach(() => harness.stop());

  /** Until a machine is shown so; the clock moves on by no more than what is gathered in. */
  const shows = (name: string, phase: string) => waitFor(async () => {
    await clock.advance(10);
    const {body} = await harness.ask(`/nodes/${name}`);
    return JSON.stringify(body).includes(`"phase":"${phase}"`);
  }, {what: `${name} to be ${phase}`});
  const silence = async (name: string): Promise<void> => {
    const lease = await leases.in(harness.store).get(name);
    await harness.store.revokeLease(lease?.value.lease ?? '');
    // So that it is seen before the clock moves on.
    await waitFor(async () => {
      await clock.advance(1);
      return (await harness.ask(`/nodes/${name}`)).status === 200 && (await leases.in(harness.store).get(name)) === undefined;
    }, {what: `${name} to be silent`});
    await clock.advance(20);
  };
  const gossip = (name: string, state: MemberState, unseen?: true) => members.in(harness.store).put(name, {name, address: '10.0.0.1:7946', tags: {}, state, ...(unseen ? {unseen} : {}), incarnation: 1, since: '2026-01-01T00:00:00Z', meta: {uid: name, generation: 1, createdAt: '2026-01-01T00:00:00Z', updatedAt: '2026-01-01T00:00:00Z'}});

  it('declares dead at once what gossip has lost too, and not before what gossip knows nothing of', async () => {
    await gossip('n1', 'dead');
    await shows('n1', 'ready');
    expect((await harness.ask('/nodes/n1')).body).toMatchObject({status: {conditions: expect.arrayContaining([expect.objectContaining({type: 'Degraded', status: 'true'})])}});
    await silence('n1');
    await shows('n1', 'dead');
    await silence('n2');
    await clock.advance(2_000);
    await shows('n2', 'unreachable');
    await clock.advance(4_000);
    await shows('n2', 'dead');
  });

  it('keeps what gossip sees unreachable for as long as that lasts', async () => {
    await gossip('n1', 'alive');
    await silence('n1');
    await clock.advance(30_000);
    await shows('n1', 'unreachable');
    await gossip('n1', 'dead');
    await shows('n1', 'dead');
    await harness.register('n1');
    await shows('n1', 'ready');
  });

  it('trusts the lease alone where gossip says no more than that nobody sees it', async () => {
    await gossip('n1', 'alive', true);
    await silence('n1');
    await clock.advance(2_000);
    await shows('n1', 'unreachable');
    await clock.advance(4_000);
    await shows('n1', 'dead');
  });

  it('a leader that is new declares nobody dead whom it has not had time to hear', async () => {
    await harness.restart();
    await waitFor(async () => (await harness.store.leader('node')) !== undefined, {what: 'a new leader'});
    await silence('n1');
    await clock.advance(10_000);
    await shows('n1', 'unreachable');
    await clock.advance(6_000);
    await shows('n1', 'dead');
  });

  it('after a stall of its own, silence proves nothing for a while', async () => {
    await clock.stall(10_000);
    await silence('n1');
    await clock.advance(8_000);
    await shows('n1', 'unreachable');
    await clock.advance(10_000);
    await shows('n1', 'dead');
  });

  it('while the bus is away nothing is ruled', async () => {
    const listeners: ((status: 'connected' | 'disconnected') => void)[] = [];
    const bus: Bus = harness.bus;
    bus.onStatus = (listener) => {
      listeners.push(listener);
      return () => undefined;
    };
    await harness.restart();
    await waitFor(() => listeners.length > 0, {what: 'a new leader'});
    for (const name of ['n1', 'n2', 'n3']) await harness.register(name);
    for (const listener of listeners) listener('disconnected');
    await silence('n1');
    await clock.advance(20_000);
    expect((await harness.ask('/nodes/n1')).body).toMatchObject({status: {phase: 'ready'}});
    for (const listener of listeners) listener('connected');
    await shows('n1', 'unreachable');
    await clock.advance(16_000);
    await shows('n1', 'dead');
  });
});
