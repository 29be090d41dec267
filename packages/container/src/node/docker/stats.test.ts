import {containerStats, EngineStats} from './stats.ts';

const answer = (over: object = {}): EngineStats => EngineStats.parse({
  read: '2026-01-01T00:00:01.000000000Z',
  cpu_stats: {cpu_usage: {total_usage: 1_500_000_000}},
  memory_stats: {usage: 100, limit: 1000, stats: {}},
  pids_stats: {current: 3},
  ...over,
});
const before = {at: Date.parse('2026-01-01T00:00:00Z'), used: 1_000_000_000};

describe('containerStats', () => {
  it('tells processor time in millicores', () => {
    // Half a second of processor in one second.
    expect(containerStats('a', answer(), before)).toMatchObject({id: 'a', cpu: 500, pids: 3, time: '2026-01-01T00:00:01.000Z'});
    expect(containerStats('a', answer(), {at: Date.parse('2026-01-01T00:00:01Z'), used: 0}).cpu).toBe(0);
    // It was restarted in between: the counter began anew.
    expect(containerStats('a', answer(), {...before, used: 9e9}).cpu).toBe(0);
  });

  it('leaves out memory that the kernel would give back at once', () => {
    const memory = (stats: object) => containerStats('a', answer({memory_stats: {usage: 100, limit: 1000, stats}}), before).memory;
    expect(memory({total_inactive_file: 30})).toBe(70);
    expect(memory({inactive_file: 40})).toBe(60);
    expect(memory({total_inactive_file: 30, inactive_file: 5})).toBe(70);
    expect(memory({inactive_file: 200})).toBe(100);
  });

  it('adds up networks and disks, of both kinds of cgroup', () => {
    const stats = answer({
      networks: {eth0: {rx_bytes: 1, tx_bytes: 2}, eth1: {rx_bytes: 10, tx_bytes: 20}},
      blkio_stats: {io_service_bytes_recursive: [{op: 'Read', value: 5}, {op: 'write', value: 7}, {op: 'read', value: 1}, {op: 'Total', value: 99}]},
    });
    expect(containerStats('a', stats, before)).toMatchObject({networkIn: 11, networkOut: 22, blockRead: 6, blockWrite: 7});
    expect(containerStats('a', answer({networks: null, blkio_stats: {io_service_bytes_recursive: null}}), before)).toMatchObject({networkIn: 0, blockRead: 0});
  });
});
