import {waitFor, type HivemindProcess} from '@hivemind/testkit';
import type Docker from 'dockerode';
import * as z from 'zod';
import {aHivemind, app, clusterOf, containersOf, createApp, engineContainers, sleeper, untilRunning, type Fixture} from '../standalone.ts';

describe('containers that fail', () => {
  let fixture: Fixture;
  let cluster: string;

  beforeAll(async () => {
    fixture = await aHivemind();
    cluster = await clusterOf(fixture.hivemind);
  }, 60_000);

  afterAll(() => fixture[Symbol.asyncDispose](), 60_000);

  it('a crash-looping container backs off, shows why, and blocks neither its own app nor another', async () => {
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
    const {status} = await hivemind.call('PUT', '/apps/crash', {name: 'crash', spec: sleeper(image, {update: {healthyFor: '100ms'}})});
    expect(status).toBe(200);
    await untilRunning(hivemind, 'crash', 1);
  }, 120_000);

  it.each([
    ['an image that does not exist', 'no-image', {image: 'hivemind-test/does-not-exist:1', pull: {policy: 'never'}}, '60s', /does-not-exist/],
    ['a command that crashes', 'crashing', {command: ['sh', '-c', 'exit 3']}, '60s', /exit code 3/],
    ['containers that never get ready', 'unready', {health: {readiness: {tcp: {port: 9}, interval: '200ms'}}}, '3s', /no progress within 3s/],
  ] as const)('a rollout to %s rolls back by itself, the old revision serving throughout', async (_title, name, broken, deadline, why) => {
    const {hivemind, docker, image} = fixture;
    await createApp(hivemind, name, sleeper(image, {replicas: 2, update: {deadline}}));
    await untilRunning(hivemind, name, 2);
    const before = await engineContainers(docker, cluster, name);
    expect((await hivemind.call('PATCH', `/apps/${name}`, {spec: broken})).status).toBe(200);
    const rollout = await untilRollout(hivemind, name, 2, 'rolled-back', async () => {
      const running = (await engineContainers(docker, cluster, name)).filter(({state}) => state === 'running').map(({runtimeId}) => runtimeId);
      expect(running).toEqual(expect.arrayContaining(before.map(({runtimeId}) => runtimeId)));
    });
    expect(rollout.message).toMatch(why);
    expect((await app(hivemind, name)).status.conditions).toContainEqual(expect.objectContaining({type: 'RolledOut', status: 'false', message: expect.stringMatching(why)}));
    expect(await engineContainers(docker, cluster, name)).toEqual(before);
  }, 120_000);

  it('a rolling update replaces every container and completes', async () => {
    const {hivemind, docker, image} = fixture;
    await createApp(hivemind, 'rolling', sleeper(image, {replicas: 3, update: {maxSurge: 3, healthyFor: '100ms'}}));
    await untilRunning(hivemind, 'rolling', 3);
    const before = (await engineContainers(docker, cluster, 'rolling')).map(({runtimeId}) => runtimeId);
    expect((await hivemind.call('PATCH', '/apps/rolling', {spec: {env: {VERSION: '2'}}})).status).toBe(200);
    await untilRollout(hivemind, 'rolling', 2, 'completed');
    const after = await engineContainers(docker, cluster, 'rolling');
    expect(after).toHaveLength(3);
    expect(after.filter(({runtimeId}) => before.includes(runtimeId))).toEqual([]);
    expect(after.every(({revision}) => revision === '2')).toBe(true);
  }, 120_000);

  it('readiness gates endpoints, and a failed liveness restarts the container', async () => {
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

const Deployment = z.object({spec: z.object({revision: z.number()}), status: z.object({phase: z.string(), message: z.string()})});

/** Waits until the rollout of that revision has ended so; at every look on the way, `meanwhile` must hold. */
async function untilRollout(hivemind: HivemindProcess, name: string, revision: number, phase: string, meanwhile: () => Promise<void> = async () => undefined): Promise<z.infer<typeof Deployment>['status']> {
  const looks: PromiseSettledResult<void>[] = [];
  const status = await waitFor(async () => {
    looks.push(...(await Promise.allSettled([meanwhile()])));
    const {spec, status: seen} = Deployment.parse((await hivemind.call('GET', `/deployments/${name}`)).body);
    if (spec.revision === revision && seen.phase === phase) return seen;
    throw new Error(JSON.stringify({spec, seen}));
  }, {what: `the rollout of revision ${revision} of ${name} to be ${phase}`, deadlineMs: 60_000, intervalMs: 50});
  expect(looks.filter((look) => look.status === 'rejected')).toEqual([]);
  return status;
}

/** Makes the liveness probe fail, until the container's command is started anew and removes the file. */
async function sicken(docker: Docker, runtimeId: string): Promise<void> {
  const exec = await docker.getContainer(runtimeId).exec({Cmd: ['sh', '-c', 'touch /www/sick'], AttachStdout: true});
  const stream = await exec.start({});
  await new Promise<void>((resolve) => {
    stream.on('end', resolve);
    stream.resume();
  });
}
