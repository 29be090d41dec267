import {once} from 'node:events';
import {createServer} from 'node:net';
import type {TakenPort} from '@hivemind/contracts';
import {FakeClock} from '@hivemind/controller/testing';
import {waitFor} from '@hivemind/testkit';
import {pino} from 'pino';
import type {ServicesChange} from '../core/balance/balancer.ts';
import type {BalancedService} from '../core/balance/compile.ts';
import {HostPorts} from './host-ports.ts';

const service = (name: string, ...ports: readonly number[]): BalancedService => ({namespace: 'shop', name, ports: [], published: ports.map((port) => ({port, targetPort: 80, protocol: 'tcp' as const})), endpoints: []});

describe('published ports on their way to the kernel', () => {
  const clock = new FakeClock();
  const applied: ServicesChange[] = [];
  let taken: readonly TakenPort[] = [];
  const begin = (before: readonly string[] = []): HostPorts => {
    applied.length = 0;
    return new HostPorts({
      node: 'm1', clock, logger: pino({level: 'silent'}),
      apply: async (change) => void applied.push(change),
      before: async () => before, engine: async () => [], onTaken: (ports) => (taken = ports),
    });
  };
  const led = (change: ServicesChange | undefined) => change?.services.map(({name, published = []}) => [name, ...published.map(({port}) => port)]);
  const listening = async () => {
    const server = createServer().listen(0);
    await once(server, 'listening');
    const address = server.address();
    if (address === null || typeof address === 'string') throw new Error('it does not listen');
    return {server, port: address.port};
  };

  it('is left to a process until that has ended; all else goes on in the order told', async () => {
    const {server, port} = await listening();
    const ports = begin();
    await Promise.all([ports.apply({services: [service('web', port, 1)], gone: [], whole: true}), ports.apply({services: [service('api', 2)], gone: [], whole: false})]);
    expect(applied.map(led)).toEqual([[['web', 1]], [['api', 2]]]);
    expect(taken).toEqual([{port, protocol: 'tcp', service: 'shop/web'}]);
    expect(ports.problems).toEqual([expect.stringMatching(new RegExp(`port ${port}/tcp of shop/web .* on m1`))]);
    server.close();
    await once(server, 'close');
    await clock.advance(5_000);
    await waitFor(() => applied.length === 3, {what: 'the port to be led on'});
    expect(led(applied[2])).toEqual([['web', port, 1]]);
    expect([taken, ports.problems]).toEqual([[], []]);
    await ports.stop();
  });

  it('goes on leading to containers where it did before, whoever listens by now', async () => {
    const {server, port} = await listening();
    const ports = begin([`tcp/${port}`]);
    await ports.apply({services: [service('web', port)], gone: [], whole: true});
    expect(led(applied[0])).toEqual([['web', port]]);
    expect(taken).toEqual([]);
    expect(ports.problems).toEqual([expect.stringContaining('gets nothing')]);
    await ports.stop();
    server.close();
  });
});
