import {once} from 'node:events';
import {createServer, type Server, type Socket} from 'node:net';
import type {Address} from '../core/messages.ts';
import {Transport} from './transport.ts';

const loopback: Address = {host: '127.0.0.1', port: 0};
const ping = {type: 'ping', seq: 3, target: 'a'} as const;

let transport: Transport;
let server: Server;
let sockets: Socket[];
beforeEach(async () => {
  sockets = [];
  server = createServer((socket) => {
    sockets.push(socket.on('error', () => undefined));
    socket.resume();
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  transport = await Transport.open({bind: loopback, framing: () => ({}), now: () => performance.now(), onPacket: () => undefined, onStream: () => undefined});
});
afterEach(async () => {
  for (const socket of sockets) socket.destroy();
  server.close();
  await transport.close();
});

const at = (): Address => {
  const address = server.address();
  return {host: '127.0.0.1', port: typeof address === 'object' && address ? address.port : 0};
};

describe('a message over TCP', () => {
  it('is given up on when nobody answers in time', async () => {
    await expect(transport.exchange(at(), ping, 50)).rejects.toMatchObject({name: 'StreamFailed', code: undefined, message: expect.stringContaining('no answer within 50 ms')});
  });

  it('says when nobody listens, so that the member is known to be gone from a machine that runs', async () => {
    await expect(transport.exchange({host: '127.0.0.1', port: 1}, ping, 5000)).rejects.toMatchObject({code: 'ECONNREFUSED'});
  });

  it('says what came back, where that is no answer', async () => {
    server.on('connection', (socket: Socket) => socket.end(Buffer.of(99, 1, 2)));
    await expect(transport.exchange(at(), ping, 5000)).rejects.toThrow('it answered what cannot be read: unknown-type');
  });

  it('says that the connection ended', async () => {
    server.on('connection', (socket: Socket) => socket.end());
    await expect(transport.exchange(at(), ping, 5000)).rejects.toThrow('the connection ended before a whole message');
  });

  it('is not sent to what is no address', async () => {
    await expect(transport.exchange(at(), {type: 'push-pull', join: false, userState: new Uint8Array(0), members: [
      {name: 'x', address: {host: 'a name', port: 1}, incarnation: 1, meta: new Uint8Array(0), versions: [], state: 'alive'},
    ]}, 5000)).rejects.toThrow('a name cannot be sent');
  });

  it('is not sent any more after the end', async () => {
    await transport.close();
    await expect(transport.exchange(at(), ping, 5000)).rejects.toThrow('this member has stopped');
  });
});
