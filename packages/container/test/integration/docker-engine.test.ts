/** What only a real engine can show. */
import {engineLabels} from '@hivemind/contracts';
import {dockerEngine, startDockerEngine, waitFor} from '@hivemind/testkit';
import type {RuntimeEvent, RuntimeSpec} from '@hivemind/runtime';
import type Docker from 'dockerode';
import {containerSpec, type ContainerOverrides} from '../../src/testing/index.ts';
import {countingProxy} from './counting-proxy.ts';
import {testCluster, type TestCluster} from './harness.ts';

let docker: Docker;
let ours: TestCluster;
let over: AbortController;
let count = 0;

beforeAll(async () => {
  docker = await dockerEngine();
});
beforeEach(async () => {
  ours = await testCluster(docker);
  over = new AbortController();
});
afterEach(async () => {
  over.abort();
  await ours.close();
});

function scripted({cluster, image}: TestCluster, script: string, container: ContainerOverrides = {}, spec: Partial<Omit<RuntimeSpec, 'record'>> = {}): RuntimeSpec {
  return containerSpec({id: `c${++count}-${cluster}`, ...container, template: {image, args: ['sh', '-c', script], ...container.template}}, spec);
}

async function run({runtime}: TestCluster, spec: RuntimeSpec): Promise<string> {
  const runtimeId = await runtime.create(spec);
  await runtime.start(runtimeId);
  return runtimeId;
}

async function exited({runtime}: TestCluster, spec: RuntimeSpec) {
  return waitFor(async () => {
    const container = await runtime.inspect(spec.record.id);
    return container?.state === 'exited' && container;
  }, {what: `${spec.record.id} to exit`, deadlineMs: 20_000});
}

async function lines({runtime}: TestCluster, runtimeId: string): Promise<string[]> {
  const read = [];
  for await (const {line} of runtime.logs(runtimeId, {follow: false}, over.signal)) read.push(line);
  return read;
}

function heard({runtime}: TestCluster): RuntimeEvent[] {
  const events: RuntimeEvent[] = [];
  void (async () => {
    for await (const event of runtime.events(over.signal)) events.push(event);
  })();
  return events;
}

describe('the machine\'s network of containers', () => {
  const network = (subnet: string, address: string) => ({bridge: 'hmtest0', subnet: `${subnet}.0/24`, gateway: `${subnet}.1`, others: `${subnet}.252/30`, mtu: 1400, address: `${subnet}.${address}`, dns: {servers: [], search: ['default.svc.hive'], options: ['ndots:1']}});
  const on = (subnet: string, address: string, script = 'cat /etc/resolv.conf; ip -o link show eth0; sleep 1000', aliases: readonly string[] = []) => {
    const wanted = network(subnet, address);
    return scripted(ours, script, {}, {network: wanted, networks: [{name: `hive-${ours.cluster}`, aliases}], labels: {[engineLabels.address]: wanted.address}});
  };
  const ip = async (spec: RuntimeSpec) => (await ours.runtime.inspect(spec.record.id))?.ip;

  it('gives a container the address that it is told, also when it is started again or the network was lost meanwhile', async () => {
    const spec = on('10.253.117', '9');
    const runtimeId = await run(ours, spec);
    expect(await ip(spec)).toBe('10.253.117.9');
    await waitFor(async () => (await lines(ours, runtimeId)).join('\n').match(/search default.svc.hive[^]*mtu 1400/), {what: 'it to say where it asks for names'});
    await ours.runtime.stop(runtimeId, 'SIGKILL', 1_000);
    await ours.runtime.start(runtimeId);
    expect(await ip(spec)).toBe('10.253.117.9');
    await ours.runtime.stop(runtimeId, 'SIGKILL', 1_000);
    await ours.runtime.pruneNetworks();
    await ours.runtime.start(runtimeId);
    expect(await ip(spec)).toBe('10.253.117.9');
  });

  it('has short names answered by the engine, where nobody else answers', async () => {
    await run(ours, on('10.253.116', '9', 'echo hello > /tmp/index.html; exec httpd -f -p 80 -h /tmp', ['web.default.svc.hive']));
    const client = on('10.253.116', '10', 'until wget -q -O - http://web/; do sleep 0.1; done');
    const runtimeId = await run(ours, client);
    await exited(ours, client);
    expect((await lines(ours, runtimeId)).at(-1)).toBe('hello');
  });

  it('is made anew with other addresses when no container is on it, and only then', async () => {
    const before = on('10.253.118', '9');
    const runtimeId = await run(ours, before);
    await expect(run(ours, on('10.253.119', '9'))).rejects.toMatchObject({code: 'runtime-conflict'});
    await ours.runtime.remove(runtimeId);
    const after = on('10.253.119', '9');
    await run(ours, after);
    expect(await ip(after)).toBe('10.253.119.9');
  });
});

