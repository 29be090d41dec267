import {spawnSync} from 'node:child_process';
import {mkdirSync, rmSync, statfsSync, writeFileSync} from 'node:fs';
import {join} from 'node:path';
import {removeTempDir, tempDir} from '@hivemind/testkit';
import {aHivemind, app, createApp, sleeper, untilRunning} from '../standalone.ts';

describe('a full disk under the data dir', () => {
  it('reads go on, writes answer 503, and with room again nothing was lost', async () => {
    const dir = tempDir('tmpfs');
    const mount = join(dir, 'disk');
    mkdirSync(mount);
    expect(spawnSync('mount', ['-t', 'tmpfs', '-o', 'size=24m', 'tmpfs', mount]).status).toBe(0);
    try {
      await using fixture = await aHivemind({dataDir: join(mount, 'data')});
      const {hivemind, image} = fixture;
      await createApp(hivemind, 'web', sleeper(image));
      await untilRunning(hivemind, 'web', 1);

      const filler = join(mount, 'filler');
      fill(mount, filler);
      const statuses = new Set<number>();
      for (let n = 0; n < 200 && !statuses.has(503); n++) {
        const {status, body} = await hivemind.call('POST', '/apps', {name: `more-${n}`, spec: sleeper(image, {replicas: 0, env: {PADDING: 'x'.repeat(60_000)}})});
        statuses.add(status);
        if (status === 503) expect(body).toMatchObject({code: 'unavailable'});
        fill(mount, filler);
      }
      expect([...statuses].every((status) => status === 201 || status === 503)).toBe(true);
      expect(statuses.has(503)).toBe(true);
      expect((await app(hivemind, 'web')).status.phase).toBe('running');

      rmSync(filler);
      const {status} = await hivemind.call('POST', '/apps', {name: 'after', spec: sleeper(image, {replicas: 0})});
      expect(status).toBe(201);
      await hivemind.kill();
      await hivemind.start();
      expect((await app(hivemind, 'after')).name).toBe('after');
      await untilRunning(hivemind, 'web', 1);
    } finally {
      await removeTempDir(dir);
    }
  }, 180_000);
});

/** Takes what is free, to the last block. */
function fill(mount: string, filler: string): void {
  const {bavail, bsize} = statfsSync(mount);
  if (bavail === 0) return;
  try {
    writeFileSync(filler, Buffer.alloc(bavail * bsize), {flag: 'a'});
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOSPC') throw error;
  }
}
