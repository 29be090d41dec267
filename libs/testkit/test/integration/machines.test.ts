import {spawn, spawnSync} from 'node:child_process';
import {once} from 'node:events';
import {existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync} from 'node:fs';
import {createServer, type Server} from 'node:http';
import {type AddressInfo} from 'node:net';
import {join} from 'node:path';
import {isDeepStrictEqual} from 'node:util';
import {machines, waitFor, type Machine, type Machines} from '../../src/index.ts';
import {reapStale} from '../../src/temp.ts';

/** Not so for a zombie, which whoever adopted it may leave for a while. */
function running(pid: number): boolean {
  try {
    return !/\) [ZX] /.test(readFileSync(`/proc/${pid}/stat`, 'utf8'));
  } catch {
    return false;
  }
}
/** What carries a network's name in the kernel, of all networks: links, namespaces, control groups, claims. */
const traces = (name: string) => [
  ...spawnSync('ip', ['-o', 'link'], {encoding: 'utf8'}).stdout.split('\n').filter((line) => line.includes(`: ${name}@`)),
  ...readdirSync('/run/netns').filter((entry) => entry === name || entry.startsWith(`${name}.m`)),
  // By a program that bears that others' groups go as it looks.
  ...spawnSync('find', ['/sys/fs/cgroup', '-path', `*${name}*`], {encoding: 'utf8'}).stdout.split('\n').filter((line) => line !== ''),
  ...readdirSync('/run/hivemind-test').filter((entry) => entry === name),
];
const networkOf = ({address}: {address: string}) => `hmt${address.split('.').slice(1, 3).join('.')}`;

/** Serves the machine's name on port 80, and waits until it does. */
async function serve(machine: Machine): Promise<number> {
  const www = join(machine.dir, 'www');
  mkdirSync(www, {recursive: true});
  writeFileSync(join(www, 'name'), machine.name);
  const server = machine.run('busybox', ['httpd', '-f', '-p', '80', '-h', www], {stdio: 'ignore'});
  server.unref();
  await reads(machine, machine, machine.name);
  return server.pid!;
}

/** What a machine reads from another's httpd, or from any address; undefined when there is no answer. */
async function get(from: Machine, to: {address: string; port?: number}, path = 'name'): Promise<string | undefined> {
  const url = `http://${to.address}:${to.port ?? 80}/${path}`;
  const script = 'fetch(process.argv[1], {signal: AbortSignal.timeout(1000)}).then(async (reply) => process.stdout.write(await reply.text()))';
  const {status, stdout} = await from.exec(process.execPath, ['-e', script, url], {env: {PATH: process.env.PATH}});
  return status === 0 ? stdout : undefined;
}

/** Waits until a machine reads this from there: under load an answer may take longer than `get` waits. */
async function reads(from: Machine, to: {address: string; port?: number}, answer: string): Promise<void> {
  await waitFor(async () => (await get(from, to)) === answer, {what: `${from.name} to read ${answer}`});
}

/** A server of the test's own, at its address in the machines' network. */
async function serveHere({address}: Machines, answer: string): Promise<Server & {endpoint: {address: string; port: number}}> {
  const server = createServer((_, reply) => reply.end(answer)).listen(0, address);
  await once(server, 'listening');
  return Object.assign(server, {endpoint: {address, port: (server.address() as AddressInfo).port}});
}

