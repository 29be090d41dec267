import {connect, createServer} from 'node:net';
import {once} from 'node:events';
import type {AddressInfo} from 'node:net';
import {waitFor} from '@hivemind/testkit';
import {connectionsTo, countConnections} from './connections.ts';

const line = (local: string, remote: string, state: string): string => `   0: ${local} ${remote} ${state} 00000000:00000000 00:00000000 00000000     0        0 1 1 0 100 0 0 10 0`;
const heading = '  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode';
const count = (...lines: readonly string[]): number => countConnections([[heading, ...lines, ''].join('\n')]);
const listening = line('00000000:0050', '00000000:0000', '0A');

describe('connections to a container', () => {
  it('are those to ports that it listens on, until all of them has arrived', () => {
    expect(count(listening)).toBe(0);
    for (const state of ['01', '03', '04', '08', '09', '0B']) expect(count(listening, line('0201F40A:0050', '0301F40A:C000', state))).toBe(1);
    // Over: TIME_WAIT, FIN_WAIT2, CLOSE.
    for (const state of ['06', '05', '07']) expect(count(listening, line('0201F40A:0050', '0301F40A:C000', state))).toBe(0);
    // Those it made itself, and those with itself.
    expect(count(listening, line('0201F40A:D000', '0301F40A:0050', '01'))).toBe(0);
    expect(count(listening, line('0100007F:0050', '0100007F:C000', '01'))).toBe(0);
  });

  it('also come to a server that listens on IPv6 for both', () => {
    const six = '00000000000000000000000000000000';
    const mapped = (address: string): string => `0000000000000000FFFF0000${address}`;
    expect(count(line(`${six}:0050`, `${six}:0000`, '0A'), line(`${mapped('0201F40A')}:0050`, `${mapped('0301F40A')}:C000`, '01'))).toBe(1);
    expect(count(line(`${six}:0050`, `${six}:0000`, '0A'), line(`${mapped('0100007F')}:0050`, `${mapped('0100007F')}:C000`, '01'), line('00000000000000000000000001000000:0050', '00000000000000000000000001000000:C000', '01'))).toBe(0);
    expect(countConnections([[heading, line('0201F40A:0050', '0301F40A:C000', '01')].join('\n'), line(`${six}:0050`, `${six}:0000`, '0A')])).toBe(1);
  });

  it('are read from the kernel, and none where there is no such process', async () => {
    const server = createServer().listen(0, '0.0.0.0');
    await once(server, 'listening');
    // Not over the loopback: that would be its own.
    const {networkInterfaces} = await import('node:os');
    const address = Object.values(networkInterfaces()).flat().find((one) => one?.family === 'IPv4' && !one.internal)?.address;
    const before = await connectionsTo(process.pid);
    if (address !== undefined) {
      const socket = connect((server.address() as AddressInfo).port, address);
      await once(socket, 'connect');
      expect(await connectionsTo(process.pid)).toBe(before + 1);
      socket.destroy();
      await waitFor(async () => (await connectionsTo(process.pid)) <= before + 1, {what: 'it to end'});
    }
    server.close();
    expect(await connectionsTo(2 ** 30)).toBe(0);
  });
});
