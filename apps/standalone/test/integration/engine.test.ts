import {startDockerEngine, waitFor} from '@hivemind/testkit';
import {aHivemind, clusterOf, containersOf, createApp, engineContainers, sleeper, untilRunning} from '../standalone.ts';

// It differs from a socket that is gone by what times out, not by what is done.
const inFull = process.env.HIVEMIND_TEST_FULL === '1' ? it : it.skip;

describe('the engine under us', () => {
  it('a container removed behind our back is made again', async () => {
    await using fixture = await aHivemind();
    const {hivemind, docker, image} = fixture;
    const cluster = await clusterOf(hivemind);
    await createApp(hivemind, 'web', sleeper(image, {replicas: 2}));
    await untilRunning(hivemind, 'web', 2);
    const [first, second] = await engineContainers(docker, cluster, 'web');
    await docker.getContainer(first?.runtimeId ?? '').remove({force: true});
    await waitFor(async () => {
      const found = await engineContainers(docker, cluster, 'web');
      return found.length === 2 && found.every((container) => container.state === 'running' && container.runtimeId !== first?.runtimeId);
    }, {what: 'two running containers again', deadlineMs: 30_000});
    expect(await engineContainers(docker, cluster, 'web')).toContainEqual(second);
  }, 120_000);

  it('killed and gone for a while: what it lost is started again when it is back, and Hivemind answers throughout', async () => {
    await using engine = await startDockerEngine();
    await using fixture = await aHivemind({docker: engine.docker, dockerHost: engine.url});
    const {hivemind, docker, image} = fixture;
    const cluster = await clusterOf(hivemind);
    await createApp(hivemind, 'web', sleeper(image, {replicas: 2}));
    await untilRunning(hivemind, 'web', 2);
    const ids = (await engineContainers(docker, cluster, 'web')).map(({id}) => id);
    await engine.terminate();
    await waitFor(async () => {
      const {status, body} = await hivemind.call('GET', '/nodes');
      return status === 200 && JSON.stringify(body).includes('"available":false');
    }, {what: 'the node to say that its engine is away', deadlineMs: 30_000});
    // No answer of the engine is no news of the containers.
    expect((await containersOf(hivemind, 'web')).map(({name}) => name).toSorted()).toEqual(ids);
    await engine.start();
    await waitFor(async () => {
      const found = await engineContainers(docker, cluster, 'web');
      if (found.length === 2 && found.every((container) => container.state === 'running')) return true;
      throw new Error(JSON.stringify([found, (await containersOf(hivemind, 'web')).map(({status}) => status)]));
    }, {what: 'both containers to run again', deadlineMs: 60_000});
    expect((await engineContainers(docker, cluster, 'web')).map(({id}) => id)).toEqual(ids);
    await untilRunning(hivemind, 'web', 2);
  }, 180_000);

  it('its socket gone for 10 s: what runs is not touched, what died meanwhile is started again, what was asked for is made', async () => {
    await using engine = await startDockerEngine({liveRestore: true});
    await using fixture = await aHivemind({docker: engine.docker, dockerHost: engine.url});
    const {hivemind, docker, image} = fixture;
    const cluster = await clusterOf(hivemind);
    await createApp(hivemind, 'web', sleeper(image, {replicas: 2}));
    await untilRunning(hivemind, 'web', 2);
    const [first, second] = await engineContainers(docker, cluster, 'web');
    await engine.kill();
    process.kill(first?.pid ?? 0, 'SIGKILL');
    await createApp(hivemind, 'later', sleeper(image));
    const until = Date.now() + 10_000;
    await waitFor(async () => (await hivemind.call('GET', '/apps/web')).status === 200 && Date.now() >= until, {what: 'ten seconds to pass', deadlineMs: 30_000, intervalMs: 200});
    await engine.start();
    await untilRunning(hivemind, 'later', 1, 60_000);
    const [again, still] = await waitFor(async () => {
      const found = await engineContainers(docker, cluster, 'web');
      return found.length === 2 && found.every(({state}) => state === 'running') && found;
    }, {what: 'both containers to run', deadlineMs: 60_000});
    expect(still).toEqual(second);
    expect(again).toMatchObject({id: first?.id, runtimeId: first?.runtimeId});
    expect(again?.pid).not.toBe(first?.pid);
    await untilRunning(hivemind, 'web', 2);
  }, 180_000);

  inFull('frozen for 10 s: nothing is restarted', async () => {
    await using engine = await startDockerEngine();
    await using fixture = await aHivemind({docker: engine.docker, dockerHost: engine.url});
    const {hivemind, docker, image} = fixture;
    const cluster = await clusterOf(hivemind);
    await createApp(hivemind, 'web', sleeper(image, {replicas: 2}));
    await untilRunning(hivemind, 'web', 2);
    const before = await engineContainers(docker, cluster, 'web');
    engine.pause();
    const until = Date.now() + 10_000;
    await waitFor(async () => (await hivemind.call('GET', '/apps/web')).status === 200 && Date.now() >= until, {what: 'ten seconds to pass', deadlineMs: 20_000, intervalMs: 200});
    engine.resume();
    await untilRunning(hivemind, 'web', 2);
    expect(await engineContainers(docker, cluster, 'web')).toEqual(before);
  }, 180_000);

  it('two Hivemind on one engine do not see each other', async () => {
    await using one = await aHivemind();
    await using two = await aHivemind();
    await createApp(one.hivemind, 'web', sleeper(one.image));
    await createApp(two.hivemind, 'web', sleeper(two.image, {replicas: 2}));
    await untilRunning(one.hivemind, 'web', 1);
    await untilRunning(two.hivemind, 'web', 2);
    await two.hivemind.call('DELETE', '/apps/web');
    const other = await clusterOf(two.hivemind);
    await waitFor(async () => (await engineContainers(two.docker, other, 'web')).length === 0, {what: 'the second cluster to be empty', deadlineMs: 30_000});
    expect(await containersOf(one.hivemind, 'web')).toHaveLength(1);
    await untilRunning(one.hivemind, 'web', 1);
  }, 120_000);
});
