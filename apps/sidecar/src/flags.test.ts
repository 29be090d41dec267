import {readFlags, sidecarFlags} from './flags.ts';

const place = {dataDir: '/data', cwd: '/here'};
const whole = {name: 'n1', bind: '10.0.0.1:7946'};

describe('the flags of a sidecar', () => {
  it('are read', () => {
    expect(readFlags({...whole, join: ['10.0.0.2:1, seed:7946', '[fd00::1]:3'], tag: ['disk=ssd', 'a=b=c'], 'key-file': 'ring.key', metrics: 'off', bus: 'nats://10.0.0.9:4222', zone: 'z'}, place)).toEqual({
      name: 'n1', bind: {host: '10.0.0.1', port: 7946}, advertise: undefined,
      join: [{host: '10.0.0.2', port: 1}, {host: 'seed', port: 7946}, {host: 'fd00::1', port: 3}],
      keyFile: '/here/ring.key', dataDir: '/data', socket: '/data/sidecar.sock', zone: 'z', tags: {disk: 'ssd', a: 'b=c'}, bus: 'nats://10.0.0.9:4222', metrics: 'off',
    });
    expect(readFlags({...whole, socket: 's.sock', metrics: '127.0.0.1:0'}, place)).toMatchObject({socket: '/here/s.sock', metrics: {host: '127.0.0.1', port: 0}});
  });

  it.each([
    [{name: undefined}, '--name is needed'],
    [{name: ''}, '--name is needed'],
    [{name: 'x'.repeat(129)}, '--name is longer than 128'],
    [{bind: undefined}, '--bind is needed'],
    [{bind: 'localhost:7946'}, '--bind localhost:7946 is not an IP address and a port'],
    [{bind: '10.0.0.1'}, '--bind 10.0.0.1 is not an IP address and a port'],
    [{bind: '10.0.0.1:65536'}, '--bind 10.0.0.1:65536 is not'],
    [{bind: 'fd00::1:7946'}, '--bind fd00::1:7946 is not'],
    [{advertise: 'me'}, '--advertise me is not an IP address and a port'],
    [{join: ['10.0.0.2:1,seed']}, '--join seed is not HOST:PORT'],
    [{tag: ['disk']}, '--tag disk is not KEY=VALUE'],
    [{tag: ['=ssd']}, '--tag =ssd is not KEY=VALUE'],
    [{bus: 'http://x'}, '--bus http://x is not a bus'],
    [{metrics: 'on'}, '--metrics on is not off, nor HOST:PORT'],
  ])('%j is refused: %s', (wrong, message) => {
    expect(() => readFlags({...whole, ...wrong}, place)).toThrow(expect.objectContaining({code: 'wrong-usage', message: expect.stringContaining(message)}));
  });

  it('are each read under their own name', () => {
    const asked = new Set<string>();
    readFlags(new Proxy<Record<string, string>>({...whole}, {get: (target, name) => (asked.add(String(name)), Reflect.get(target, name))}), place);
    expect([...asked].toSorted()).toEqual(sidecarFlags.map(({name}) => name).toSorted());
  });
});
