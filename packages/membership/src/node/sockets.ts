/** One UDP and one TCP socket on the same port. */
import {createSocket, type Socket as Datagrams} from 'node:dgram';
import {once} from 'node:events';
import {createServer, isIPv6, type Server} from 'node:net';
import {membershipErrors} from '../errors.ts';
import type {Address} from '../core/messages.ts';

export interface Sockets {
  readonly udp: Datagrams;
  readonly tcp: Server;
  readonly bound: Address;
}

/** Port 0 takes one that is free for both; tried so often, as the one for TCP may be taken for UDP. */
const ATTEMPTS = 16;
/** Connections that wait to be accepted. */
const BACKLOG = 256;

/** Errors: `address-in-use` (409). */
export async function openSockets(bind: Address): Promise<Sockets> {
  for (let attempt = 1; ; attempt += 1) {
    const tcp = createServer();
    try {
      tcp.listen({host: bind.host, port: bind.port, exclusive: true, backlog: BACKLOG});
      await once(tcp, 'listening');
      const at = tcp.address();
      const port = typeof at === 'object' && at ? at.port : bind.port;
      return {tcp, udp: await openDatagrams({host: bind.host, port}), bound: {host: bind.host, port}};
    } catch (error) {
      tcp.close();
      const code = typeof error === 'object' && error !== null && 'code' in error ? error.code : undefined;
      if (code === 'EADDRINUSE' && bind.port === 0 && attempt < ATTEMPTS) continue;
      if (code === 'EADDRINUSE') throw membershipErrors['address-in-use'](`${bind.host}:${bind.port} is in use: give the ring another port`, {cause: error});
      if (code === 'EADDRNOTAVAIL') throw membershipErrors['address-in-use'](`${bind.host} is no address of this machine`, {cause: error});
      throw error;
    }
  }
}

async function openDatagrams({host, port}: Address): Promise<Datagrams> {
  const udp = createSocket({
    type: isIPv6(host) ? 'udp6' : 'udp4',
    // Only addresses are sent to. Without this, each packet would wait a turn for a name to be resolved.
    lookup: (name, _options, done) => done(null, name, isIPv6(name) ? 6 : 4),
  });
  try {
    // Asked for first: with a look-up that does not wait, binding does not either.
    const listening = once(udp, 'listening');
    udp.bind({address: host, port, exclusive: true});
    await listening;
    return udp;
  } catch (error) {
    udp.close();
    throw error;
  }
}
