import {readdirSync} from 'node:fs';
import type {Runtime, RuntimeEvent, RuntimeSpec} from '@hivemind/runtime';
import {waitFor} from '@hivemind/testkit';
import {containerSpec, type ContainerOverrides} from '../../src/testing/index.ts';
import {containerdBench, type ContainerdBench, pulled} from './containerd-harness.ts';
import {nothing, remains} from './containerd-killed.ts';
import {faultyRegistry, type FaultyRegistry} from './faulty-registry.ts';

let bench: ContainerdBench;
let runtime: Runtime;
let over: AbortController;
let count = 0;

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
  await runtime.close();
});

function scripted(script: string, container: ContainerOverrides = {}, spec: Partial<Omit<RuntimeSpec, 'record'>> = {}): RuntimeSpec {
  return containerSpec({id: `e${++count}-${bench.cluster}`, ...container, template: {image: bench.image, args: ['sh', '-c', script], ...container.template}}, spec);
}

async function run(spec: RuntimeSpec): Promise<string> {
  const runtimeId = await runtime.create(spec);
  await runtime.start(runtimeId);
  return runtimeId;
}

const ended = (spec: RuntimeSpec) => waitFor(async () => {
  const container = await runtime.inspect(spec.record.id);
  return container?.state === 'exited' && container;
}, {what: `${spec.record.id} to exit`});

async function lines(runtimeId: string): Promise<string[]> {
  const read = [];
  for await (const {line} of runtime.logs(runtimeId, {follow: false}, over.signal)) read.push(line);
  return read;
}

/** What a container says of itself, and how it ended. */
async function said(script: string, container: ContainerOverrides = {}, spec: Partial<Omit<RuntimeSpec, 'record'>> = {}): Promise<string[]> {
  const made = scripted(`exec 2>&1; ${script}`, container, spec);
  const runtimeId = await run(made);
  await ended(made);
  return lines(runtimeId);
}

function heard(from: Runtime): RuntimeEvent[] {
  const events: RuntimeEvent[] = [];
  void (async () => {
    for await (const event of from.events(over.signal)) events.push(event);
  })();
  return events;
}

