/** A whole cluster: a published port leads, on every machine, to all containers of its app, unless a process of the machine has it. */
import type {ChildProcess} from 'node:child_process';
import {once} from 'node:events';
import {type Machine, waitFor} from '@hivemind/testkit';
import * as z from 'zod';
import {startCluster, type TestCluster} from '../cluster.ts';

let cluster: TestCluster;

beforeAll(async () => {
  cluster = await startCluster({machines: 2});
  // The engines publish as long as there is no network.
  await cluster.deploy('early', cluster.sleeper({command, ports: [{container: 80, host: 7070}]}));
  await cluster.untilRunning('early', 1);
  await cluster.connect();
}, 120_000);
afterAll(() => cluster?.stop());

const command = ['sh', '-c', 'mkdir -p /www; hostname > /www/name; exec httpd -f -p 80 -h /www'];
const Overlay = z.object({items: z.array(z.object({node: z.string(), backend: z.string(), problems: z.array(z.string())}))});
const overlay = async () => Overlay.parse(await cluster.api.ask('GET', '/networks/overlay')).items;

/** Each over a connection of its own. */
const dial = `
const [url, times] = process.argv.slice(1);
for (let i = 0; i < Number(times); i++) console.log((await (await fetch(url, {headers: {connection: 'close'}, signal: AbortSignal.timeout(5000)})).text()).trim());
`;
/** Who answers on a machine's port, asked on the machine `from`, or from outside. */
async function answers(to: string, times: number, from?: string): Promise<readonly string[]> {
  const url = `http://${to}/name`;
  if (from === undefined) return Promise.all(Array.from({length: times}, async () => (await (await fetch(url, {headers: {connection: 'close'}, signal: AbortSignal.timeout(5_000)})).text()).trim()));
  const {status, stdout, stderr} = await cluster.member(from).machine.exec(process.execPath, ['--input-type=module', '-e', dial, url, String(times)]);
  if (status !== 0) throw new Error(stderr);
  return stdout.trim().split('\n');
}

const addresses = (): readonly string[] => cluster.members.map(({machine}) => machine.address);

/** Every machine's port, from outside, from itself and from the other, leads to so many. */
function untilLed(port: number, containers: number): Promise<unknown> {
  const [first = '', second = ''] = addresses();
  const ways: readonly (readonly [string, string?])[] = [[first], [second], [first, 'm1'], ['127.0.0.1', 'm1'], ['127.0.0.1', 'm2'], [second, 'm1']];
  return waitFor(async () => {
    for (const [to, from] of ways) {
      const seen = new Set(await answers(`${to}:${port}`, containers * 3, from));
      if (seen.size !== containers) throw new Error(`${to}:${port} asked from ${from ?? 'outside'} is ${[...seen].join(' ')}`);
    }
    return true;
  }, {what: `port ${port} of both machines to lead to ${containers}`, deadlineMs: 20_000});
}

/** A process of the machine that says `mine`; it ends with the machine. */
async function listening(machine: Machine, port: number): Promise<ChildProcess> {
  const child = machine.run(process.execPath, ['-e', `require('http').createServer((_, answer) => answer.end('mine')).listen(${port}, () => console.log('up'))`], {stdio: ['ignore', 'pipe', 'inherit']});
  await once(child.stdout!, 'data');
  return child;
}

