import {createServer, type Socket} from 'node:net';
import {join} from 'node:path';
import {removeTempDir, tempDir, waitFor} from '@hivemind/testkit';
import {asking, openEngine} from './engine.ts';

describe('an engine that takes a call and never answers', () => {
  it('is given up on after the deadline, with its address and what to do', async () => {
    const dir = tempDir('frozen-engine');
    const socketPath = join(dir, 'docker.sock');
    const open = new Set<Socket>();
    const server = createServer((socket) => void open.add(socket));
    await new Promise<void>((listening) => server.listen(socketPath, listening));
    const engine = await openEngine({socketPath});
    try {
      await expect(asking(engine, 'Listing containers', () => engine.docker.listContainers(), 50)).rejects.toMatchObject({
        code: 'runtime-unavailable',
        status: 503,
        message: expect.stringMatching(new RegExp(`Listing containers: .*${socketPath}.*has not answered`)),
      });
      await waitFor(() => open.size === 1, {what: 'the call to have arrived'});
    } finally {
      engine.close();
      for (const socket of open) socket.destroy();
      await new Promise((closed) => server.close(closed));
      await removeTempDir(dir);
    }
  });
});