describe('a container', () => {
  it('is what its template says', async () => {
    expect(await said('id -un; id -gn; hostname; pwd; cat /etc/hosts | tail -1; cat /etc/resolv.conf; touch /x || echo no', {template: {user: 'nobody', hostname: 'box', workdir: '/some/where', readOnlyRoot: true, extraHosts: {other: '10.1.2.3'}, dns: ['10.9.9.9']}})).toEqual([
      'nobody', 'nogroup', 'box', '/some/where', '10.1.2.3\tother', 'nameserver 10.9.9.9', 'touch: /x: Read-only file system', 'no',
    ]);
    await expect(runtime.create(scripted('', {template: {user: 'bob'}}))).rejects.toMatchObject({code: 'start-failed', message: expect.stringContaining('no user bob')});
    await expect(runtime.create(scripted('', {template: {capabilities: {add: ['FLY']}}}))).rejects.toMatchObject({code: 'start-failed', message: expect.stringContaining('FLY')});
  });

  it('is kept from the machine', async () => {
    expect(await said('mount -t tmpfs x /mnt; unshare -m true; echo x > /proc/sys/kernel/domainname; ls /sys/class/net | grep -c eth; grep CapEff /proc/self/status')).toEqual([
      expect.stringContaining('denied'), expect.stringContaining('ermitted'), expect.stringContaining('Read-only'), '0', 'CapEff:\t00000000a80425fb',
    ]);
  });

  it('is limited, and told apart when it takes too much memory', async () => {
    const events = heard(runtime);
    await waitFor(() => events.length > 0, {what: 'the events to begin'});
    // Not before its memory is watched, which begins when it has started.
    const spec = scripted('while [ ! -e /go ]; do :; done; tail /dev/zero; exit 1', {template: {resources: {memoryLimit: '8Mi', pids: 20, cpuLimit: 0.5}}});
    const {exitCode} = await runtime.exec(await run(spec), {command: ['touch', '/go'], tty: false, stdin: false});
    await Promise.all([exitCode, ended(spec)]);
    await waitFor(() => events.some(({type}) => type === 'oom'), {what: 'the event'});
  });

  it('has the limits, shared memory, devices and groups that it asks for, also for a command in it', async () => {
    const template = {ulimits: {nofile: {soft: 512, hard: 1024}, core: 0, fsize: -1}, shmSize: '8Mi' as const, groups: ['nogroup', '998'], devices: [
      {host: '/dev/null', mount: '/dev/nothing', permissions: 'rw'}, {host: '/dev/loop-control', mount: '/dev/read', permissions: 'r'}, {host: '/dev/net', permissions: 'rwm'},
    ]};
    const limits = 'ulimit -Sn; ulimit -Hn; ulimit -c; ulimit -f';
    expect(await said(`${limits}; df -k /dev/shm | tail -1 | tr -s " " | cut -d" " -f2; echo x > /dev/nothing && ls -l /dev/nothing | cut -c1; (: < /dev/read) && (: > /dev/read) 2>&1 | grep -c permitted; ls /dev/net; id -G`, {template})).toEqual([
      '512', '1024', '0', 'unlimited', '8192', 'c', '1', 'tun', expect.stringMatching(/(?=.* 65534\b)(?=.* 998\b)/),
    ]);
    const session = await runtime.exec(await run(scripted('sleep 1000', {template})), {command: ['sh', '-c', limits], tty: false, stdin: false});
    let seen = '';
    for await (const {data} of session.output) seen += Buffer.from(data).toString();
    expect(seen.split('\n').slice(0, 4)).toEqual(['512', '1024', '0', 'unlimited']);
    const refused = (wanted: object) => expect(runtime.create(scripted('', {template: wanted}))).rejects;
    await refused({devices: [{host: '/dev/absent', permissions: 'rwm'}]}).toMatchObject({code: 'start-failed', message: expect.stringContaining('no device /dev/absent')});
    // Links in a folder lead anywhere.
    await refused({devices: [{host: '/dev/fd', permissions: 'rwm'}]}).toMatchObject({code: 'start-failed', message: expect.stringContaining('/dev/fd of this machine is neither')});
    await refused({groups: ['none']}).toMatchObject({code: 'start-failed', message: expect.stringContaining('no group none')});
  });

  it('has volumes, files and tmpfs, and an init', async () => {
    const mounts = [
      {type: 'volume' as const, source: `etc-${bench.cluster}`, target: '/etc/copy', readOnly: false, labels: {}},
      {type: 'bind' as const, source: '/etc/hostname', target: '/given', readOnly: true},
      {type: 'tmpfs' as const, target: '/scratch', size: 2 ** 20},
    ];
    expect(await said('touch /etc/copy/a && ls /etc/copy; echo x > /given; df -k /scratch | tail -1 | tr -s " " | cut -d" " -f2; cat /proc/1/comm', {template: {init: true}}, {mounts})).toEqual(['a', expect.stringContaining('Read-only'), '1024', expect.stringMatching(/init/)]);
  });

  it('has a terminal of the size that it is given', async () => {
    const runtimeId = await run(scripted('sleep 1000'));
    const session = await runtime.exec(runtimeId, {command: ['sh', '-c', 'read go; stty size; read go; stty size'], tty: true, stdin: true, columns: 100, rows: 40});
    let seen = '';
    const reading = (async () => {
      for await (const {data} of session.output) seen += Buffer.from(data).toString();
    })();
    await session.write(Buffer.from('go\n'));
    await waitFor(() => seen.includes('40 100'), {what: 'the first size'});
    await session.resize(120, 50);
    await session.write(Buffer.from('go\n'));
    await waitFor(() => seen.includes('50 120'), {what: 'the second size'});
    await reading;
    expect(await session.exitCode).toBe(0);
  });
});

