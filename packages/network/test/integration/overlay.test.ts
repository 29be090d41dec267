/** Containers of real engines on two machines: they reach each other whatever the engine drops and a person removes. */
import {join} from 'node:path';
import {fromPortZero, machines, type Machines, waitFor} from '@hivemind/testkit';
import {encodeProbe} from '../../src/core/mesh.ts';
import {PROBE_PORT} from '../../src/node/mesh.ts';
import {NodeProgram} from '../node-program.ts';

let lan: Machines;
let nodes: readonly NodeProgram[];
let image: string;

beforeAll(async () => {
  lan = await machines(2, {engines: true});
  image = await lan.loadImage();
  nodes = lan.hosts.map((machine, index) => new NodeProgram(machine, `10.244.${index + 1}.0/24`));
  for (const node of nodes) node.launch();
}, 60_000);
afterAll(async () => {
  await Promise.all((nodes ?? []).map((node) => node.kill()));
  await lan?.stop();
}, 30_000);

const all = <T>(work: (node: NodeProgram) => Promise<T>): Promise<readonly T[]> => Promise.all(nodes.map(work));

/** A container that answers on port 80 with its name. */
const container = (node: NodeProgram, id: string): Promise<string> => node.container(id, image, ['sh', '-c', `mkdir /www; echo ${id} > /www/name; exec httpd -f -p 80 -h /www`]);

/** What a container reads from an address. */
async function reads(node: NodeProgram, id: string, address: string, port = 80): Promise<string> {
  const answer = await within(node, id, ['sh', '-c', `printf 'GET /name HTTP/1.0\\r\\n\\r\\n' | nc -w 2 ${address} ${port}`]);
  return answer.trim().split(/\s+/).at(-1) ?? '';
}

async function within(node: NodeProgram, id: string, words: string[]): Promise<string> {
  const exec = await node.machine.engine.docker.getContainer(id).exec({Cmd: words, AttachStdout: true, AttachStderr: true, Tty: true});
  return Buffer.concat(await (await exec.start({Tty: true})).toArray()).toString();
}

const reach = (deadlineMs = 10_000) => waitFor(async () => {
  const said = [await reads(nodes[0]!, 'one', addresses.two), await reads(nodes[1]!, 'two', addresses.one), await reads(nodes[0]!, 'beside', addresses.one)];
  if (said.join() === 'two,one,one') return true;
  throw new Error(said.join());
}, {what: 'containers of two machines to reach each other', deadlineMs});
const addresses = {one: '', two: ''};
const VIRTUAL_IP = '10.96.0.5';

