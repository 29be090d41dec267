import {createServer} from 'node:net';

// Below Linux's ephemeral range (32768 up), from which outgoing connections and the engine's automatic
// host ports are taken: a port that was free a moment ago is then still free.
const first = 12_000;
const last = 32_000;
const handedOut = new Set<number>();

/** A TCP port on which nothing listens, on any address; never the same one twice in a process. */
export async function freePort(): Promise<number> {
  for (let attempt = 0; attempt < 200; attempt++) {
    const port = first + Math.floor(Math.random() * (last - first));
    if (handedOut.has(port) || !(await canListen(port))) continue;
    handedOut.add(port);
    return port;
  }
  throw new Error(`no free TCP port found between ${first} and ${last}`);
}

function canListen(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const server = createServer()
      .once('error', () => resolve(false))
      .listen({port, host: '0.0.0.0', exclusive: true}, () => server.close(() => resolve(true)));
  });
}