describe('machines', () => {
  let cluster: Machines;
  let m1: Machine;
  let m2: Machine;
  let m3: Machine;
  beforeAll(async () => {
    cluster = await machines(3, {engines: true});
    [m1, m2, m3] = cluster.hosts as [Machine, Machine, Machine];
    await Promise.all(cluster.hosts.map(serve));
  });
  afterEach(() => cluster.hosts.forEach((host) => host.heal()));
  afterAll(() => cluster.stop());

  it('reach each other and the test by address, are reached by the test, and nothing else', async () => {
    await reads(m1, m2, 'm2');
    await reads(m2, m3, 'm3');
    expect(await (await fetch(`http://${m3.address}/name`)).text()).toBe('m3');
    await using server = await serveHere(cluster, 'the test');
    await reads(m1, server.endpoint, 'the test');
    const route = await m1.exec('ip', ['route', 'get', '192.0.2.1']);
    expect(route.stderr).toMatch(/No route to host/);
    expect((await m1.exec('getent', ['hosts', 'example.com'])).status).not.toBe(0);
  });

  it('have a name, a run directory and an engine of their own', async () => {
    expect((await m2.exec('hostname')).stdout).toBe('m2\n');
    const image = await cluster.loadImage();
    for (const {engine, name} of cluster.hosts) {
      const container = await engine.docker.createContainer({name: `of-${name}`, Image: image, Cmd: ['sleep', '1000']});
      await container.start();
    }
    // The command finds the machine's engine where it always is.
    const lists = await Promise.all(cluster.hosts.map((host) => host.exec('docker', ['ps', '--format', '{{.Names}}'])));
    expect(lists.map(({stdout}) => stdout)).toEqual(['of-m1\n', 'of-m2\n', 'of-m3\n']);
    await Promise.all(cluster.hosts.map(({engine, name}) => engine.docker.getContainer(`of-${name}`).remove({force: true})));
  });

  it('run programs whose pid, exit and output are those of the program', async () => {
    const child = m1.run('sleep', ['1000'], {stdio: 'ignore'});
    await waitFor(() => readFileSync(`/proc/${child.pid}/cmdline`, 'utf8') === 'sleep\x001000\0', {what: 'sleep to run'});
    expect(m1.pids()).toContain(child.pid);
    expect(m2.pids()).not.toContain(child.pid);
    const ended = once(child, 'exit');
    child.kill('SIGTERM');
    expect(await ended).toEqual([null, 'SIGTERM']);
    const shout = await m1.exec('sh', ['-c', 'pwd; echo "$WORD" >&2; exit 3'], {cwd: '/usr', env: {...process.env, WORD: "it's"}});
    expect(shout).toEqual({status: 3, stdout: '/usr\n', stderr: "it's\n"});
  });

  it('powered off, are gone with all that ran there; powered on, they have their disk and an engine', async () => {
    const {docker} = m1.engine;
    const image = await cluster.loadImage();
    const container = await docker.createContainer({name: 'keeper', Image: image, Cmd: ['sleep', '1000'], HostConfig: {RestartPolicy: {Name: 'always'}}});
    await container.start();
    const inside = (await container.inspect()).State.Pid;
    const pids = m1.pids();
    expect(pids).toContain(inside);
    await m1.powerOff();
    expect(pids.filter(running)).toEqual([]);
    expect(await get(m2, m1)).toBeUndefined();
    expect(() => m1.run('true')).toThrow('m1 is powered off');
    await m1.powerOn();
    await waitFor(async () => (await container.inspect()).State.Running, {what: 'the container that always runs'});
    expect((await container.inspect()).State.Pid).not.toBe(inside);
    await container.remove({force: true});
    await serve(m1);
    await reads(m2, m1, 'm1');
  });

  it('paused, do not answer, neither programs nor containers; resumed, they go on as they were', async () => {
    await m1.pause();
    expect(await get(m2, m1)).toBeUndefined();
    await m1.resume();
    await reads(m2, m1, 'm1');
  });

  it('cut off from all, from some, or from one port alone', async () => {
    await using bus = await serveHere(cluster, 'bus');
    await using other = await serveHere(cluster, 'other');
    const seen = () => Promise.all([get(m1, m2), get(m1, m3), get(m2, m1), get(m1, bus.endpoint), get(m1, other.endpoint)]);
    const expectSeen = (...expected: (string | undefined)[]) => waitFor(async () => isDeepStrictEqual(await seen(), expected), {what: `${expected}`});
    m1.cutOff();
    await expectSeen(undefined, undefined, undefined, undefined, undefined);
    m1.heal();
    await expectSeen('m2', 'm3', 'm1', 'bus', 'other');
    m1.cutOff({from: m2});
    await expectSeen(undefined, 'm3', undefined, 'bus', 'other');
    m1.heal();
    m1.cutOff({from: bus.endpoint});
    await expectSeen('m2', 'm3', 'm1', undefined, 'other');
  });

  it('cut off one way, hear and are not heard', async () => {
    // Tells every datagram that it gets, and sends one to the address on each line of its input.
    const peer = (machine: Machine) => {
      const script = `const s = require('node:dgram').createSocket('udp4').bind(7, () => console.log('bound'));
        s.on('message', (m) => console.log(String(m)));
        require('node:readline').createInterface(process.stdin).on('line', (to) => s.send(require('node:os').hostname(), 7, to));`;
      const child = machine.run(process.execPath, ['-e', script], {env: {PATH: process.env.PATH}});
      let heard = '';
      child.stdout!.on('data', (data: Buffer) => (heard += data.toString()));
      const hears = (what: string) => waitFor(() => heard.includes(what), {what: `${machine.name} to hear ${what}`});
      return {child, hears, heard: () => heard, tell: ({address}: Machine) => child.stdin!.write(`${address}\n`)};
    };
    const [one, two, three] = [peer(m1), peer(m2), peer(m3)];
    await Promise.all([one, two, three].map((each) => each.hears('bound')));
    m1.cutOff({from: m2, direction: 'out'});
    one.tell(m2);
    one.tell(m3);
    two.tell(m1);
    await Promise.all([one.hears('m2'), three.hears('m1')]);
    m1.heal();
    m1.cutOff({from: [m2, m3], direction: 'in'});
    three.tell(m1);
    one.tell(m2);
    await two.hears('m1');
    expect([one.heard(), two.heard()]).toEqual(['bound\nm2\n', 'bound\nm1\n']);
    [one, two, three].forEach(({child}) => child.kill('SIGKILL'));
  });

  it('slowed down, have less bandwidth and less processor, or lose packets, until healed', async () => {
    writeFileSync(join(m1.dir, 'www/large'), Buffer.alloc(60_000));
    m1.slow({kbitPerSecond: 2000, cpus: 0.05});
    expect((await (await fetch(`http://${m1.address}/large`)).arrayBuffer()).byteLength).toBe(60_000);
    expect((await m1.exec('tc', ['-s', 'qdisc', 'show', 'dev', 'eth0'])).stdout).toMatch(/tbf .* rate 2Mbit[\s\S]*overlimits [1-9]/);
    const busy = m1.run('sh', ['-c', 'while :; do :; done'], {stdio: 'ignore'});
    // The old hierarchy of the processor, or the unified one.
    const group = [`/sys/fs/cgroup/cpu/${networkOf(cluster)}/m1`, `/sys/fs/cgroup/${networkOf(cluster)}/m1`].find((dir) => existsSync(dir))!;
    await waitFor(() => /nr_throttled [1-9]/.test(readFileSync(join(group, 'cpu.stat'), 'utf8')), {what: 'the machine to be throttled'});
    busy.kill('SIGKILL');
    m1.heal();
    expect((await m1.exec('tc', ['qdisc', 'show', 'dev', 'eth0'])).stdout).not.toContain('tbf');
    const limits = ['cpu.cfs_quota_us', 'cpu.max'].map((file) => join(group, file)).filter((file) => existsSync(file));
    expect(limits.map((file) => readFileSync(file, 'utf8')).join()).toMatch(/^(-1|max 100000)\n$/);
    m1.slow({loss: 1});
    expect(await get(m2, m1)).toBeUndefined();
    m1.heal();
    await reads(m2, m1, 'm1');
  });
});

