import {createServer} from 'node:net';
import {join} from 'node:path';
import {removeTempDir, tempDir, waitFor} from '@hivemind/testkit';
import {connectSidecar} from './client.ts';

/** A channel whose pauses grow as gRPC's do by itself takes 15 s to this attempt; ours take 1.5 s. */
const ATTEMPTS = 7;

test('a sidecar that was away for long is found as soon as it is back: pauses between attempts do not grow', async () => {
  const dir = tempDir('client');
  const socket = join(dir, 'sidecar.sock');
  let attempts = 0;
  const server = createServer((connection) => {
    attempts += 1;
    connection.on('error', () => undefined).destroy();
  }).listen(socket);
  using client = connectSidecar(socket);
  try {
    await waitFor(async () => {
      await client.describe().catch(() => undefined);
      return attempts >= ATTEMPTS;
    }, {what: `${ATTEMPTS} attempts`});
  } finally {
    server.close();
    await removeTempDir(dir);
  }
});
