import {setTimeout as pause} from 'node:timers/promises';
import {resourceKey} from '@hivemind/contracts';
import {waitFor} from '@hivemind/testkit';
import {aHivemind, app, clusterOf, createApp, engineContainers, sleeper, untilRunning, type Fixture} from '../standalone.ts';

// The whole of it (50 kills) is for `npm run test:full`; each kill is the same test, so a slice says most of what all say.
const kills = process.env.HIVEMIND_TEST_FULL === '1' ? 50 : 5;

describe('kill -9 of standalone', () => {
  let fixture: Fixture;
  let cluster: string;

  beforeAll(async () => {
    fixture = await aHivemind();
    cluster = await clusterOf(fixture.hivemind);
  }, 90_000);

  afterAll(() => fixture[Symbol.asyncDispose](), 60_000);

  it('loses no acknowledged write, keeps containers and their ids, never doubles one', async () => {
    const {hivemind, docker, image} = fixture;
    await createApp(hivemind, 'steady', sleeper(image, {replicas: 2}));
    await untilRunning(hivemind, 'steady', 2);
    const before = await engineContainers(docker, cluster, 'steady');

    /** Replicas by name, as the last acknowledged write of it said. */
    const acknowledged = new Map<string, number>();
    let n = 0;
    for (let kill = 0; kill < kills; kill++) {
      // Another moment each time, so that it falls into writes, creates, starts and removals alike.
      const killed = pause((kill * 397) % 1009).then(() => hivemind.kill());
      const doubtful = await writeUntilGone();
      await killed;
      await hivemind.start();
      for (const [name, replicas] of acknowledged) {
        const found = (await app(hivemind, name)).spec.replicas;
        expect(name === doubtful.name ? [replicas, doubtful.replicas] : [replicas]).toContain(found);
        acknowledged.set(name, found);
      }
    }
    expect(n).toBeGreaterThan(kills);

    /** Answers the write that nobody acknowledged: it may have been made or not. */
    async function writeUntilGone(): Promise<{name: string; replicas: number}> {
      for (;;) {
        const write = {name: `moving-${n % 4}`, replicas: n % 3};
        n += 1;
        const answer = await hivemind.call('PUT', `/apps/${write.name}`, {name: write.name, spec: sleeper(image, {replicas: write.replicas})}).catch(() => undefined);
        if (answer === undefined) return write;
        expect([200, 201]).toContain(answer.status);
        acknowledged.set(write.name, write.replicas);
      }
    }

    for (const [name, wanted] of acknowledged) {
      await waitFor(async () => {
        const found = await engineContainers(docker, cluster, name);
        if (found.length === wanted && found.every((container) => container.state === 'running')) return true;
        throw new Error(`${resourceKey('default', name)} has ${JSON.stringify(found)}, wanted ${wanted}`);
      }, {what: `${wanted} containers of ${name}, none doubled`, deadlineMs: 60_000});
    }
    expect(await engineContainers(docker, cluster, 'steady')).toEqual(before);
  }, 600_000);

  it('restarts on return what died meanwhile, and nothing else', async () => {
    const {hivemind, docker, image} = fixture;
    await createApp(hivemind, 'pair', sleeper(image, {replicas: 2}));
    await untilRunning(hivemind, 'pair', 2);
    const [first, second] = await engineContainers(docker, cluster, 'pair');
    await hivemind.kill();
    process.kill(first?.pid ?? 0, 'SIGKILL');
    await waitFor(async () => (await docker.getContainer(first?.runtimeId ?? '').inspect()).State.Running === false, {what: 'the first to be dead'});
    await hivemind.start();
    await untilRunning(hivemind, 'pair', 2);
    const after = await engineContainers(docker, cluster, 'pair');
    expect(after.map(({id}) => id)).toEqual([first?.id, second?.id]);
    expect(after[0]?.pid).not.toBe(first?.pid);
    expect(after[1]).toEqual(second);
  }, 120_000);
});
