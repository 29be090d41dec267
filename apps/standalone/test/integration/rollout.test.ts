import {waitFor} from '@hivemind/testkit';
import type Docker from 'dockerode';
import {aHivemind, app, clusterOf, containersOf, createApp, engineContainers, sleeper, untilRunning} from '../standalone.ts';

describe('containers that fail', () => {
  it('a crash-looping container backs off, shows why, and blocks neither its own app nor another', async () => {
    await using fixture = await aHivemind();
    const {hivemind, image} = fixture;
    await createApp(hivemind, 'crash', {image, command: ['sh', '-c', 'echo the disk is on fire; exit 7']});
    const container = await waitFor(async () => {
      const [found] = await containersOf(hivemind, 'crash');
      return found !== undefined && found.status.restarts >= 2 && found.status.nextAttemptAt !== undefined ? found : undefined;
    }, {what: 'a back-off', deadlineMs: 30_000});
    expect(container.status).toMatchObject({exitCode: 7, ready: false});
    expect(container.status.lastLogs?.join('\n')).toContain('the disk is on fire');
    expect(JSON.stringify((await app(hivemind, 'crash')).status.conditions)).toContain('7');

    await createApp(hivemind, 'other', sleeper(image));
    await untilRunning(hivemind, 'other', 1);
    const {status} = await hivemind.call('PUT', '/apps/crash', {name: 'crash', spec: sleeper(image)});
    expect(status).toBe(200);
    await untilRunning(hivemind, 'crash', 1);
  }, 120_000);

  it('a rollout to an image that does not exist rolls back by itself, the old revision serving throughout', async () => {
    await using fixture = await aHivemind();
    const {hivemind, docker, image} = fixture;
    const cluster = await clusterOf(hivemind);
    const update = {deadline: '20s', healthyFor: '500ms'};
    await createApp(hivemind, 'web', sleeper(image, {replicas: 2, update}));
    await untilRunning(hivemind, 'web', 2);
    const before = await engineContainers(docker, cluster, 'web');
    await hivemind.call('PATCH', '/apps/web', {spec: {image: 'hivemind-test/does-not-exist:1', pull: {policy: 'never'}}});
    await waitFor(async () => {
      const running = (await engineContainers(docker, cluster, 'web')).filter((container) => container.state === 'running');
      expect(running.length).toBeGreaterThanOrEqual(2);
      const {body} = await hivemind.call('GET', '/deployments/web');
      return JSON.stringify(body).includes('"phase":"rolled-back"');
    }, {what: 'the rollback', deadlineMs: 40_000});
    expect((await app(hivemind, 'web')).status.conditions).toContainEqual(expect.objectContaining({message: expect.stringContaining('does-not-exist')}));
    expect(await engineContainers(docker, cluster, 'web')).toEqual(before);
  }, 120_000);

  it('a rolling update replaces every container and completes', async () => {
    await using fixture = await aHivemind();
    const {hivemind, docker, image} = fixture;
    const cluster = await clusterOf(hivemind);
    await createApp(hivemind, 'web', sleeper(image, {replicas: 3, update: {healthyFor: '100ms'}}));
    await untilRunning(hivemind, 'web', 3);
    const before = (await engineContainers(docker, cluster, 'web')).map(({runtimeId}) => runtimeId);
    expect((await hivemind.call('PATCH', '/apps/web', {spec: {env: {VERSION: '2'}}})).status).toBe(200);
    await waitFor(async () => JSON.stringify((await hivemind.call('GET', '/deployments/web')).body).includes('"phase":"completed"'), {what: 'the rollout', deadlineMs: 60_000});
    const after = await engineContainers(docker, cluster, 'web');
    expect(after).toHaveLength(3);
    expect(after.filter(({runtimeId}) => before.includes(runtimeId))).toEqual([]);
    expect(after.every(({revision}) => revision === '2')).toBe(true);
  }, 120_000);

  it('readiness gates endpoints, and a failed liveness restarts the container', async () => {
    await using fixture = await aHivemind();
    const {hivemind, image} = fixture;
    const script = 'mkdir -p /www; rm -f /www/sick; (sleep 1; echo ok > /www/ready) & exec httpd -f -p 80 -h /www';
    await createApp(hivemind, 'web', {
      image, command: ['sh', '-c', script], ports: [{container: 80, host: 0}], stop: {signal: 'SIGKILL'},
      health: {readiness: {http: {path: '/ready', port: 80}, interval: '200ms'}, liveness: {exec: ['sh', '-c', 'test ! -e /www/sick'], interval: '200ms', failures: 2}},
    });
    const early = await app(hivemind, 'web');
    expect(early.status.endpoints).toEqual([]);
    await untilRunning(hivemind, 'web', 1);
    const [endpoint] = (await app(hivemind, 'web')).status.endpoints;
    expect(await (await fetch(`http://127.0.0.1:${endpoint?.port}/ready`)).text()).toBe('ok\n');
    await fetch(`http://127.0.0.1:${endpoint?.port}/ready`);
    const [container] = await containersOf(hivemind, 'web');
    const restarted = await sicken(fixture.docker, container?.status.runtimeId ?? '').then(() =>
      waitFor(async () => (await containersOf(hivemind, 'web')).find(({status}) => status.restarts === 1), {what: 'the restart', deadlineMs: 30_000}),
    );
    expect(restarted.name).toBe(container?.name);
    const {body} = await hivemind.call('GET', '/apps/web/events');
    expect(JSON.stringify(body)).toContain('Unhealthy');
  }, 120_000);
});

/** Makes the liveness probe fail, until the container's command is started anew and removes the file. */
async function sicken(docker: Docker, runtimeId: string): Promise<void> {
  const exec = await docker.getContainer(runtimeId).exec({Cmd: ['sh', '-c', 'touch /www/sick'], AttachStdout: true});
  const stream = await exec.start({});
  await new Promise<void>((resolve) => {
    stream.on('end', resolve);
    stream.resume();
  });
}