it('a container that somebody paused is seen to be, and ends when it is told to', async () => {
  const spec = scripted('sleep 1000');
  const runtimeId = await run(spec);
  bench.containerd.ctr('tasks', 'pause', runtimeId);
  expect(await runtime.inspect(spec.record.id)).toMatchObject({state: 'paused'});
  expect((await runtime.stats([spec.record.id])).map(({id}) => id)).toEqual([spec.record.id]);
  await runtime.stop(runtimeId, 'SIGTERM', 50);
  expect(await runtime.inspect(spec.record.id)).toMatchObject({state: 'exited'});
});

describe('what goes and comes', () => {
  it('an agent: the next one finds its containers, and their output goes on', async () => {
    const spec = scripted('n=0; while true; do n=$((n+1)); echo $n; sleep 0.02; done');
    const runtimeId = await run(spec);
    await waitFor(async () => (await lines(runtimeId)).length > 3, {what: 'some lines'});
    const before = await runtime.inspect(spec.record.id);
    await runtime.close();
    runtime = await bench.open();
    const events = heard(runtime);
    await waitFor(() => events.length > 0, {what: 'the events to begin'});
    const known = (await lines(runtimeId)).length;
    await waitFor(async () => (await lines(runtimeId)).length > known + 5, {what: 'more lines'});
    const all = await lines(runtimeId);
    expect(all).toEqual(all.map((_, at) => String(at + 1)));
    expect(await runtime.inspect(spec.record.id)).toMatchObject({state: 'running', pid: before?.pid});
  });

  it('containerd: nothing restarts, and what ended meanwhile is seen', async () => {
    const events = heard(runtime);
    await waitFor(() => events.length > 0, {what: 'the events to begin'});
    const [stays, ends] = [scripted('sleep 1000'), scripted('sleep 1000')];
    await run(stays);
    await run(ends);
    const [pid, doomed] = await Promise.all([stays, ends].map(async (spec) => (await runtime.inspect(spec.record.id))!.pid!));
    await bench.containerd.kill();
    await waitFor(() => events.at(-1)?.type === 'disconnected', {what: 'the loss'});
    await expect(runtime.list()).rejects.toMatchObject({code: 'runtime-unavailable', message: expect.stringContaining(bench.containerd.socketPath)});
    process.kill(doomed!, 'SIGKILL');
    await bench.containerd.start();
    await waitFor(() => events.at(-1)?.type === 'connected', {what: 'the connection', deadlineMs: 20_000});
    expect(await runtime.inspect(stays.record.id)).toMatchObject({state: 'running', pid});
    expect(await ended(ends)).toMatchObject({exitCode: 137});
    await runtime.start((await runtime.inspect(ends.record.id))!.runtimeId);
    expect((await runtime.list()).map(({state}) => state)).toEqual(['running', 'running']);
  });

  it('containers: they leave nothing', async () => {
    const {cluster} = bench;
    const ids: string[] = [];
    const cycle = async (): Promise<void> => {
      const id = `cycle${++count}-${cluster}`;
      ids.push(id);
      await runtime.remove(await run(scripted('echo hi; sleep 1000', {id}, {networks: [{name: `cycle-${cluster}`, aliases: []}]})));
    };
    await cycle();
    const descriptors = (): number => readdirSync('/proc/self/fd').length;
    const held = descriptors();
    // 200 of them in the whole matrix.
    const rounds = process.env['HIVEMIND_TEST_FULL'] ? 50 : 3;
    for (let round = 0; round < rounds; round++) await Promise.all(Array.from({length: 4}, cycle));
    await waitFor(() => remains(bench, ids)['shims'] === 0, {what: 'shims to end'});
    expect(remains(bench, ids)).toEqual(nothing);
    await runtime.pruneNetworks();
    await waitFor(() => descriptors() <= held, {what: 'as few open files as before'});
  }, 180_000);
});