describe('a published port', () => {
  it('that an engine publishes stays so until the container is replaced, and leads to the new ones from then on', async () => {
    const [old] = await cluster.running('early');
    if (!old) throw new Error('it does not run');
    const home = cluster.member(old.node);
    const ask = `${home.machine.address}:7070`;
    expect(await answers(ask, 2)).toEqual([old.id, old.id]);
    await waitFor(async () => (await cluster.node(old.node)).status.conditions.every(({type}) => type !== 'HostPorts'), {what: 'the engine\'s own socket to be known for what it is'});
    await cluster.api.ask('PATCH', '/apps/early', {spec: {replicas: 2}});
    await cluster.untilRunning('early', 2);
    const made = (await cluster.running('early')).filter(({id}) => id !== old.id).map(({id}) => id);
    // The one that has an address on the network: the other's is its machine's alone.
    await waitFor(async () => (await answers(ask, 4)).every((id) => made.includes(id)), {what: 'the rule to decide'});
    await cluster.api.ask('POST', '/apps/early/restart');
    await waitFor(async () => (await cluster.running('early')).every(({id}) => id !== old.id && !made.includes(id)), {what: 'all to be replaced', deadlineMs: 30_000});
    await cluster.untilRunning('early', 2);
    await untilLed(7070, 2);
    await cluster.remove('early');
  }, 120_000);

  it('leads to all containers of its app on every machine, though several of them share one', async () => {
    await cluster.deploy('web', cluster.sleeper({replicas: 3, command, ports: [{container: 80, host: 8080}]}));
    await cluster.untilRunning('web', 3);
    await untilLed(8080, 3);
    for (const {node, runtimeId} of cluster.runtime === 'docker' ? await cluster.running('web') : []) {
      expect((await cluster.member(node).machine.engine.docker.getContainer(runtimeId).inspect()).HostConfig.PortBindings).toEqual({});
    }
    expect((await cluster.app('web')).status.endpoints.map(({address, port}) => `${address}:${port}`).toSorted()).toEqual(addresses().map((address) => `${address}:8080`).toSorted());
    expect((await cluster.records('web')).map(({status}) => status.ports.map(({host, container}) => `${host}->${container}`))).toEqual([['8080->80'], ['8080->80'], ['8080->80']]);
    await cluster.scale('web', 1);
    await cluster.untilContainers('web', 1);
    await untilLed(8080, 1);
    await expect(cluster.deploy('other', cluster.sleeper({ports: [{container: 80, host: 8080}]}))).rejects.toThrow('port-conflict');
    await cluster.remove('web');
    await cluster.untilContainers('web', 0);
    await expect(answers(`${addresses()[0]}:8080`, 1)).rejects.toThrow();
  }, 120_000);

  it('that nobody chose is the same on all machines', async () => {
    await cluster.deploy('any', cluster.sleeper({replicas: 2, command, ports: [{container: 80, host: 0}]}));
    await cluster.untilRunning('any', 2);
    const ports = await waitFor(async () => {
      const {status: {endpoints}} = await cluster.app('any');
      return endpoints.length === 2 ? new Set(endpoints.map(({port}) => port)) : undefined;
    }, {what: 'its port'});
    expect(ports.size).toBe(1);
    await untilLed([...ports][0] ?? 0, 2);
    await cluster.remove('any');
  }, 60_000);

  it('is left to a process of a machine that has it, which is told, and led on when that has ended', async () => {
    const {machine} = cluster.member('m1');
    const process_ = await listening(machine, 9090);
    await cluster.deploy('web', cluster.sleeper({replicas: 2, command, ports: [{container: 80, host: 9090}]}));
    await cluster.untilRunning('web', 2);
    const [first = '', second = ''] = addresses();
    await waitFor(async () => new Set(await answers(`${second}:9090`, 4)).size === 2, {what: 'the other machine to lead it on'});
    await waitFor(async () => (await overlay()).find(({node}) => node === 'm1')?.problems.some((problem) => /9090\/tcp.* on m1/.test(problem)), {what: 'the problem'});
    expect([...(await answers(`${first}:9090`, 3)), ...(await answers('127.0.0.1:9090', 3, 'm1'))]).toEqual(Array.from({length: 6}, () => 'mine'));
    await waitFor(async () => (await cluster.node('m1')).status.conditions.some(({type, status, message}) => type === 'HostPorts' && status === 'false' && message.includes('9090/tcp of default/web')), {what: 'the machine to say so'});
    const {status} = await cluster.app('web');
    expect(status.endpoints).toEqual([{node: 'm2', address: second, port: 9090}]);
    expect(status.conditions).toContainEqual(expect.objectContaining({type: 'Published', reason: 'PortTaken', message: expect.stringContaining('m1')}));
    process_.kill('SIGKILL');
    await untilLed(9090, 2);
    await waitFor(async () => (await cluster.app('web')).status.endpoints.length === 2, {what: 'both machines to be told of'});
    // Who comes later gets nothing, also of an agent that was not there to see it.
    await cluster.member('m1').agent.kill();
    await listening(machine, 9090);
    await cluster.member('m1').agent.start();
    await waitFor(async () => (await overlay()).find(({node}) => node === 'm1')?.problems.some((problem) => /on m1 listens on 9090\/tcp and gets nothing/.test(problem)), {what: 'the new agent to have looked', deadlineMs: 20_000});
    await untilLed(9090, 2);
  }, 120_000);
});
