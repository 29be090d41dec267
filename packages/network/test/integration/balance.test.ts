import {once} from 'node:events';
import {join} from 'node:path';
import {createInterface} from 'node:readline';
import {waitFor} from '@hivemind/testkit';
import type {ServicesChange} from '../../src/core/balance/balancer.ts';
import type {BalancedService} from '../../src/core/balance/compile.ts';
import {peerMachine, type PeerMachine} from './machine.ts';

const VIP = '10.96.0.5';

/** Of containers 1 to `count`, on TCP 80 and UDP 53. */
const web = (containers: readonly number[], more: Partial<BalancedService> = {}): BalancedService => ({
  namespace: 'default', name: 'web', virtualIp: VIP,
  ports: [{port: 80, targetPort: 8080, protocol: 'tcp'}, {port: 53, targetPort: 5353, protocol: 'udp'}],
  endpoints: containers.map((index) => ({container: `web-${index}`, node: 'm1', address: `10.244.0.${index + 1}`, weight: 100, ports: [{port: 8080, protocol: 'tcp'}, {port: 5353, protocol: 'udp'}]})),
  ...more,
});

describe('virtual IPs in the kernel', () => {
  let machine: PeerMachine;
  let apply: (change: Partial<ServicesChange>) => Promise<void>;

  beforeAll(async () => {
    machine = await peerMachine(4);
    const program = machine.start(process.execPath, join(import.meta.dirname, 'balance-program.ts'));
    const lines = createInterface({input: program.stdout!});
    apply = async (change) => {
      program.stdin!.write(`${JSON.stringify({services: [], gone: [], whole: false, ...change})}\n`);
      await once(lines, 'line');
    };
  }, 60_000);
  afterAll(async () => machine?.[Symbol.asyncDispose]());

  const names = (said: readonly string[]): readonly string[] => said.map((line) => line.split(' ')[0] ?? '');

  it('leads connections to each container in turn, with the address of who asks', async () => {
    await apply({services: [web([1, 2, 3])], whole: true});
    const said = await machine.peers[3]!.dial(VIP, 80, 12);
    expect(names(said).toSorted()).toEqual(['c1', 'c1', 'c1', 'c1', 'c2', 'c2', 'c2', 'c2', 'c3', 'c3', 'c3', 'c3']);
    expect(new Set(said.map((line) => line.split(' ')[1]))).toEqual(new Set(['10.244.0.5']));
    expect(await machine.peers[3]!.ask(VIP, 53)).toMatch(/^c[123]$/);
  });

  it('leads ports that nobody declares too, to all in turn, and keeps to declared ones where only some have them', async () => {
    const [one, two, three] = web([1, 2, 3]).endpoints;
    await apply({services: [web([1, 2, 3])]});
    expect(names(await machine.peers[3]!.dial(VIP, 8080, 6)).toSorted()).toEqual(['c1', 'c1', 'c2', 'c2', 'c3', 'c3']);
    expect(await machine.peers[3]!.ask(VIP, 5353)).toMatch(/^c[123]$/);
    await expect(machine.peers[3]!.dial(VIP, 8081)).rejects.toThrow('ECONNREFUSED');
    await apply({services: [web([], {ports: [{port: 8080, targetPort: 8080, protocol: 'tcp'}], endpoints: [{...one!, ports: []}, {...two!, ports: []}, three!]})]});
    expect(names(await machine.peers[3]!.dial(VIP, 8080, 3))).toEqual(['c3', 'c3', 'c3']);
    expect(await machine.peers[3]!.ask(VIP, 5353)).toMatch(/^c[123]$/);
    // No port is declared at all, and one asks itself.
    await apply({services: [web([1], {ports: []})]});
    expect(names(await machine.peers[0]!.dial(VIP, 8080, 2))).toEqual(['c1', 'c1']);
    expect(names(await machine.self.dial(VIP, 8080))).toEqual(['c1']);
  });

  it('answers a ping', async () => {
    await apply({services: [web([1, 2])]});
    expect([machine.peers[3]!, machine.peers[0]!, machine.self].map((peer) => peer.pings(VIP))).toEqual([true, true, true]);
    await apply({services: [web([])]});
    expect(machine.peers[3]!.pings(VIP)).toBe(false);
  });

  it('leads a container to itself, and the machine to containers', async () => {
    await apply({services: [web([1])]});
    expect(names(await machine.peers[0]!.dial(VIP, 80, 3))).toEqual(['c1', 'c1', 'c1']);
    expect(names(await machine.self.dial(VIP, 80))).toEqual(['c1']);
  });

  it('lets an established connection go on when its container is out of rotation', async () => {
    await apply({services: [web([1])]});
    expect(await machine.peers[3]!.hold(VIP, 80)).toMatch(/^c1/);
    await apply({services: [web([2, 3])]});
    expect(await machine.peers[3]!.say('still there')).toBe('still there');
    expect(names(await machine.peers[3]!.dial(VIP, 80, 4))).not.toContain('c1');
    expect(await machine.peers[3]!.say('and now')).toBe('and now');
  });

  it('refuses at once where nobody is in rotation, and what is no service\'s', async () => {
    await apply({services: [web([])]});
    await expect(machine.peers[3]!.dial(VIP, 80)).rejects.toThrow('ECONNREFUSED');
    await expect(machine.peers[3]!.ask(VIP, 53)).rejects.toThrow('ECONNREFUSED');
    await expect(machine.peers[3]!.dial('10.96.77.7', 81)).rejects.toThrow('ECONNREFUSED');
    await expect(machine.self.dial(VIP, 80)).rejects.toThrow('ECONNREFUSED');
  });

  it('gives more to who weighs more, and a client its own container', async () => {
    const two = web([1, 2]);
    await apply({services: [{...two, endpoints: two.endpoints.map((endpoint, index) => ({...endpoint, weight: index === 0 ? 75 : 25}))}]});
    const said = names(await machine.peers[3]!.dial(VIP, 80, 8));
    expect(said.filter((name) => name === 'c1')).toHaveLength(6);
    await apply({services: [web([1, 2, 3], {affinity: 'client'})]});
    expect(new Set(names(await machine.peers[3]!.dial(VIP, 80, 6))).size).toBe(1);
  });

  it('publishes ports of the machine, on 127.0.0.1 too', async () => {
    const published = [{port: 8088, targetPort: 8080, protocol: 'tcp' as const}, {port: 5300, targetPort: 5353, protocol: 'udp' as const}];
    await apply({services: [web([1, 2], {published})]});
    expect(names(await machine.self.dial('127.0.0.1', 8088, 4)).toSorted()).toEqual(['c1', 'c1', 'c2', 'c2']);
    expect(names(await machine.self.dial('192.0.2.1', 8088, 2)).toSorted()).toEqual(['c1', 'c2']);
    expect(names(await machine.peers[3]!.dial('10.244.0.1', 8088, 2)).toSorted()).toEqual(['c1', 'c2']);
    expect([await machine.self.ask('127.0.0.1', 5300), await machine.self.ask('192.0.2.1', 5300)].toSorted()).toEqual(['c1', 'c2']);
    await apply({services: [web([1])]});
    await expect(machine.self.dial('127.0.0.1', 8088)).rejects.toThrow('ECONNREFUSED');
  });

  it('puts back what another hand flushed or changed', async () => {
    await apply({services: [web([1])]});
    const again = async (): Promise<boolean> => names(await machine.peers[3]!.dial(VIP, 80))[0] === 'c1';
    for (const words of ['flush ruleset', 'delete element ip hivemind frontends { 10.96.0.5 . tcp . 80 }', 'delete element ip hivemind slots_any { 10.96.0.5 . 0 }', 'flush chain ip hivemind translate', 'add element ip hivemind slots_tcp { 10.96.0.5 . 80 . 9 : 10.244.0.9 . 1 }']) {
      machine.exec('nft', words);
      await waitFor(again, {what: `rules again after ${words}`});
      await waitFor(() => !machine.exec('nft', 'list', 'map', 'ip', 'hivemind', 'slots_tcp').includes('10.244.0.9'), {what: 'no strange element'});
    }
  });
});

