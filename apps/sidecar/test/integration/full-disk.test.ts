/** A sidecar whose words cannot be written: /dev/full is a disk without room. */
import {spawn} from 'node:child_process';
import {once} from 'node:events';
import {closeSync, openSync} from 'node:fs';
import {join, resolve} from 'node:path';
import {freePort, removeTempDir, tempDir, waitFor} from '@hivemind/testkit';
import {connectSidecar} from '../../src/grpc/client.ts';

it('serves on', async () => {
  const dir = tempDir('full');
  const full = openSync('/dev/full', 'w');
  const socket = join(dir, 'a.sock');
  const words = [resolve(import.meta.dirname, '../../src/main.ts'), '--name', 'a', '--bind', `127.0.0.1:${await freePort()}`, '--socket', socket, '--data-dir', dir];
  const child = spawn('setpriv', ['--pdeathsig', 'KILL', '--', process.execPath, ...words], {env: {...process.env, NODE_OPTIONS: ''}, stdio: ['ignore', full, full]});
  const ended = once(child, 'exit');
  closeSync(full);
  using client = connectSidecar(socket);
  try {
    // It says that it is up, in its log and for people, before it answers.
    const {members} = await waitFor(() => (child.exitCode === null ? client.members() : Promise.reject(new Error(`it ended with ${child.exitCode}`))), {what: 'the sidecar to answer', deadlineMs: 20_000});
    expect(members).toMatchObject([{name: 'a', state: 'alive'}]);
    child.kill('SIGTERM');
    await ended;
    expect(child.exitCode).toBe(0);
  } finally {
    child.kill('SIGKILL');
    await removeTempDir(dir);
  }
}, 30_000);
