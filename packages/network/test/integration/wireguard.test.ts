/** Two machines between which packets are encrypted, by the kernel where it can, else by wireguard-go: seen on the wire, and not. */
import {join} from 'node:path';
import {machines, type Machines, waitFor} from '@hivemind/testkit';
import {NodeProgram} from '../node-program.ts';

let lan: Machines;
let one: NodeProgram;
let two: NodeProgram;

beforeAll(async () => {
  lan = await machines(2);
  [one, two] = lan.hosts.map((machine, index) => new NodeProgram(machine, `10.244.${index + 1}.0/24`)) as [NodeProgram, NodeProgram];
  for (const node of [one, two]) node.launch();
  // Were there no other way, none could be taken by mistake.
  await one.sh(`ip route replace default via ${two.machine.address}`);
  await two.sh(WIRE);
}, 30_000);
afterAll(async () => {
  await Promise.all([one, two].map((node) => node?.kill()));
  await lan?.stop();
}, 30_000);

/** 8 bytes that are looked for at the places where they were if VXLAN, WireGuard or nothing was around the datagram. */
const KNOWN = 'in clear';
const at = (bytes: number): string => `@th,${bytes * 8},64 0x${Buffer.from(KNOWN).toString('hex')}`;
const WIRE = [
  'nft add table ip wire', "nft 'add chain ip wire seen { type filter hook prerouting priority -400; }'",
  ...[['encrypted', 'udp dport 51820'], ['vxlan_read', `udp dport 8472 ${at(58)}`], ['wireguard_read', `udp dport 51820 ${at(52)}`], ['plain', 'ip saddr 10.244.0.0/16']].flatMap(([name, rule]) => [`nft add counter ip wire ${name}`, `nft 'add rule ip wire seen iifname eth0 ${rule} counter name ${name}'`]),
].join(' && ');
const seen = async (counter: string): Promise<number> => Number(/packets (\d+)/.exec(await two.sh(`nft list counter ip wire ${counter}`))?.[1]);

/** What the second machine's bridge answers to a datagram, or to a connection; empty where nothing does. */
const ASK = `
  const kind = process.argv[1];
  if (kind === 'tcp') require('node:net').connect(7007, '10.244.2.1').on('data', (data) => console.log(String(data))).on('error', () => process.exit());
  else { const socket = require('node:dgram').createSocket('udp4'); socket.on('message', (data) => { console.log(String(data)); socket.close(); }); socket.send('${KNOWN}', 7007, '10.244.2.1'); }
  setTimeout(() => process.exit(), 2_000).unref();
`;
const ANSWER = `
  require('node:net').createServer((socket) => socket.on('error', () => undefined).end('tcp ' + socket.remoteAddress)).listen(7007, '0.0.0.0');
  const socket = require('node:dgram').createSocket('udp4');
  socket.on('message', (data, {port, address}) => socket.send('udp ' + data, port, address)).bind(7007, '10.244.2.1');
`;
const ask = async (kind: 'udp' | 'tcp'): Promise<string> => (await one.machine.exec(process.execPath, ['-e', ASK, kind])).stdout.trim();
const reach = () => waitFor(async () => (await ping()).includes(' 0% packet loss'), {what: 'the machines to reach each other', deadlineMs: 15_000});
const ping = (size = 56): Promise<string> => one.sh(`busybox ping -c 1 -W 1 -s ${size} 10.244.2.1 || true`);
const both = (backend: 'vxlan' | 'wireguard') => Promise.all([one, two].map((node) => node.told(backend, [one, two])));

