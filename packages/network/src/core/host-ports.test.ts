import {decide, keyOf, type WantedPort} from './host-ports.ts';

const web: WantedPort = {service: 'shop/web', port: 8080, targetPort: 80, protocol: 'tcp'};
const machine = {listeners: [{host: 8080, protocol: 'tcp' as const}], engine: [], addresses: new Set(['10.0.0.11'])};
const idle = {...machine, listeners: []};
const nothing: ReadonlySet<string> = new Set();

describe('a published port on a machine', () => {
  it('leads to containers, unless a process listened on it before', () => {
    expect(decide([web], nothing, idle)).toEqual({led: new Set([keyOf(web)]), taken: [], overridden: []});
    expect(decide([web], nothing, machine)).toEqual({led: nothing, taken: [{port: 8080, protocol: 'tcp', service: 'shop/web'}], overridden: []});
    expect(decide([{...web, protocol: 'udp'}], nothing, machine).taken).toEqual([]);
  });

  it('goes on leading there when a process begins to listen, and does so as soon as one has ended', () => {
    const led = new Set([keyOf(web)]);
    expect(decide([web], led, machine)).toEqual({led, taken: [], overridden: [web]});
    expect(decide([web], decide([web], nothing, machine).led, idle).led).toEqual(led);
    expect(decide([], led, machine)).toEqual({led: nothing, taken: [], overridden: []});
  });

  it('is not taken by what the engine has bound for a container of the same app', () => {
    const engine = [{service: 'shop/web', host: 8080, protocol: 'tcp' as const}];
    expect(decide([web], nothing, {...machine, engine}).taken).toEqual([]);
    expect(decide([{...web, service: 'shop/other'}], nothing, {...machine, engine}).taken).toHaveLength(1);
  });

  it('at an address is only the machine\'s that has it, and apart from listeners at others', () => {
    const at = (address: string): WantedPort => ({...web, address});
    const elsewhere = {...machine, listeners: [{host: 8080, protocol: 'tcp' as const, address: '127.0.0.1'}]};
    expect(decide([at('10.0.0.11')], nothing, elsewhere)).toMatchObject({led: new Set(['tcp/8080/10.0.0.11']), taken: []});
    expect(decide([at('127.0.0.1')], nothing, elsewhere).taken).toHaveLength(1);
    expect(decide([at('8.8.8.8')], nothing, idle)).toEqual({led: nothing, taken: [], overridden: []});
  });
});