describe('a registry', () => {
  let registry: FaultyRegistry;
  let pulling: Runtime;
  const image = () => `${registry.host}/base:1`;

  beforeEach(async () => {
    registry = await faultyRegistry(bench.registry.url);
    pulling = await bench.open({plainHttp: [registry.host]});
    // What it has already, it would not ask for.
    bench.containerd.ctr('images', 'rm', '--sync', bench.image);
  });
  afterEach(async () => {
    await pulling.close();
    bench.containerd.ctr('images', 'ls', '-q').split('\n').filter(Boolean).forEach((name) => bench.containerd.ctr('images', 'rm', '--sync', name));
    await registry[Symbol.asyncDispose]();
    await pulled(runtime, bench.image);
  });

  /** Blobs of layers are the larger ones. */
  const isLayer = (url: string, body: Buffer): boolean => url.includes('/blobs/') && body.length > 50_000;

  it('that drops in the middle of a layer is asked for the rest', async () => {
    let drops = 2;
    registry.harm = ({url}, body, response) => {
      if (!isLayer(url, body) || drops-- <= 0) return false;
      response.writeHead(200, {'content-length': body.length});
      response.write(body.subarray(0, 20_000), () => response.destroy());
      return true;
    };
    await pulled(pulling, image());
    expect(await pulling.hasImage(image())).toBe(true);
    expect(registry.asked.filter((asked) => asked.includes('bytes=')).length).toBeGreaterThan(0);
  });

  it('that is busy is asked again', async () => {
    let busy = 2;
    registry.harm = (_request, _body, response) => {
      if (busy-- <= 0) return false;
      response.writeHead(429, {'retry-after': '0'}).end();
      return true;
    };
    await pulled(pulling, image());
  });

  it('that gives something else is not believed, and can be asked again', async () => {
    registry.harm = ({url}, body, response) => {
      if (!isLayer(url, body)) return false;
      const other = Buffer.from(body);
      other.writeUInt8(other.readUInt8(1000) ^ 1, 1000);
      response.writeHead(200, {'content-length': other.length}).end(other);
      return true;
    };
    await expect(pulled(pulling, image())).rejects.toMatchObject({code: 'image-pull-failed', message: expect.stringContaining('something else')});
    expect(await pulling.hasImage(image())).toBe(false);
    registry.harm = () => false;
    await pulled(pulling, image());
  });

  it('that says less than it promised is given up on, by name', async () => {
    registry.harm = ({url}, body, response) => {
      if (!isLayer(url, body)) return false;
      response.writeHead(200, {'content-length': 1000}).end(body.subarray(0, 1000));
      return true;
    };
    await expect(pulled(pulling, image())).rejects.toMatchObject({code: 'image-pull-failed', message: expect.stringMatching(/broke off at \d+ of \d+/)});
  });

  it('that has the image for other machines alone is said to', async () => {
    registry.harm = ({url}, _body, response) => {
      if (!url.includes('/manifests/')) return false;
      const other = {mediaType: 'application/vnd.oci.image.manifest.v1+json', digest: `sha256:${'0'.repeat(64)}`, size: 500, platform: {os: 'linux', architecture: 's390x'}};
      response.writeHead(200, {'content-type': 'application/vnd.oci.image.index.v1+json'}).end(JSON.stringify({schemaVersion: 2, manifests: [other]}));
      return true;
    };
    await expect(pulled(pulling, image())).rejects.toMatchObject({code: 'image-not-found', message: expect.stringMatching(/does not exist for linux\/\w+/)});
  });

  it('is not spoken to in the clear unless it is named so', async () => {
    await expect(pulled(runtime, image())).rejects.toMatchObject({code: 'image-pull-failed'});
    expect(registry.asked).toEqual([]);
  });
});