describe('machines that encrypt', () => {
  it('switch over from VXLAN, where what they say is read on the wire, and then it is not', async () => {
    await both('vxlan');
    await reach();
    const answering = two.machine.run(process.execPath, ['-e', ANSWER], {stdio: 'ignore', env: {PATH: process.env.PATH}});
    try {
      await waitFor(async () => (await ask('udp')) === `udp ${KNOWN}`, {what: 'a datagram to be answered'});
      expect(await seen('vxlan_read')).toBeGreaterThan(0);
      const keys = [await one.learnKey(), await two.learnKey()];
      expect(new Set(keys).size).toBe(2);
      await both('wireguard');
      await reach();
      const before = await seen('vxlan_read');
      expect(await ask('udp')).toBe(`udp ${KNOWN}`);
      expect(await ask('tcp')).toBe('tcp 10.244.1.0');
      expect(await ping(1420 - 28)).toContain(' 0% packet loss');
      expect([await seen('vxlan_read') - before, await seen('wireguard_read'), await seen('plain')]).toEqual([0, 0, 0]);
      expect(await seen('encrypted')).toBeGreaterThan(2);
    } finally {
      answering.kill('SIGKILL');
    }
    expect(await one.sh('ip -o link show hm-vx 2>&1')).toContain('does not exist');
    expect(await one.overlay()).toMatchObject({backend: 'wireguard', mtu: 1420, problems: [], wireguard: {by: expect.stringMatching(/^(kernel|wireguard-go)$/)}, device: {errors: 0}, peers: [{node: 'm2', via: 'wireguard'}]});
    expect(await one.sh(`stat -c %a ${one.machine.dir}/hivemind-test/agent/wireguard.key`)).toBe('600\n');
  }, 40_000);

  it('send nothing in clear while a person has removed the device, which is back soon', async () => {
    await one.kill();
    await one.sh('ip link delete hm-wg');
    expect(await one.sh('ip route get 10.244.2.1 2>&1')).toMatch(/unreachable|No route to host/);
    expect(await ping()).not.toContain(' 0% packet loss');
    // An agent that starts goes on with the key and the peers that it has on disk.
    one.launch();
    await reach();
    await one.sh('ip link delete hm-wg');
    await reach();
    expect(await seen('plain')).toBe(0);
  }, 40_000);

  it('do not understand one that has another key than they were told', async () => {
    await two.kill();
    await two.sh(`rm ${two.machine.dir}/hivemind-test/agent/wireguard.key`);
    two.launch();
    const key = await two.learnKey();
    await waitFor(async () => (await two.sh('wg show hm-wg public-key')).trim() === key, {what: 'the other key to be in use'});
    expect(await ping()).not.toContain(' 0% packet loss');
    await both('wireguard');
    await reach();
  }, 40_000);

  it('say why where a machine cannot, which is reached by no other way, until it can', async () => {
    const {wireguard} = await one.overlay();
    // A file that cannot be run, in place of the one without which it cannot be had here.
    const [program, because] = wireguard !== undefined && 'by' in wireguard && wireguard.by === 'kernel' ? ['wg', 'The command wg is missing'] : ['wireguard-go', 'no WireGuard in the kernel (modprobe wireguard), nor the command wireguard-go'];
    await one.sh(`mount --bind /dev/null "$(command -v ${program})" && ip link delete hm-wg`);
    await waitFor(async () => (await one.overlay()).problems.join().includes(because), {what: 'the reason to be told'});
    expect((await one.overlay()).wireguard).toEqual({unable: expect.stringContaining(program)});
    expect(await one.sh('ip route get 10.244.2.1 2>&1')).toMatch(/unreachable|No route to host/);
    await one.sh(`umount "$(command -v ${program} || echo /usr/bin/${program})"`);
    await reach();
    expect(await seen('plain')).toBe(0);
  }, 40_000);

  it('have nothing left of it when a person says so', async () => {
    await one.kill();
    const down = await one.sh(`${process.execPath} ${join(import.meta.dirname, '../../../../apps/cli/bin/hivemind.mjs')} network down --data-dir ${one.machine.dir}/cli`);
    expect(down).toBe('the network of containers is gone from this machine\n');
    const programs = 'for p in /proc/[0-9]*; do [ "$(cat $p/comm 2>/dev/null)" = wireguard-go ] && [ "$(readlink $p/ns/net)" = "$(readlink /proc/self/ns/net)" ] && echo left; done; true';
    await waitFor(async () => (await one.sh(`${programs}; ls /run/wireguard 2>/dev/null; ip -o link; ip route show proto 244`)).match(/left|hm-wg|hm0|10\.244/) === null, {what: 'nothing to be left'});
  }, 30_000);
});
