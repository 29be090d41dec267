/** The network of containers of containerd on this machine: bridges, addresses, names and published ports. */
import {execFileSync} from 'node:child_process';
import {type AddressInfo, connect, createServer} from 'node:net';
import {text} from 'node:stream/consumers';
import {engineLabels} from '@hivemind/contracts';
import type {Runtime, RuntimeSpec} from '@hivemind/runtime';
import {waitFor} from '@hivemind/testkit';
import {containerSpec, type ContainerOverrides} from '../../src/testing/index.ts';
import {containerdBench, type ContainerdBench} from './containerd-harness.ts';

const BRIDGE = 'hmtest0';
let bench: ContainerdBench;
let runtime: Runtime;
let over: AbortController;
let count = 0;

const ip = (...args: readonly string[]): string => execFileSync('ip', args, {encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore']});
const pairs = (): readonly string[] => ip('-br', 'link', 'show', 'type', 'veth').split('\n').flatMap((line) => /^hmv\w+/.exec(line)?.[0] ?? []);
const name = (network: string): string => `${network}-${bench.cluster}`;
const onNetwork = (network: string, ...aliases: readonly string[]): Pick<RuntimeSpec, 'networks'> => ({networks: [{name: name(network), aliases}]});

async function run(script: string, container: ContainerOverrides = {}, spec: Partial<Omit<RuntimeSpec, 'record'>> = {}): Promise<{readonly id: string; readonly runtimeId: string; readonly ip: string; readonly port: number}> {
  const made = containerSpec({id: `n${++count}`, ...container, template: {image: bench.image, args: ['sh', '-c', script], ...container.template}}, spec);
  const runtimeId = await runtime.create(made);
  await runtime.start(runtimeId);
  const found = await runtime.inspect(made.record.id);
  return {id: made.record.id, runtimeId, ip: found?.ip ?? '', port: found?.ports[0]?.host ?? 0};
}

/** What a command in a container says; throws where it fails. */
async function said(runtimeId: string, command: string): Promise<string> {
  const session = await runtime.exec(runtimeId, {command: ['sh', '-c', `exec 2>&1; ${command}`], tty: false, stdin: false});
  let text = '';
  for await (const {data} of session.output) text += Buffer.from(data).toString();
  const code = await session.exitCode;
  if (code !== 0) throw new Error(`exit ${code}: ${text}`);
  return text.trim();
}

const serving = (word: string): string => `while true; do echo ${word} | nc -l -p 80 >/dev/null; done`;
const fetched = (host: string, port: number): Promise<string> => waitFor(async () => {
  const socket = connect({host, port, timeout: 2_000});
  return (await text(socket.once('timeout', () => socket.destroy(new Error('no answer'))))).trim() || undefined;
}, {what: `${host}:${port} to answer`});
const fetchedFrom = (runtimeId: string, host: string, port: number): Promise<string> => waitFor(async () => (await said(runtimeId, `nc -w 1 ${host} ${port} </dev/null`)) || undefined, {what: `${host}:${port} to answer`});

beforeAll(async () => {
  bench = await containerdBench();
}, 60_000);
afterAll(() => bench[Symbol.asyncDispose](), 60_000);
beforeEach(async () => {
  over = new AbortController();
  runtime = await bench.open();
});
afterEach(async () => {
  over.abort();
  for (const {runtimeId} of await runtime.list()) await runtime.remove(runtimeId);
  await runtime.pruneNetworks();
  await runtime.close();
});

it('containers of a network reach each other by name, the machine reaches them, and those of another network do not', async () => {
  const db = await run(serving('db'), {}, onNetwork('shop', 'db'));
  const web = await run('sleep 1000', {}, onNetwork('shop', 'web'));
  const stranger = await run('sleep 1000', {}, onNetwork('other', 'web'));
  expect(await fetched(db.ip, 80)).toBe('db');
  expect(await fetchedFrom(web.runtimeId, 'db', 80)).toBe('db');
  await expect(said(stranger.runtimeId, `nc -w 1 ${db.ip} 80 </dev/null`)).rejects.toThrow(/exit 1/);
  expect(await said(stranger.runtimeId, 'grep -c db /etc/hosts || true')).toBe('0');
  // Gone with what had it.
  await runtime.remove(db.runtimeId);
  expect(await said(web.runtimeId, 'grep -c db /etc/hosts || true')).toBe('0');
}, 30_000);

it('a network that everybody left is there for the next, with its way out', async () => {
  const first = await run('sleep 1000', {}, onNetwork('shop'));
  await runtime.remove(first.runtimeId);
  const next = await run('sleep 1000', {}, onNetwork('shop'));
  expect(next.ip).toBe(first.ip);
  expect(await said(next.runtimeId, `ping -c 1 -W 2 ${next.ip.replace(/\d+$/, '1')} | grep -c '1 packets received'`)).toBe('1');
}, 30_000);

it('a published port leads there from the machine, by any of its addresses, and ends with the container', async () => {
  const web = await run(serving('web'), {ports: [{container: 80, protocol: 'tcp', host: 0}]}, onNetwork('shop'));
  expect(await fetched('127.0.0.1', web.port)).toBe('web');
  const gateway = web.ip.replace(/\d+$/, '1');
  expect(await fetched(gateway, web.port)).toBe('web');
  const [client, stranger] = [await run('sleep 1000', {}, onNetwork('shop')), await run('sleep 1000', {}, onNetwork('other'))];
  for (const each of [client, stranger, web]) expect(await fetchedFrom(each.runtimeId, gateway, web.port)).toBe('web');
  await runtime.stop(web.runtimeId, 'SIGKILL', 0);
  await expect(said(client.runtimeId, `nc -w 1 ${gateway} ${web.port} </dev/null`)).rejects.toThrow(/exit 1/);
  // Its own for life.
  await runtime.start(web.runtimeId);
  expect(await runtime.inspect(web.id)).toMatchObject({ip: web.ip, ports: [{host: web.port}]});
  expect(await fetched('127.0.0.1', web.port)).toBe('web');
}, 40_000);

it('a port that another program listens at is taken', async () => {
  const server = createServer().listen(0, '0.0.0.0');
  await new Promise((resolve) => server.once('listening', resolve));
  const {port} = server.address() as AddressInfo;
  try {
    await expect(run('sleep 1000', {ports: [{container: 80, protocol: 'tcp', host: port}]}, onNetwork('shop'))).rejects.toMatchObject({code: 'port-in-use', message: expect.stringContaining(String(port))});
  } finally {
    await new Promise((resolve) => server.close(resolve));
  }
});

it('on the cluster\'s bridge it has the address that it is given, and what it needs to reach others', async () => {
  ip('link', 'add', BRIDGE, 'type', 'bridge');
  try {
    ip('addr', 'add', '10.191.1.1/24', 'dev', BRIDGE);
    ip('link', 'set', BRIDGE, 'up');
    const network = (address: string): Partial<Omit<RuntimeSpec, 'record'>> => ({
      network: {bridge: BRIDGE, subnet: '10.191.1.0/24', gateway: '10.191.1.1', others: '10.191.1.252/30', mtu: 1450, address, dns: {servers: ['10.191.1.1'], search: ['shop.svc.hive', 'svc.hive'], options: ['ndots:1']}},
      networks: [{name: `hivemind-${bench.cluster}`, aliases: []}],
      labels: {[engineLabels.address]: address},
    });
    const [web, db] = [await run('sleep 1000', {}, network('10.191.1.7')), await run(serving('db'), {}, network('10.191.1.8'))];
    expect(web.ip).toBe('10.191.1.7');
    expect(await said(web.runtimeId, 'cat /etc/resolv.conf; cat /sys/class/net/eth0/mtu; ip route | head -1')).toBe('nameserver 10.191.1.1\nsearch shop.svc.hive svc.hive\noptions ndots:1\n1450\ndefault via 10.191.1.1 dev eth0');
    expect(await fetched('10.191.1.8', 80)).toBe('db');
    // Started anew: the same address at the same place.
    await runtime.stop(db.runtimeId, 'SIGKILL', 0);
    await runtime.start(db.runtimeId);
    expect(await fetched('10.191.1.8', 80)).toBe('db');
  } finally {
    ip('link', 'del', BRIDGE);
  }
}, 30_000);

it('another agent mends what was taken away meanwhile, and nothing is left after the last', async () => {
  const before = new Set(pairs());
  const web = await run(serving('web'), {ports: [{container: 80, protocol: 'tcp', host: 0}]}, onNetwork('shop', 'web'));
  const [pair = ''] = pairs().filter((each) => !before.has(each));
  const {master: bridge} = (JSON.parse(ip('-json', 'link', 'show', pair)) as readonly [{readonly master: string}])[0];
  await runtime.close();
  ip('link', 'del', bridge);
  runtime = await bench.open();
  void (async () => {
    for await (const _ of runtime.events(over.signal));
  })();
  expect(await fetched('127.0.0.1', web.port)).toBe('web');
  expect(await fetched(web.ip, 80)).toBe('web');
  await runtime.remove(web.runtimeId);
  await runtime.pruneNetworks();
  expect(ip('-br', 'link')).not.toContain(bridge);
  await waitFor(() => !pairs().includes(pair), {what: 'the pair to be gone'});
  expect(execFileSync('nft', ['list', 'tables'], {encoding: 'utf8'})).not.toContain('hivemind_c_');
}, 40_000);
