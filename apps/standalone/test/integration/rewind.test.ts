import {cpSync, rmSync} from 'node:fs';
import {join} from 'node:path';
import {startHivemind, waitFor, type HivemindProcess} from '@hivemind/testkit';
import * as z from 'zod';
import {aHivemind, app, clusterOf, createApp, engineContainers, sleeper, untilRunning, type Fixture} from '../standalone.ts';

describe('a store that lost or rewound its data (law 12)', () => {
  let fixture: Fixture;
  let cluster: string;

  beforeAll(async () => {
    fixture = await aHivemind();
    cluster = await clusterOf(fixture.hivemind);
  }, 90_000);

  afterAll(() => fixture[Symbol.asyncDispose](), 60_000);

  const volumeNames = async (): Promise<readonly string[]> => {
    const {Volumes} = await fixture.docker.listVolumes({filters: JSON.stringify({label: [`hivemind.cluster=${cluster}`]})});
    return Volumes.map(({Name}) => Name).toSorted();
  };

  it('a data dir put back from an older copy stops and removes nothing until adopted', async () => {
    const {hivemind, docker, image} = fixture;
    await createApp(hivemind, 'old', sleeper(image, {volumes: [{name: 'data', mount: '/data'}]}));
    await untilRunning(hivemind, 'old', 1);
    await hivemind.terminate();
    const copy = join(hivemind.dir, 'yesterday');
    cpSync(hivemind.dataDir, copy, {recursive: true});
    await hivemind.start();
    await createApp(hivemind, 'new', sleeper(image, {replicas: 2}));
    await untilRunning(hivemind, 'new', 2);
    const before = [...(await engineContainers(docker, cluster, 'old')), ...(await engineContainers(docker, cluster, 'new'))];
    await hivemind.terminate();
    rmSync(hivemind.dataDir, {recursive: true});
    cpSync(copy, hivemind.dataDir, {recursive: true});
    await passRevisions(hivemind.dataDir);

    await hivemind.start();
    expect(await clusterOf(hivemind)).toBe(cluster);
    await untilHeld(hivemind);
    await untilRunning(hivemind, 'old', 1);
    expect(await engineContainers(docker, cluster, 'new')).toHaveLength(2);

    expect((await hivemind.call('POST', '/cluster/adopt', {mode: 'keep'})).status).toBe(200);
    await untilRunning(hivemind, 'new', 2);
    await untilRunning(hivemind, 'old', 1);
    expect([...(await engineContainers(docker, cluster, 'old')), ...(await engineContainers(docker, cluster, 'new'))]).toEqual(before);
  }, 120_000);

  it('a data dir that is gone: the containers are found again, held, and rebuilt when adopted', async () => {
    const {hivemind, docker, image} = fixture;
    await createApp(hivemind, 'web', sleeper(image, {replicas: 2, volumes: [{name: 'data', mount: '/data'}]}));
    await untilRunning(hivemind, 'web', 2);
    const before = await engineContainers(docker, cluster, 'web');
    const volumes = await volumeNames();
    await hivemind.kill();
    rmSync(hivemind.dataDir, {recursive: true});

    await hivemind.start();
    expect(await clusterOf(hivemind)).toBe(cluster);
    await untilHeld(hivemind);
    expect(await engineContainers(docker, cluster, 'web')).toEqual(before);
    expect((await hivemind.call('POST', '/cluster/adopt', {mode: 'keep'})).status).toBe(200);
    await untilRunning(hivemind, 'web', 2);
    expect((await app(hivemind, 'web')).spec.replicas).toBe(2);
    expect(await engineContainers(docker, cluster, 'web')).toEqual(before);
    expect(await volumeNames()).toEqual(volumes);
  }, 120_000);

  it('discarding lets go of what the store does not know', async () => {
    const {hivemind, docker, image} = fixture;
    await createApp(hivemind, 'unwanted', sleeper(image));
    await untilRunning(hivemind, 'unwanted', 1);
    await hivemind.kill();
    rmSync(hivemind.dataDir, {recursive: true});
    await hivemind.start();
    await untilHeld(hivemind);
    expect((await hivemind.call('POST', '/cluster/adopt', {mode: 'discard'})).status).toBe(200);
    await waitFor(async () => (await engineContainers(docker, cluster, 'unwanted')).length === 0, {what: 'the container to be removed', deadlineMs: 60_000});
  }, 120_000);
});

/** Writes until the store's revisions have come further than where the lost ones ended: they alone show nothing then. */
async function passRevisions(dataDir: string): Promise<void> {
  await using hivemind = await startHivemind({dataDir, args: ['--no-agent']});
  await Promise.all(Array.from({length: 40}, (_, n) => createApp(hivemind, `further-${n}`, sleeper('none', {replicas: 0}))));
}

/** The node has shown what it runs, and the control plane says that it waits to be adopted. */
async function untilHeld(hivemind: HivemindProcess): Promise<void> {
  await waitFor(async () => {
    const {body} = await hivemind.call('GET', '/cluster/adoption');
    const {held, strangers} = z.looseObject({held: z.boolean(), strangers: z.array(z.unknown())}).parse(body);
    return held && strangers.length > 0;
  }, {what: 'the hold to be said', deadlineMs: 30_000});
}