describe('virtual IPs as discovery tells of them', () => {
  let machine: PeerMachine;
  beforeAll(async () => {
    machine = await peerMachine(3);
  });
  afterAll(async () => machine?.[Symbol.asyncDispose]());

  /** What an agent runs of it, from its start to its end. `tell` resolves when, from its start, it has said what is expected. */
  const begin = async () => {
    const program = machine.start(process.execPath, join(import.meta.dirname, 'virtual-ips-program.ts'));
    const said: unknown[] = [];
    createInterface({input: program.stdout!}).on('line', (line) => said.push(JSON.parse(line)));
    const until = (...expected: readonly unknown[]): Promise<unknown> => waitFor(() => {
      expect(said).toEqual(expected);
      return true;
    }, {what: 'it to have said that'});
    return {
      until,
      tell: (word: object, ...expected: readonly unknown[]): Promise<unknown> => {
        program.stdin!.write(`${JSON.stringify({services: [], gone: [], whole: false, ...word})}\n`);
        return until(...expected);
      },
      end: async () => {
        program.stdin!.end();
        await once(program, 'close');
      },
    };
  };
  const service = {namespace: 'default', name: 'web', headless: false, virtualIp: VIP, ports: [], endpoints: []};

  it('may be given by names when all is in the kernel, and not while that refuses what is told', async () => {
    const {until, tell, end} = await begin();
    await until({delivered: false}, 'begun');
    await tell({services: [service]}, {delivered: false}, 'begun', 'applied');
    await tell({whole: true, services: [service]}, {delivered: false}, 'begun', 'applied', {delivered: true}, 'applied');
    const so: readonly unknown[] = [{delivered: false}, 'begun', 'applied', {delivered: true}, 'applied', {delivered: false}];
    await tell({services: [{...service, name: 'api', virtualIp: 'no address'}]}, ...so);
    await tell({gone: [{namespace: 'default', name: 'api'}]}, ...so, {delivered: true}, 'applied', 'applied');
    expect(machine.exec('nft', 'list', 'set', 'ip', 'hivemind', 'addresses')).toContain(VIP);
    await end();
  });

  it('are balanced as each service asks', async () => {
    const {tell, end} = await begin();
    const endpoints = [1, 2].map((index) => ({container: `web-${index}`, node: 'm1', address: `10.244.0.${index + 1}`, weight: 100, ports: []}));
    const led = async (balancing: object | undefined, ...said: readonly unknown[]): Promise<string | undefined> => {
      await tell({whole: said.length === 3, services: [{...service, endpoints, balancing}]}, ...said);
      return /10\.96\.0\.5 : goto (\w+-[a-z]+)/.exec(machine.exec('nft', 'list', 'map', 'ip', 'hivemind', 'any_port'))?.[1];
    };
    const said: readonly unknown[] = ['begun', {delivered: true}, 'applied'];
    expect(await led({strategy: 'ip-hash'}, ...said)).toBe('slots_any-hash');
    expect(await led({strategy: 'random'}, ...said, 'applied')).toBe('slots_any-random');
    expect(await led({affinity: 'client'}, ...said, 'applied', 'applied')).toBe('slots_any-hash');
    expect(await led(undefined, ...said, 'applied', 'applied', 'applied')).toBe('slots_any-turn');
    await end();
  });

  it('may be given or not as it was while the kernel has what an agent before left', async () => {
    const {until, tell, end} = await begin();
    await until('begun');
    await tell({services: []}, 'begun', 'applied');
    await tell({whole: true, services: [service]}, 'begun', 'applied', {delivered: true}, 'applied');
    await end();
  });

  it('lead UDP on that is sent to a container which is gone, and not while that is only out of rotation', async () => {
    const {tell, end} = await begin();
    const asker = machine.peers[2]!;
    const told = (endpoint: number, addresses: readonly number[], whole = false) => ({whole, services: [{...service, endpoints: [{container: `web-${endpoint}`, node: 'm1', address: `10.244.0.${endpoint + 1}`, weight: 100, ports: []}], addresses: addresses.map((index) => `10.244.0.${index + 1}`)}]});
    const said: readonly unknown[] = ['begun', {delivered: true}, 'applied'];
    await tell(told(1, [1], true), ...said);
    expect(await asker.ask(VIP, 5353, 40_404)).toBe('c1');
    await tell(told(2, [1, 2]), ...said, 'applied');
    expect([await asker.ask(VIP, 5353, 40_404), await asker.ask(VIP, 5353)]).toEqual(['c1', 'c2']);
    await tell(told(2, [2]), ...said, 'applied', 'applied');
    await waitFor(async () => (await asker.ask(VIP, 5353, 40_404)) === 'c2', {what: 'it to be led to one that is there'});
    await end();
  });

  it('lead a connection whose first packet was lost to another, when the container that it was meant for leaves', async () => {
    const {tell, end} = await begin();
    const told = (endpoint: number, whole = false) => ({whole, services: [{...service, endpoints: [{container: `web-${endpoint}`, node: 'm1', address: `10.244.0.${endpoint + 1}`, weight: 100, ports: []}], addresses: ['10.244.0.2', '10.244.0.3']}]});
    const said: readonly unknown[] = ['begun', {delivered: true}, 'applied'];
    await tell(told(1, true), ...said);
    machine.exec('ip', 'link', 'set', 'c1', 'down');
    const dialled = machine.peers[2]!.dial(VIP, 8080);
    await waitFor(() => machine.exec('conntrack', '-L', '-p', 'tcp', '--state', 'SYN_SENT').includes('src=10.244.0.2'), {what: 'the first packet to be lost'});
    await tell(told(2), ...said, 'applied');
    expect(await dialled).toEqual(['c2 10.244.0.4']);
    machine.exec('ip', 'link', 'set', 'c1', 'up');
    await end();
  });
});
