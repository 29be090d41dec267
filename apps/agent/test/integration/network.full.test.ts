/** A whole cluster whose machines carry containers' packets to each other: addresses last for a container's life. */
import {type Container, Ipam, Overlay} from '@hivemind/contracts';
import {waitFor} from '@hivemind/testkit';
import {startCluster, type TestCluster} from '../cluster.ts';

let cluster: TestCluster;

beforeAll(async () => {
  cluster = await startCluster({machines: 2});
}, 120_000);
afterAll(() => cluster?.stop());

const serving = (id: string) => ['sh', '-c', `mkdir -p /www; echo ${id} > /www/name; exec httpd -f -p 80 -h /www`];
const addresses = async (app: string): Promise<Map<string, string>> => new Map((await cluster.records(app)).map(({name, status}: Container) => [name, status.ip ?? '']));

const untilAddresses = (app: string, expected: ReadonlyMap<string, string>): Promise<unknown> => waitFor(async () => {
  expect(await addresses(app)).toEqual(expected);
  return true;
}, {what: `containers of ${app} to have the addresses that they had`, deadlineMs: 30_000});

/** Every container of the app reads from every one. */
async function untilAllReach(app: string): Promise<void> {
  const where = await addresses(app);
  await waitFor(async () => {
    for (const from of where.keys()) for (const to of where.values()) if ((await cluster.reads(from, to)) !== app) throw new Error(`${from} does not read from ${to}`);
    return true;
  }, {what: `every container of ${app} to reach every one`, deadlineMs: 20_000});
}

describe('a cluster with a network of its own', () => {
  it('gives each container an address of its machine\'s part, and all reach all', async () => {
    await cluster.connect();
    await cluster.deploy('web', cluster.sleeper({replicas: 4, command: serving('web')}));
    await cluster.untilRunning('web', 4);
    const {items} = Ipam.parse(await cluster.api.ask('GET', '/networks/ipam'));
    expect(items.map(({node}) => node)).toEqual(['m1', 'm2']);
    // That it runs is told at once, its address with the next word.
    await waitFor(async () => [...(await addresses('web')).values()].every((address) => address !== ''), {what: 'every container to have an address'});
    const records = await cluster.records('web');
    expect(new Set(records.map(({status}) => status.ip)).size).toBe(4);
    for (const {spec, status} of records) expect(status.ip?.replace(/\d+$/, '0/24')).toBe(items.find(({node}) => node === spec.node)?.subnet);
    await untilAllReach('web');
  }, 60_000);

  it('keeps an address when its process ends and is started again, and frees it with the container', async () => {
    const before = await addresses('web');
    const [victim] = await cluster.running('web');
    process.kill(victim!.pid, 'SIGKILL');
    await waitFor(async () => (await cluster.running('web')).some(({id, startedAt}) => id === victim!.id && startedAt !== victim!.startedAt), {what: 'it to be started again'});
    await cluster.untilRunning('web', 4);
    await untilAddresses('web', before);
    await cluster.scale('web', 2);
    await cluster.untilContainers('web', 2);
    await cluster.scale('web', 4);
    await cluster.untilRunning('web', 4);
    await waitFor(async () => new Set([...(await addresses('web')).values()].filter((address) => address !== '')).size === 4, {what: 'four addresses'});
    await untilAllReach('web');
  }, 60_000);

  it('encrypts from when that is wanted, while all go on with the addresses that they have', async () => {
    const before = await addresses('web');
    await cluster.connect('wireguard');
    await untilAllReach('web');
    const {items} = Overlay.parse(await cluster.api.ask('GET', '/networks/overlay'));
    expect(items.map(({problems, peers}) => [problems, peers.map(({via}) => via)])).toEqual([[[], ['wireguard']], [[], ['wireguard']]]);
    await untilAddresses('web', before);
  }, 60_000);

  it('has the same addresses after an agent was killed, and after a machine was off and the control plane is gone', async () => {
    const before = await addresses('web');
    const {agent} = cluster.member('m1');
    await agent.kill();
    agent.launch();
    await cluster.untilNode('m1', 'ready');
    await untilAddresses('web', before);
    await cluster.loseControl();
    await cluster.member('m2').powerOff();
    await cluster.member('m2').powerOn();
    await waitFor(async () => (await cluster.running('web')).length === 4, {what: 'all to run again', deadlineMs: 30_000});
    const [here, there] = [(await cluster.running('web')).find(({node}) => node === 'm1'), (await cluster.running('web')).find(({node}) => node === 'm2')];
    await waitFor(async () => (await cluster.reads(here!.id, before.get(there!.id)!)) === 'web' && (await cluster.reads(there!.id, before.get(here!.id)!)) === 'web', {what: 'them to reach each other', deadlineMs: 20_000});
    await cluster.regainControl();
    await cluster.untilRunning('web', 4, 60_000);
    await untilAddresses('web', before);
  }, 120_000);
});
