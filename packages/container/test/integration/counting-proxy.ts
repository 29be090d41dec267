/** A socket in front of the engine's that keeps the first line of every request. */
import {once} from 'node:events';
import {createConnection, createServer} from 'node:net';
import {join} from 'node:path';
import {removeTempDir, tempDir} from '@hivemind/testkit';

export interface CountingProxy extends AsyncDisposable {
  readonly socketPath: string;
  /** As in `POST /containers/create?name=web-1 HTTP/1.1`, in order. */
  readonly requests: string[];
}

export async function countingProxy(target = '/var/run/docker.sock'): Promise<CountingProxy> {
  const dir = tempDir('proxy');
  const socketPath = join(dir, 'docker.sock');
  const requests: string[] = [];
  const server = createServer((client) => {
    const engine = createConnection(target);
    client.on('data', (data) => requests.push(...data.toString('latin1').split('\r\n').filter((line) => line.endsWith(' HTTP/1.1'))));
    client.pipe(engine).pipe(client);
    client.on('error', () => engine.destroy());
    engine.on('error', () => client.destroy());
  });
  server.listen(socketPath);
  await once(server, 'listening');
  return {
    socketPath,
    requests,
    [Symbol.asyncDispose]: async () => {
      server.close();
      await removeTempDir(dir);
    },
  };
}
