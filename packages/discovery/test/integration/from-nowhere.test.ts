/** The name server, asked from where nobody can be answered. */
import {execFile} from 'node:child_process';
import {Resolver} from 'node:dns/promises';
import {promisify} from 'node:util';
import {freePort, fromPortZero, waitFor} from '@hivemind/testkit';
import dnsPacket from 'dns-packet';
import {Forwarder, NameServer, Zone} from '../../src/names/index.ts';

const setTimer = (callback: () => void, ms: number): (() => void) => {
  const timer = setTimeout(callback, ms);
  return () => clearTimeout(timer);
};

it('goes on', async () => {
  const port = await freePort();
  const zone = new Zone({node: 'n1', virtualIps: false});
  zone.apply([{kind: 'node', key: 'n1', value: {address: '10.0.0.1'}}], true, 1);
  const forwarder = new Forwarder({upstreams: () => [], now: () => performance.now(), setTimer});
  const server = new NameServer({zone, forwarder, random: Math.random, setTimer, onProblem: () => undefined, onListening: () => undefined});
  server.listen([{address: '127.0.0.1', port}]);
  try {
    await waitFor(() => server.listening.length === 1, {what: 'the server to listen'});
    const query = dnsPacket.encode({type: 'query', id: 7, flags: dnsPacket.RECURSION_DESIRED, questions: [{type: 'A', name: 'n1.nodes.hive'}]});
    await promisify(execFile)(...fromPortZero({host: '127.0.0.1', port}, query));
    const resolver = new Resolver();
    resolver.setServers([`127.0.0.1:${port}`]);
    expect(await resolver.resolve4('n1.nodes.hive')).toEqual(['10.0.0.1']);
    // It came in the order that it was sent: the first one is done with.
    expect(server.counters.own).toBe(1);
  } finally {
    server.close();
    forwarder.close();
  }
});