describe('the way to a running container', () => {
  it('is two calls, whose addresses hold no secret', async () => {
    await using proxy = await countingProxy();
    const cluster = await testCluster(docker, proxy.socketPath);
    try {
      const networks = [{name: `net-${cluster.cluster}`, aliases: ['web']}];
      const specs = Array.from({length: 4}, () => scripted(cluster, 'sleep 1000', {}, {networks, env: {PASSWORD: 'hunter2'}}));
      await Promise.all(specs.map((spec) => run(cluster, spec)));
      const asked = proxy.requests.map((line) => line.replace(/\/[0-9a-f]{64}\//, '/ID/').replace(/\?.*/, ''));
      expect(asked.toSorted()).toEqual([
        ...Array.from({length: 4}, () => 'POST /containers/ID/start'),
        ...Array.from({length: 4}, () => 'POST /containers/create'),
        'POST /networks/create',
      ].map((line) => expect.stringContaining(line)));
      expect(proxy.requests.join('\n')).not.toContain('hunter2');
      // Seeing it run is one more.
      proxy.requests.length = 0;
      expect((await cluster.runtime.inspect(specs[0]!.record.id))?.state).toBe('running');
      expect(proxy.requests).toHaveLength(1);
    } finally {
      await cluster.close();
    }
  });
});

describe('networks', () => {
  it('let containers find each other by alias, on several at once', async () => {
    const networks = [{name: `net-a-${ours.cluster}`, aliases: ['web']}, {name: `net-b-${ours.cluster}`, aliases: ['site']}];
    const server = await run(ours, scripted(ours, 'echo hello > /tmp/index.html; exec httpd -f -p 80 -h /tmp', {}, {networks}));
    expect(await ours.runtime.create(scripted(ours, '', {id: (await ours.runtime.list())[0]!.id}, {networks}))).toBe(server);
    for (const [name, alias] of [[networks[0]!.name, 'web'], [networks[1]!.name, 'site']] as const) {
      const client = scripted(ours, `until wget -q -O - http://${alias}/; do sleep 0.1; done`, {}, {networks: [{name, aliases: []}]});
      const runtimeId = await run(ours, client);
      await exited(ours, client);
      expect((await lines(ours, runtimeId)).at(-1)).toBe('hello');
    }
  });

  it('of somebody else are left alone', async () => {
    const name = `foreign-${ours.cluster}`;
    const network = await docker.createNetwork({Name: name});
    try {
      const spec = scripted(ours, 'sleep 1000', {}, {networks: [{name, aliases: []}]});
      await expect(ours.runtime.create(spec)).rejects.toMatchObject({code: 'runtime-conflict', message: expect.stringContaining(name)});
      await ours.runtime.pruneNetworks();
      expect(await network.inspect()).toMatchObject({Name: name});
    } finally {
      await network.remove();
    }
  });
});

describe('containers', () => {
  it('of others are neither seen nor touched', async () => {
    const other = await docker.createContainer({Image: ours.image, Cmd: ['sleep', '1000'], name: `other-${ours.cluster}`});
    try {
      expect(await ours.runtime.list()).toEqual([]);
      const spec = containerSpec({id: `other-${ours.cluster}`, template: {image: ours.image}});
      await expect(ours.runtime.create(spec)).rejects.toMatchObject({code: 'runtime-conflict'});
      expect(await other.inspect()).toMatchObject({State: {Status: 'created'}});
    } finally {
      await other.remove({force: true});
    }
  });

  it('are limited as asked', async () => {
    const spec = scripted(ours, 'sleep 1000', {template: {resources: {cpu: 0.25, cpuLimit: 0.5, memory: '16Mi', memoryLimit: '32Mi', pids: 20}, sysctls: {'net.core.somaxconn': '512'}}}, {networks: [{name: `net-${ours.cluster}`, aliases: []}]});
    const {HostConfig} = await docker.getContainer(await run(ours, spec)).inspect();
    expect(HostConfig).toMatchObject({CpuShares: 256, NanoCpus: 500_000_000, Memory: 33_554_432, MemoryReservation: 16_777_216, PidsLimit: 20, RestartPolicy: {Name: 'no'}});
  });

  it('have the limits, shared memory, devices and groups that they ask for', async () => {
    const template = {ulimits: {nofile: {soft: 512, hard: 1024}, core: 0, fsize: -1}, shmSize: '8Mi' as const, devices: [{host: '/dev/null', mount: '/dev/nothing', permissions: 'rw'}], groups: ['nogroup', '998']};
    const spec = scripted(ours, 'ulimit -Sn; ulimit -Hn; ulimit -c; ulimit -f; df -k /dev/shm | tail -1 | tr -s " " | cut -d" " -f2; echo x > /dev/nothing && ls -l /dev/nothing | cut -c1; id -G', {template});
    const runtimeId = await run(ours, spec);
    await exited(ours, spec);
    expect(await lines(ours, runtimeId)).toEqual(['512', '1024', '0', 'unlimited', '8192', 'c', expect.stringMatching(/(?=.* 65534\b)(?=.* 998\b)/)]);
  });

  it('that use a processor show it', async () => {
    const spec = scripted(ours, 'while :; do :; done');
    await run(ours, spec);
    await waitFor(async () => ((await ours.runtime.stats([spec.record.id]))[0]?.cpu ?? 0) > 50, {what: 'more than 50 millicores', intervalMs: 200});
  });

  it('that take too much memory are told apart from those that fail', async () => {
    const events = heard(ours);
    await waitFor(() => events.length > 0, {what: 'the events to begin'});
    // Not before the engine watches its memory, which it begins to do when it has started.
    const spec = scripted(ours, 'while [ ! -e /go ]; do :; done; tail /dev/zero; exit 1', {template: {resources: {memoryLimit: '8Mi'}}});
    const {exitCode} = await ours.runtime.exec(await run(ours, spec), {command: ['touch', '/go'], tty: false, stdin: false});
    await Promise.all([exitCode, exited(ours, spec)]);
    await waitFor(() => events.some(({type}) => type === 'oom'), {what: 'the event'});
  });
});

describe('a terminal', () => {
  it('is logged by line, also a long one', async () => {
    const spec = scripted(ours, 'echo one; echo "$LONG"; echo three', {template: {tty: true}}, {env: {LONG: 'z'.repeat(50_000)}});
    const runtimeId = await run(ours, spec);
    await exited(ours, spec);
    expect(await lines(ours, runtimeId)).toEqual(['one', 'z'.repeat(50_000), 'three']);
  });

  it('has the size that it is given', async () => {
    const runtimeId = await run(ours, scripted(ours, 'sleep 1000'));
    const session = await ours.runtime.exec(runtimeId, {command: ['sh', '-c', 'read go; stty size; read go; stty size'], tty: true, stdin: true, columns: 100, rows: 40});
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

describe('logs', () => {
  it('hand on a line of megabytes in pieces', async () => {
    const spec = scripted(ours, 'head -c 3000000 /dev/zero | tr "\\0" y; echo; echo end');
    const runtimeId = await run(ours, spec);
    await exited(ours, spec);
    const read = await lines(ours, runtimeId);
    expect(read.at(-1)).toBe('end');
    expect(read.slice(0, -1).join('')).toBe('y'.repeat(3_000_000));
    expect(Math.max(...read.map((line) => line.length))).toBeLessThanOrEqual(1024 * 1024);
  });
});

describe('an engine that goes and comes', () => {
  it('is found again, and so is all that it ran', async () => {
    await using engine = await startDockerEngine({liveRestore: true});
    const cluster = await testCluster(engine.docker, engine.socketPath);
    try {
      const events = heard(cluster);
      await waitFor(() => events.at(-1)?.type === 'connected', {what: 'the connection'});
      const networks = [{name: `net-${cluster.cluster}`, aliases: []}];
      const [stays, ends] = [scripted(cluster, 'sleep 1000', {}, {networks}), scripted(cluster, "trap 'exit 3' TERM; sleep 1000 & wait", {}, {networks})];
      const runtimeId = await run(cluster, stays);
      await run(cluster, ends);
      const {pid} = (await cluster.runtime.inspect(ends.record.id))!;

      await engine.terminate();
      await waitFor(() => events.at(-1)?.type === 'disconnected', {what: 'the loss'});
      await expect(cluster.runtime.list()).rejects.toMatchObject({code: 'runtime-unavailable', message: expect.stringContaining(engine.socketPath)});
      await expect(cluster.runtime.start(runtimeId)).rejects.toMatchObject({code: 'runtime-unavailable', retryable: true});
      process.kill(pid!, 'SIGKILL');

      await engine.start();
      await waitFor(() => events.at(-1)?.type === 'connected', {what: 'the connection', deadlineMs: 20_000});
      expect(events.map(({type}) => type).filter((type) => type === 'connected' || type === 'disconnected')).toEqual(['connected', 'disconnected', 'connected']);
      expect(await cluster.runtime.inspect(stays.record.id)).toMatchObject({runtimeId, state: 'running'});
      expect((await exited(cluster, ends)).exitCode).not.toBe(0);
      await cluster.runtime.start((await cluster.runtime.inspect(ends.record.id))!.runtimeId);
      expect((await cluster.runtime.list()).map(({state}) => state)).toEqual(['running', 'running']);
    } finally {
      await cluster.close();
    }
  }, 90_000);

  it('need not be there to begin with', async () => {
    await using engine = await startDockerEngine();
    const cluster = await testCluster(engine.docker, engine.socketPath);
    try {
      await engine.terminate();
      const events = heard(cluster);
      await waitFor(() => events[0]?.type === 'disconnected', {what: 'the first word'});
      await engine.start();
      await waitFor(() => events[1]?.type === 'connected', {what: 'the connection', deadlineMs: 20_000});
      const spec = scripted(cluster, 'sleep 1000');
      const runtimeId = await run(cluster, spec);
      await waitFor(() => events.length === 3, {what: 'an event'});
      expect(events[2]).toEqual({type: 'started', id: spec.record.id, runtimeId});
      expect((await cluster.runtime.list())[0]?.labels[engineLabels.cluster]).toBe(cluster.cluster);
    } finally {
      await cluster.close();
    }
  }, 90_000);
});
