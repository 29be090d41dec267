import {spawn, spawnSync} from 'node:child_process';
import {once} from 'node:events';
import {existsSync, mkdirSync, writeFileSync} from 'node:fs';
import {createServer} from 'node:net';
import {join} from 'node:path';
import {freePort, tempDir, waitFor} from './index.ts';
import {reapStale, removeTempDir} from './temp.ts';

describe('waitFor', () => {
  it('answers the first truthy value, over throws and falsehoods', async () => {
    const looks = [() => { throw new Error('not yet'); }, () => 0, () => '', () => 'here'];
    const answer = await waitFor(() => looks.shift()?.(), {what: 'the fourth look', intervalMs: 1});
    expect(answer).toBe('here');
  });

  it('says what it waited for and what it last saw', async () => {
    const never = () => { throw new Error('connection refused'); };
    await expect(waitFor(never, {what: 'a server', deadlineMs: 5, intervalMs: 1})).rejects.toThrow(
      'waited 0.005 s for a server; the last look failed: connection refused',
    );
  });
});

describe('freePort', () => {
  it('answers ports that can be listened on, each only once', async () => {
    const ports = await Promise.all(Array.from({length: 20}, freePort));
    expect(new Set(ports).size).toBe(20);
    const server = createServer().listen(ports[0], '127.0.0.1');
    await once(server, 'listening');
    server.close();
  });
});

describe('tempDir', () => {
  it('is unmounted before it is removed', async () => {
    const dir = tempDir();
    mkdirSync(join(dir, 'mount'));
    expect(spawnSync('mount', ['-t', 'tmpfs', 'tmpfs', join(dir, 'mount')]).status).toBe(0);
    writeFileSync(join(dir, 'mount', 'file'), '');
    await removeTempDir(dir);
    expect(existsSync(dir)).toBe(false);
  });

  it('of a dead process is reaped with the servers started in it; that of a live one stays', async () => {
    const mine = tempDir();
    // A pid above the kernel's maximum has no process.
    const stale = mine.replace(/hivemind-test-\d+\./, 'hivemind-test-4194305.');
    mkdirSync(stale);
    const server = spawn('sh', ['-c', 'while :; do sleep 1; done', join(stale, 'server.conf')]);
    const ended = once(server, 'exit');
    await once(server, 'spawn');
    reapStale();
    expect((await ended)[1]).toBe('SIGKILL');
    expect([existsSync(stale), existsSync(mine)]).toEqual([false, true]);
    await removeTempDir(mine);
  });
});
