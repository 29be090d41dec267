import {openSqliteStore, type Store} from '@hivemind/store';
import {waitFor} from '@hivemind/testkit';
import {pino} from 'pino';
import {instanceKey, registerInstance, serviceInstances, type Registration} from './index.ts';

const logger = pino({level: 'silent'});
const record = {service: 'app', instance: 'i1', url: 'http://127.0.0.1:1', version: '0', startedAt: '2026-01-01T00:00:00Z'};

describe('a registration', () => {
  let store: Store;
  let registration: Registration;

  beforeEach(async () => {
    store = await openSqliteStore({path: ':memory:'});
    // Longer than a busy machine holds up a process.
    registration = registerInstance({store, record, logger, leaseMs: 1_500});
    await registration.registered;
  });
  afterEach(async () => {
    await registration.stop();
    await store.close();
  });

  const stored = () => serviceInstances.in(store).get(instanceKey(record));

  it('is there from its first moment, under a lease', async () => {
    expect(await stored()).toMatchObject({value: record, lease: expect.any(String)});
  });

  it('outlives its lease many times over', async () => {
    const {version} = (await stored())!;
    const began = await store.revision();
    const keepAlive = store.keepAlive.bind(store);
    let beats = 0;
    store.keepAlive = async (id) => {
      beats += 1;
      await keepAlive(id);
    };
    await waitFor(() => beats >= 6, {what: 'six renewals'});
    expect((await stored())?.version).toBe(version);
    expect(await store.revision()).toEqual(began);
  });

  it('is made anew when the lease is lost, or the record alone', async () => {
    const {lease = ''} = (await stored())!;
    await store.revokeLease(lease);
    await waitFor(async () => (await stored())?.lease !== undefined && (await stored())?.lease !== lease, {what: 'a new lease'});
    await serviceInstances.in(store).delete(instanceKey(record));
    await waitFor(async () => (await stored()) !== undefined, {what: 'the record'});
  });

  it('comes back when the store was away', async () => {
    const {keepAlive, grantLease, revokeLease, get} = store;
    const away = () => Promise.reject(new Error('away'));
    let asked = 0;
    store.keepAlive = async () => {
      asked += 1;
      return away();
    };
    store.grantLease = away;
    await waitFor(() => asked > 1, {what: 'the store to be asked in vain'});
    Object.assign(store, {keepAlive, grantLease, revokeLease, get});
    await waitFor(async () => (await stored()) !== undefined, {what: 'the record'});
  });

  it('is gone when it stops', async () => {
    await registration.stop();
    expect(await stored()).toBeUndefined();
  });
});
