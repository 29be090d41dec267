/** Names within containers of a cluster whose machines carry packets to each other: asked through the engine, as any program in them asks. */
import {readFileSync} from 'node:fs';
import {join} from 'node:path';
import {type Container, Service} from '@hivemind/contracts';
import {waitFor} from '@hivemind/testkit';
import * as z from 'zod';
import {startCluster, type TestCluster} from '../cluster.ts';

let cluster: TestCluster;

beforeAll(async () => {
  cluster = await startCluster({machines: 2});
  await cluster.connect();
}, 150_000);
afterAll(() => cluster?.stop());

const serving = (name: string) => ['sh', '-c', `mkdir -p /www; echo ${name} > /www/name; exec httpd -f -p 80 -h /www`];

/** What the container's own resolver gives, by its search list. */
const looksUp = async (id: string, name: string): Promise<readonly string[]> => [...new Set([...(await cluster.within(id, `nslookup -type=a ${name}`)).matchAll(/^Name:.*\r?\nAddress(?: \d+)?: ([\d.]+)/gm)].map(([, address = '']) => address))].toSorted();
const untilFinds = (id: string, name: string, expected: readonly string[]): Promise<unknown> => waitFor(async () => {
  const found = await looksUp(id, name);
  if (JSON.stringify(found) !== JSON.stringify(expected)) throw new Error(`${id} finds ${found.join() || 'nothing'} as ${name}, and not ${expected.join()}`);
  return true;
}, {what: `${id} to find ${name}`, deadlineMs: 20_000});
const virtualIpOf = async (app: string): Promise<string> => Service.parse(await cluster.api.ask('GET', `/services/${app}`)).status.virtualIp ?? '';
const addressesOf = async (app: string): Promise<readonly string[]> => (await cluster.records(app)).map(({status}: Container) => status.ip ?? '').toSorted();

describe('names within containers', () => {
  it('lead to every replica on any machine, within their namespace and across', async () => {
    await cluster.deploy('web', cluster.sleeper({replicas: 4, command: serving('web')}));
    await cluster.deploy('db', cluster.sleeper({replicas: 2, command: serving('db'), service: {headless: true}}));
    await Promise.all([cluster.untilRunning('web', 4), cluster.untilRunning('db', 2)]);
    const asking = await cluster.records('web');
    expect(new Set(asking.map(({spec}) => spec.node)).size).toBe(2);
    const [web, db] = [await virtualIpOf('web'), await addressesOf('db')];
    for (const {name: id} of asking) for (const name of ['db', 'db.default', 'db.default.svc.hive']) await untilFinds(id, name, db);
    for (const name of ['web', 'web.default', 'web.default.svc.hive']) await untilFinds(asking[0]!.name, name, [web]);
    // What was found is reached: those on the other machine too, and ports that no app declares.
    expect(await cluster.within(asking[0]!.name, `ping -c 2 -W 2 ${web}`)).toMatch(/\b0% packet loss/);
    for (const address of [web, web, web, web]) expect(await cluster.within(asking[0]!.name, `printf 'GET /name HTTP/1.0\\r\\n\\r\\n' | nc -w 2 ${address} 80`)).toMatch(/web$/);
    for (const address of db) expect(await cluster.within(asking[0]!.name, `printf 'GET /name HTTP/1.0\\r\\n\\r\\n' | nc -w 2 ${address} 80`)).toMatch(/db$/);
  }, 120_000);

  it('lead on while the agent is away, also those that were not asked before, and after the sidecar was killed', async () => {
    const [asking] = (await cluster.records('web')).filter(({spec}) => spec.node === 'm1');
    const {agent} = cluster.member('m1');
    await agent.kill();
    await untilFinds(asking!.name, `${asking!.name}.web.default.svc.hive`, [asking!.status.ip ?? '']);
    const web = [await virtualIpOf('web')];
    await untilFinds(asking!.name, 'web', web);
    agent.launch();
    await cluster.untilNode('m1', 'ready');
    await untilFinds(asking!.name, 'web', web);
    const [sidecar] = cluster.member('m1').sidecarPids();
    process.kill(sidecar!, 'SIGKILL');
    await untilFinds(asking!.name, 'db', await addressesOf('db'));
    await untilFinds(asking!.name, 'web', web);
  }, 120_000);

  it('give addresses of containers again where the machine has no network of the cluster any more', async () => {
    for (const app of ['web', 'db']) await cluster.scale(app, 0);
    await Promise.all(['web', 'db'].map((app) => cluster.untilContainers(app, 0)));
    const settings = (machine: string): {readonly virtualIps: boolean} => z.object({virtualIps: z.boolean()}).parse(JSON.parse(readFileSync(join(cluster.member(machine).dataDir, 'agent/names.ndjson'), 'utf8').split('\n')[0] ?? ''));
    expect(['m1', 'm2'].map(settings)).toMatchObject([{virtualIps: true}, {virtualIps: true}]);
    await cluster.api.ask('PATCH', '/networks/cluster', {spec: {backend: 'none'}});
    await waitFor(() => ['m1', 'm2'].every((machine) => !settings(machine).virtualIps), {what: 'no name to give a virtual IP', deadlineMs: 40_000});
  }, 60_000);
});