describe('what machines leave behind', () => {
  it('is nothing after stop, also while paused, cut off and slowed', async () => {
    const cluster = await machines(2);
    const [first] = cluster.hosts as [Machine, Machine];
    first.cutOff();
    first.slow({kbitPerSecond: 100});
    const pids = cluster.hosts.flatMap((host) => host.pids());
    await first.pause();
    expect(traces(networkOf(cluster))).not.toEqual([]);
    const [, second] = cluster.hosts as [Machine, Machine];
    await second.powerOff();
    await cluster.stop();
    await cluster.stop();
    await expect(second.powerOn()).rejects.toThrow('the machines were stopped');
    expect([pids.filter(running), traces(networkOf(cluster)), existsSync(first.dir)]).toEqual([[], [], false]);
  });

  const index = join(import.meta.dirname, '../../src/index.ts');
  const env = {...process.env, NODE_OPTIONS: ''};
  const report = 'console.log(JSON.stringify({address: m.address, dir: m.hosts[0].dir, pids: m.hosts[0].pids()}));';
  interface Report {
    address: string;
    dir: string;
    pids: number[];
  }

  it('is nothing when the test process ends without a stop', () => {
    const script = `import {machines} from '${index}'; const m = await machines(1); ${report}`;
    const {stdout, stderr} = spawnSync(process.execPath, ['--input-type=module', '-e', script], {encoding: 'utf8', env, timeout: 20_000});
    expect(stderr).toBe('');
    expect(traces(networkOf(JSON.parse(stdout) as Report))).toEqual([]);
  });

  it('is removed by the next run when the test process was killed', async () => {
    const script = `import {machines} from '${index}';
      const m = await machines(1, {engines: true});
      const container = await m.hosts[0].engine.docker.createContainer({Image: await m.loadImage(), Cmd: ['sleep', '1000']});
      await container.start();
      ${report}`;
    const owner = spawn(process.execPath, ['--input-type=module', '-e', script], {env, stdio: ['ignore', 'pipe', 'inherit']});
    const [line] = (await once(owner.stdout, 'data')) as [Buffer];
    const {address, dir, pids} = JSON.parse(line.toString()) as Report;
    owner.kill('SIGKILL');
    await once(owner, 'exit');
    const network = networkOf({address});
    expect(traces(network)).not.toEqual([]);
    reapStale();
    expect([pids.filter(running), traces(network), existsSync(dir)]).toEqual([[], [], false]);
  });
});
