/** Under a bus that drops, doubles and delays, and with managers that come and go: never too many, and in the end as asked. */
import {lossy, type LossyBus} from '@hivemind/bus/testing';
import {informer} from '@hivemind/store';
import {waitFor} from '@hivemind/testkit';
import {TestCluster} from '../testing/cluster.ts';
import {containers} from './collections.ts';

/** mulberry32. */
function seeded(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

const MOST = 6;

describe.each([1, 2, 3, 4])('with seed %i', (seed) => {
  it('converges, and never has more containers than were asked for', async () => {
    let bus: LossyBus | undefined;
    const cluster = await TestCluster.start({nodes: [{name: 'n1'}, {name: 'n2'}], wrap: (plain) => (bus = lossy(plain, {seed, requestTimeout: 0.1}))});
    const random = seeded(seed);
    const ended = new AbortController();
    const watched = informer({store: cluster.store, collection: containers, signal: ended.signal});
    let most = 0;
    watched.onChange(() => {
      most = Math.max(most, watched.list().filter(({value}) => value.removedAt === undefined).length);
    });
    /** Asks until it is accepted: any request may be lost on the way. */
    const insist = (method: 'POST' | 'PATCH', path: string, body: unknown) =>
      waitFor(async () => [200, 201, 409].includes((await cluster.request(method, path, body)).statusCode), {deadlineMs: 10_000, what: `${method} ${path} to be accepted`});
    try {
      await insist('POST', '/apps', {name: 'web', spec: {image: 'web:1', replicas: MOST}});
      // Else a scale to none might come first, and nothing below would be tested.
      await waitFor(() => most > 0, {deadlineMs: 10_000, what: 'some to be placed'});
      let replicas = MOST;
      let image = 1;
      for (let round = 0; round < 12; round++) {
        const dice = random();
        if (dice < 0.4) await insist('POST', '/apps/web/scale', {replicas: (replicas = Math.floor(random() * (MOST + 1)))});
        else if (dice < 0.6) await insist('PATCH', '/apps/web', {spec: {image: `web:${(image += 1)}`}});
        else if (dice < 0.8) await cluster.restartManager();
        else await waitFor(async () => (await cluster.containers()).some(({removedAt}) => removedAt === undefined) || replicas === 0, {deadlineMs: 10_000, what: 'some to be placed'});
      }
      bus?.heal();
      await waitFor(
        async () => {
          const records = await cluster.containers();
          const runs = [...cluster.machines.values()].flatMap((machine) => [...machine.runs.values()]);
          return records.length === replicas && runs.length === replicas && runs.every(({template}) => template.image === `web:${image}`);
        },
        {deadlineMs: 15_000, what: 'the cluster to be as asked'},
      );
      expect(most).toBeLessThanOrEqual(MOST);
      expect(Object.values(bus?.losses ?? {}).reduce((sum, count) => sum + count, 0)).toBeGreaterThan(0);
      const assigned = await Promise.all(['n1', 'n2'].map(async (node) => JSON.parse((await cluster.store.get('assignments', node))?.value ?? '{"containers":[]}').containers));
      expect(assigned.flat().map(({id}: {id: string}) => id).toSorted()).toEqual((await cluster.containers()).map(({id}) => id).toSorted());
    } finally {
      ended.abort();
      await cluster.stop();
    }
  });
});
