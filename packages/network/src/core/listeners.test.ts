import {isPastListeners, listenersOf} from './listeners.ts';

const head = '  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode';
const line = (local: string, remote: string, state: string): string => `   0: ${local} ${remote} ${state} 00000000:00000000 00:00000000 00000000     0        0 12345 1 0000000000000000 100 0 0 10 0`;
const table = (...lines: readonly string[]): string => `${[head, ...lines].join('\n')}\n`;

describe('who listens on a machine', () => {
  it('is told by the kernel, each with its address unless it is all of them', () => {
    expect(listenersOf(table(line('00000000:0016', '00000000:0000', '0A'), line('0100007F:1F90', '00000000:0000', '0A'), line('0B00000A:0016', '0C00000A:C350', '01')), 'tcp')).toEqual([{host: 22, protocol: 'tcp'}, {host: 8080, protocol: 'tcp', address: '127.0.0.1'}]);
    expect(listenersOf(table(line('3500007F:0035', '00000000:0000', '07'), line('0B00000A:8235', '08080808:0035', '01')), 'udp')).toEqual([{host: 53, protocol: 'udp', address: '127.0.0.53'}]);
  });

  it('of IPv6: all addresses are those of IPv4 too, and so is one that is written so', () => {
    const none = '00000000000000000000000000000000:0000';
    expect(listenersOf(table(line('00000000000000000000000000000000:1183', none, '0A'), line('00000000000000000000000001000000:0019', none, '0A'), line('0000000000000000FFFF00000100007F:0050', none, '0A')), 'tcp')).toEqual([{host: 4483, protocol: 'tcp'}, {host: 80, protocol: 'tcp', address: '127.0.0.1'}]);
  });

  it('is known before all of the table is read', () => {
    expect(isPastListeners(table(line('00000000:0016', '00000000:0000', '0A')))).toBe(false);
    expect(isPastListeners(table(line('00000000:0016', '00000000:0000', '0A'), line('0B00000A:0016', '0C00000A:C350', '01')))).toBe(true);
    // The last line may be cut off.
    expect(isPastListeners(`${head}\n${line('00000000:0016', '00000000:0000', '0A')}\n   1: 0100007F:1F90 000`)).toBe(false);
  });
});