describe('containers on two machines', () => {
  it('reach each other over VXLAN by the addresses that their machines gave them, though the engine drops what is forwarded', async () => {
    await all((node) => node.told('vxlan', nodes));
    // As an engine sets it on a machine that did not forward before it came.
    await all((node) => node.sh('iptables -P FORWARD DROP'));
    [addresses.one, addresses.two] = [await container(nodes[0]!, 'one'), await container(nodes[1]!, 'two')];
    await container(nodes[0]!, 'beside');
    expect(addresses).toEqual({one: '10.244.1.2', two: '10.244.2.2'});
    await reach();
    expect(await nodes[0]!.overlay()).toMatchObject({backend: 'vxlan', subnet: '10.244.1.0/24', mtu: 1450, problems: [], peers: [{node: 'm2', via: 'vxlan'}]});
    // The machine itself reaches them, too: probes of health, proxies.
    expect(await nodes[0]!.sh(`ping -c 1 -W 2 ${addresses.two} || busybox ping -c 1 -W 2 ${addresses.two}`)).toMatch(/ 0% packet loss/);
  }, 30_000);

  it('reach themselves by a virtual IP, also on a bridge that is new since a person removed the one before', async () => {
    const [node] = nodes;
    await node!.lead(VIRTUAL_IP, addresses.one);
    expect(await reads(node!, 'one', VIRTUAL_IP)).toBe('one');
    await node!.sh('ip link delete hm0');
    await waitFor(async () => (await reads(node!, 'one', VIRTUAL_IP)) === 'one', {what: 'it to reach itself', deadlineMs: 20_000});
    expect(await node!.sh('cat /proc/sys/net/ipv4/conf/hm0/route_localnet')).toBe('1\n');
    await reach();
  }, 40_000);

  it('fill the wire with packets of full size, which nothing cuts up', async () => {
    expect(await within(nodes[0]!, 'one', ['ping', '-c', '1', '-W', '2', '-s', String(1450 - 28), addresses.two])).toContain('1 packets received');
  });

  it.each([
    ['the device to other machines', 'ip link delete hm-vx'],
    ['routes, neighbours and entries', 'ip route flush proto 244; ip neigh flush dev hm-vx nud permanent; bridge fdb del 0a:58:0a:f4:02:00 dev hm-vx dst $PEER self'],
    ['rules', 'iptables -F HIVEMIND-FORWARD; iptables -D DOCKER-USER -j HIVEMIND-FORWARD; nft delete table ip hivemind_net; echo 0 > /proc/sys/net/ipv4/ip_forward'],
  ])('reach each other again after a person removed %s', async (_, line) => {
    expect(await nodes[0]!.sh(line.replace('$PEER', nodes[1]!.machine.address))).toBe('');
    await reach(15_000);
  }, 30_000);

  it('reach the world outside as their machine, and each other as themselves', async () => {
    expect(await nodes[0]!.sh('nft list table ip hivemind_net | grep -c masquerade')).toBe('1\n');
    expect(await nodes[0]!.sh('iptables-save -t nat | grep -c "hm0 -j MASQUERADE"')).toBe('1 0\n');
    const outside = nodes[1]!.machine;
    const server = outside.run(process.execPath, ['-e', 'require("net").createServer((socket) => socket.end(socket.remoteAddress)).listen(7007, "0.0.0.0")'], {stdio: 'ignore', env: {PATH: process.env.PATH}});
    try {
      await waitFor(async () => (await reads(nodes[0]!, 'one', outside.address, 7007)) === nodes[0]!.machine.address, {what: 'the machine\'s address to be seen'});
      expect(await reads(nodes[0]!, 'one', '10.244.2.1', 7007)).toBe(addresses.one);
    } finally {
      server.kill('SIGKILL');
    }
  }, 20_000);

  it('have a plain route where their machines share a segment, and full-sized packets for it', async () => {
    await all((node) => node.told('direct', nodes));
    await waitFor(async () => (await nodes[0]!.sh('ip -o link show hm-vx 2>&1')).includes('does not exist'), {what: 'the device to other machines to be gone'});
    await reach();
    expect(await nodes[0]!.overlay()).toMatchObject({backend: 'direct', mtu: 1500, problems: [], device: null, peers: [{via: 'direct'}]});
    const routes = await nodes[0]!.sh('ip route show proto 244');
    expect(routes).toContain(`10.244.2.0/24 via ${nodes[1]!.machine.address} dev eth0`);
    expect(routes).toMatch(/10\.96\.0\.0\/16 dev lo .*src 10\.244\.1\.1 metric 4096/);
    await all((node) => node.told('auto', nodes));
    await reach();
  }, 30_000);

  it('tell how machines reach each other', async () => {
    // Some were lost while things were taken away.
    const [status] = await waitFor(async () => {
      const seen = await all((node) => node.overlay());
      return seen.every(({peers}) => (peers[0]?.roundTrip ?? null) !== null) && seen;
    }, {what: 'probes to be answered'});
    const {sent, loss, roundTrip} = status!.peers[0]!;
    expect(sent).toBeGreaterThan(0);
    expect(loss).toBeLessThan(1);
    expect(roundTrip!.least).toBeGreaterThan(0);
    expect(roundTrip!.least).toBeLessThanOrEqual(roundTrip!.most);
    // One who forges a probe that nobody can answer stops nobody.
    const [node] = nodes;
    const {stderr} = await node!.machine.exec(...fromPortZero({host: '10.244.1.1', port: PROBE_PORT}, encodeProbe('probe', 1)));
    expect(stderr).toBe('');
    expect((await node!.overlay()).peers).toHaveLength(1);
  }, 20_000);

  it('go on with nobody to look after the network, and are found again from what is on disk while the control plane is away', async () => {
    await nodes[0]!.kill();
    await reach();
    // As after a boot: nothing is in the kernel, and containers are started again.
    await nodes[0]!.sh('ip link delete hm0; ip route flush proto 244; nft delete table ip hivemind_net');
    nodes[0]!.launch();
    await waitFor(async () => (await nodes[0]!.sh('ip route show proto 244')).includes('10.244.2.0/24'), {what: 'the route to be back'});
    for (const id of ['one', 'beside']) await nodes[0]!.machine.engine.docker.getContainer(id).restart({t: 0});
    await reach();
    expect((await nodes[0]!.prepare('one')).network?.address).toBe(addresses.one);
    expect((await nodes[0]!.prepare('another')).network?.address).toBe('10.244.1.4');
  }, 30_000);

  it('keep what they have when no network is wanted any more, and leave nothing when the last is gone', async () => {
    await all((node) => node.told('none', nodes));
    expect((await nodes[1]!.overlay()).problems.join()).toContain('1 containers still have addresses');
    expect(await nodes[1]!.prepare('new')).toEqual({});
    expect(await reads(nodes[0]!, 'beside', addresses.two)).toBe('two');
    const {docker} = nodes[1]!.machine.engine;
    await docker.getContainer('two').remove({force: true});
    await docker.getNetwork('hive').remove();
    await nodes[1]!.removed('two');
    await waitFor(async () => (await nodes[1]!.sh('ip -o link; ip route show proto 244; iptables-save; nft list tables')).match(/hm0|hm-vx|HIVEMIND|hivemind|10\.244/) === null, {what: 'nothing to be left'});
  }, 20_000);

  it('stay on networks of the engine\'s own while the machine\'s is another cluster\'s, which it is until that takes it down', async () => {
    const ours = nodes[1]!;
    const others = new NodeProgram(ours.machine, '10.244.7.0/24', 'others');
    others.launch();
    try {
      await others.told('auto', []);
      await ours.tell('auto', nodes);
      const problem = await waitFor(async () => (await ours.overlay()).problems[0], {what: 'a problem to be told'});
      expect(problem).toContain('another cluster (others)');
      expect(await ours.prepare('new')).toEqual({});
      expect((await others.prepare('theirs')).network?.address).toBe('10.244.7.2');
      expect((await others.overlay()).problems).toEqual([]);
      await others.removed('theirs');
      await others.told('none', []);
      // As it is told every half a minute.
      await waitFor(async () => {
        await ours.tell('auto', nodes);
        return (await ours.overlay()).backend === 'auto';
      }, {what: 'the machine to be theirs no more'});
      expect(await ours.prepare('new')).toMatchObject({network: {address: expect.stringMatching(/^10\.244\.2\./)}});
      await ours.removed('new');
      await ours.told('none', nodes);
    } finally {
      await others.kill();
    }
  }, 20_000);

  it('stay on networks of the engine\'s own while another route of the machine leads into their range', async () => {
    const ours = nodes[1]!;
    await ours.sh('ip link add other0 type bridge && ip link set other0 up && ip route add 10.244.9.0/24 dev other0');
    await ours.tell('auto', nodes);
    expect(await waitFor(async () => (await ours.overlay()).problems[0], {what: 'a problem to be told'})).toContain('10.244.9.0/24 by other0');
    expect(await ours.prepare('new')).toEqual({});
    await ours.sh('ip link delete other0');
    await waitFor(async () => {
      await ours.tell('auto', nodes);
      return (await ours.overlay()).backend === 'auto';
    }, {what: 'the machine to have the network'});
    await ours.told('none', nodes);
  }, 20_000);

  it('have nothing left on a machine when a person says so', async () => {
    const [node] = nodes;
    await node!.kill();
    const down = await node!.sh(`${process.execPath} ${join(import.meta.dirname, '../../../../apps/cli/bin/hivemind.mjs')} network down --data-dir ${node!.machine.dir}/cli`);
    expect(down).toBe('the network of containers is gone from this machine\n');
    expect(await node!.sh('ip -o link; ip route show proto 244; iptables-save | grep HIVEMIND; nft list tables')).not.toMatch(/hm0|hm-vx|HIVEMIND|hivemind|via|10\.96/);
  }, 30_000);
});
