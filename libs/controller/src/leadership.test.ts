import {openSqliteStore, storeErrors, type Fence, type Store} from '@hivemind/store';
import {runAsLeader, type Leader, type LeadershipOptions} from './leadership.ts';
import {FakeClock} from './testing/fake-clock.ts';

const TTL_MS = 3_000;
const silent = {info: () => undefined, warn: () => undefined};

describe('leadership', () => {
  let clock: FakeClock;
  let store: Store;
  /** What happened, in order. */
  let log: string[];
  let leaders: Leader[];

  beforeEach(async () => {
    clock = new FakeClock();
    store = await openSqliteStore({path: ':memory:', clock: {now: () => clock.monotonic(), after: (ms, callback) => clock.setTimer(callback, ms)}});
    log = [];
    leaders = [];
  });
  afterEach(async () => {
    await Promise.all(leaders.map((leader) => leader.stop()));
    await store.close();
  });

  function lead(holder: string, options: Partial<LeadershipOptions> = {}): Leader {
    const leader = runAsLeader({
      store,
      election: 'app',
      holder,
      ttlMs: TTL_MS,
      clock,
      logger: silent,
      onElected: (_fence, signal) => {
        log.push(`${holder} leads`);
        signal.addEventListener('abort', () => log.push(`${holder} must stop`), {once: true});
      },
      onLost: () => log.push(`${holder} lost`),
      ...options,
    });
    leaders.push(leader);
    return leader;
  }

  /** The store, except that keep-alives go unanswered while `cut` says so. */
  function flaky(cut: () => boolean): Store {
    return new Proxy(store, {
      get(target, name: keyof Store) {
        if (name === 'keepAlive' && cut()) return () => Promise.reject(storeErrors.unavailable('The store is away.'));
        return target[name].bind(target);
      },
    });
  }

  const write = (fence: Fence) => store.transact({writes: [{op: 'put', collection: 'c', key: 'k', value: '1'}], fence});

  it('is won at once, and kept', async () => {
    const leader = lead('a');
    await clock.advance(0);
    expect(log).toEqual(['a leads']);
    await clock.advance(TTL_MS * 5);
    expect(log).toEqual(['a leads']);
    expect((await store.leader('app'))?.holder).toMatch(/^a#/);
    expect((await write(leader.fence() ?? {election: 'app', revision: -1})).ok).toBe(true);
  });

  it('has one holder, also of candidates that go by one name, and is handed over at once', async () => {
    const first = lead('same');
    await clock.advance(0);
    const second = lead('same');
    await clock.advance(TTL_MS * 3);
    expect(log).toEqual(['same leads']);
    expect(second.fence()).toBeUndefined();
    await first.stop();
    await clock.advance(0);
    expect(log).toEqual(['same leads', 'same must stop', 'same lost', 'same leads']);
    expect(first.fence()).toBeUndefined();
    expect(second.fence()).toBeDefined();
  });

  it('is given up before the lease can have lapsed when keep-alives go unanswered, and sought again', async () => {
    let cut = false;
    const leader = lead('a', {store: flaky(() => cut)});
    await clock.advance(0);
    const fence = leader.fence();
    cut = true;
    await clock.advance(TTL_MS * 0.9 - 1);
    expect(log).toEqual(['a leads']);
    await clock.advance(1);
    expect(log).toEqual(['a leads', 'a must stop', 'a lost']);
    cut = false;
    await clock.advance(TTL_MS);
    expect(log.slice(3)).toEqual(['a leads']);
    expect(leader.fence()?.revision).toBeGreaterThan(fence?.revision ?? Infinity);
    expect(fence && (await write(fence))).toMatchObject({ok: false, reason: 'fenced'});
  });

  it('outlasts a store that is away for less than the lease', async () => {
    let cut = false;
    lead('a', {store: flaky(() => cut)});
    await clock.advance(0);
    cut = true;
    await clock.advance(TTL_MS * 0.8);
    cut = false;
    await clock.advance(TTL_MS * 3);
    expect(log).toEqual(['a leads']);
  });

  it('is given up when the store says that the lease has ended', async () => {
    const leases: string[] = [];
    const remembering = new Proxy(store, {
      get(target, name: keyof Store) {
        if (name !== 'grantLease') return target[name].bind(target);
        return async (ttlMs: number) => {
          const lease = await target.grantLease(ttlMs);
          leases.push(lease.id);
          return lease;
        };
      },
    });
    lead('a', {store: remembering});
    await clock.advance(0);
    await store.revokeLease(leases[0] ?? '');
    await clock.advance(TTL_MS / 3);
    expect(log).toEqual(['a leads', 'a must stop', 'a lost']);
  });

  it('is given up after a stall longer than the lease, before anything else happens', async () => {
    lead('a');
    await clock.advance(0);
    await clock.stall(TTL_MS * 2);
    expect(log.slice(0, 3)).toEqual(['a leads', 'a must stop', 'a lost']);
  });

  it('passes on only after the work of the one before has ended', async () => {
    const work = Promise.withResolvers<void>();
    const slow = lead('slow', {
      onElected: async () => {
        log.push('slow leads');
        await work.promise;
      },
    });
    await clock.advance(0);
    lead('next');
    const stopped = slow.stop();
    await clock.advance(TTL_MS / 3);
    expect(log).toEqual(['slow leads']);
    work.resolve();
    await stopped;
    await clock.advance(0);
    expect(log).toEqual(['slow leads', 'slow lost', 'next leads']);
  });

  it('is given up when its work fails, and sought again after a pause', async () => {
    let attempts = 0;
    lead('a', {
      retryMs: 500,
      onElected: async () => {
        log.push(`attempt ${++attempts} at ${clock.monotonic()}`);
        if (attempts === 1) throw new Error('no');
      },
    });
    await clock.advance(600);
    expect(log).toEqual(['attempt 1 at 0', 'a lost', 'attempt 2 at 500']);
  });

  it('keeps trying while the store is away', async () => {
    let away = true;
    const absent = new Proxy(store, {
      get: (target, name: keyof Store) => (away ? () => Promise.reject(storeErrors.unavailable('Away.')) : target[name].bind(target)),
    });
    lead('a', {store: absent, retryMs: 200});
    await clock.advance(1000);
    expect(log).toEqual([]);
    away = false;
    await clock.advance(200);
    expect(log).toEqual(['a leads']);
  });
});
