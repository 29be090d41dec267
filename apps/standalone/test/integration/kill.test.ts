import {resourceKey} from '@hivemind/contracts';
import {waitFor} from '@hivemind/testkit';
import {aHivemind, app, clusterOf, createApp, engineContainers, sleeper, untilRunning, type Fixture} from '../standalone.ts';

// The whole of it (50 kills) is for `npm run test:full`; each kill is the same test, so a slice says most of what all say.
const kills = process.env.HIVEMIND_TEST_FULL === '1' ? 50 : 8;

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

    /** What the last acknowledged write of each name said; `undefined` while one is in doubt. */
    const acknowledged = new Map<string, number | undefined>();
    let writing = true;
    let writes = 0;
    const writer = (async () => {
      for (let n = 0; writing; n++) {
        const name = `moving-${n % 4}`;
        const replicas = n % 3;
        acknowledged.set(name, undefined);
        try {
          const {status} = await hivemind.call('PUT', `/apps/${name}`, {name, spec: sleeper(image, {replicas})});
          if (status === 200 || status === 201) {
            acknowledged.set(name, replicas);
            writes += 1;
          }
        } catch {
          // Killed under the request: in doubt until it is written again.
          await waitFor(() => hivemind.call('GET', '/status').then(() => true), {what: 'Hivemind to be back', deadlineMs: 30_000}).catch(() => undefined);
        }
      }
    })();

    for (let kill = 0; kill < kills; kill++) {
      // After another number of writes each time, so that it falls into creates, starts and removals alike.
      const until = writes + 1 + ((kill * 7) % 12);
      await waitFor(() => writes >= until, {what: 'writes to go on', deadlineMs: 30_000, intervalMs: 1});
      await hivemind.kill();
      await hivemind.start();
    }
    writing = false;
    await writer;

    for (const [name, replicas] of acknowledged) {
      if (replicas === undefined) continue;
      expect((await app(hivemind, name)).spec.replicas).toBe(replicas);
    }
    for (const name of acknowledged.keys()) {
      const wanted = (await app(hivemind, name)).spec.replicas;
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
