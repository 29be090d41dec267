import {once} from 'node:events';
import {createServer as createHttpServer, get} from 'node:http';
import {get as getSecure} from 'node:https';
import {type AddressInfo, createServer, type Socket} from 'node:net';
import {destroyAgents, upstreamAgents} from './upstream.ts';

describe('a connection to a service', () => {
  it('is not given up because this process was held up itself', async () => {
    const server = createHttpServer((_request, reply) => reply.end('here')).listen(0, '127.0.0.1');
    await once(server, 'listening');
    const agents = upstreamAgents(undefined, 50);
    const asked = get({host: '127.0.0.1', port: (server.address() as AddressInfo).port, agent: agents['http:']});
    const [socket] = (await once(asked, 'socket')) as [Socket];
    expect(socket.connecting).toBe(true);
    // Nothing else is done meanwhile, as when a large document is made.
    Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 200);
    expect((await once(asked, 'response'))[0]).toMatchObject({statusCode: 200});
    destroyAgents(agents);
    server.close();
  });

  it('is given up where nobody answers', async () => {
    const held: Socket[] = [];
    const silent = createServer((socket) => held.push(socket)).listen(0, '127.0.0.1');
    await once(silent, 'listening');
    const agents = upstreamAgents(undefined, 50);
    const asked = getSecure({host: '127.0.0.1', port: (silent.address() as AddressInfo).port, agent: agents['https:']});
    expect(await once(asked, 'error')).toEqual([expect.objectContaining({code: 'ETIMEDOUT'})]);
    destroyAgents(agents);
    for (const socket of held) socket.destroy();
    silent.close();
  });
});
