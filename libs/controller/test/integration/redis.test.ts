/** Leading on a real Redis: one at a time, whatever happens to the server or to who leads. */
import {collection, commit, openRedisStore, type Fence, type Store} from '@hivemind/store';
import {startRedis, waitFor, type RedisServer} from '@hivemind/testkit';
import {pino} from 'pino';
import * as z from 'zod';
import {runAsLeader, type Leader} from '../../src/index.ts';

const TTL_MS = 1_500;
const logger = pino({level: 'silent'});
const marks = collection({name: 'marks', schema: z.object({by: z.string()}), version: 1});

/** Somebody who would lead, with a connection of its own. */
class Candidate {
  /** Each time it was elected, in order. */
  readonly fences: Fence[] = [];
  leads = false;
  readonly name: string;
  readonly store: Store;
  readonly leader: Leader;

  constructor(name: string, store: Store) {
    this.name = name;
    this.store = store;
    this.leader = runAsLeader({
      store, logger,
      election: 'test',
      holder: name,
      ttlMs: TTL_MS,
      onElected: (fence) => {
        this.fences.push(fence);
        this.leads = true;
      },
      onLost: () => (this.leads = false),
    });
  }

  /** A write that only the leader may make. */
  async mark(fence: Fence | undefined): Promise<void> {
    if (!fence) throw new Error('not leading');
    await commit(this.store, {writes: [marks.putting('m', {by: this.name})], fence});
  }
}

let redis: RedisServer;
let candidates: Candidate[];

const candidate = async (name: string): Promise<Candidate> => {
  const made = new Candidate(name, await openRedisStore({url: redis.url}));
  candidates.push(made);
  return made;
};
const leading = (): readonly Candidate[] => candidates.filter(({leads}) => leads);
const untilOneLeads = (among: readonly Candidate[], after = 0): Promise<Candidate> =>
  waitFor(() => (leading().length === 1 ? among.find(({leads, fences}) => leads && (fences.at(-1)?.revision ?? 0) > after) : undefined), {what: 'one of them to lead', deadlineMs: 15_000});

/** What was asked while the server stood still is done when it goes on: who leads by that may be overtaken at once. */
const untilOneWrites = (): Promise<Candidate> => waitFor(async () => {
  const [one] = leading();
  await one?.mark(one.leader.fence());
  return leading().length === 1 && one;
}, {what: 'a leader that writes', deadlineMs: 15_000});

beforeEach(async () => {
  redis = await startRedis();
  candidates = [];
});
afterEach(async () => {
  await Promise.all(candidates.map(async ({leader, store}) => {
    await leader.stop();
    await store.close();
  }));
  await redis.stop();
});

it('elects one, and hands over at once when it stops', async () => {
  const both = [await candidate('a'), await candidate('b')];
  const first = await untilOneLeads(both);
  await first.mark(first.leader.fence());
  const [second] = both.filter((other) => other !== first);
  await first.leader.stop();
  await waitFor(() => second?.leads, {what: 'the other to lead', deadlineMs: TTL_MS});
  await second?.mark(second.leader.fence());
});

it('refuses what an overtaken leader still writes', async () => {
  const both = [await candidate('a'), await candidate('b')];
  const first = await untilOneLeads(both);
  const stale = first.leader.fence();
  // As a crash does it: nothing is revoked, nobody keeps the lease alive.
  await first.store.close();
  const second = await untilOneLeads(both.filter((other) => other !== first), stale?.revision);
  await second.mark(second.leader.fence());
  await expect(second.mark(stale)).rejects.toMatchObject({code: 'fenced'});
});

it('has one leader again after the server was frozen for longer than the lease, and after it was restarted', async () => {
  const both = [await candidate('a'), await candidate('b')];
  let before = (await untilOneLeads(both)).fences.at(-1);
  redis.pause();
  // By its own clock: it cannot hear from the store.
  await waitFor(() => leading().length === 0, {what: 'the leader to give up', deadlineMs: 15_000});
  redis.resume();
  const next = await untilOneWrites();
  expect(next.fences.at(-1)?.revision).toBeGreaterThan(before?.revision ?? 0);
  before = next.fences.at(-1);
  await redis.kill();
  await redis.start();
  const last = await untilOneWrites();
  expect(last.fences.at(-1)?.revision).toBeGreaterThanOrEqual(before?.revision ?? 0);
});
