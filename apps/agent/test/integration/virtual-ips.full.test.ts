/** A whole cluster: a service's virtual IP leads to its containers on both machines, and to those only that are there. */
import {waitFor} from '@hivemind/testkit';
import * as z from 'zod';
import {startCluster, type TestCluster} from '../cluster.ts';

let cluster: TestCluster;

beforeAll(async () => {
  cluster = await startCluster({machines: 2});
}, 120_000);
afterAll(() => cluster?.stop());

const command = ['sh', '-c', 'mkdir -p /www; hostname > /www/name; exec httpd -f -p 80 -h /www'];
const Service = z.object({status: z.object({virtualIp: z.string()})});

/** Who answers a container, connection by connection. */
async function answers(id: string, address: string, times: number): Promise<readonly string[]> {
  const once = `printf 'GET /name HTTP/1.0\\r\\n\\r\\n' | nc -w 2 ${address} 80 | tail -n 1`;
  return (await cluster.within(id, `for i in $(seq ${times}); do ${once}; done`)).split(/\s+/).filter((word) => word !== '');
}

describe('a virtual IP', () => {
  it('leads each container, also one behind it, to all of them in turn, and to those that came or stayed', async () => {
    await cluster.connect();
    await cluster.deploy('web', cluster.sleeper({replicas: 2, command, ports: [{container: 80}]}));
    await cluster.untilRunning('web', 2);
    const {status: {virtualIp}} = Service.parse(await waitFor(() => cluster.api.ask('GET', '/services/web'), {what: 'the service'}));
    const untilSpread = (containers: number): Promise<unknown> => waitFor(async () => {
      for (const {name} of await cluster.records('web')) {
        const seen = await answers(name, virtualIp, containers * 2);
        if (seen.length !== containers * 2 || new Set(seen).size !== containers) throw new Error(`${name} sees ${seen.join(' ')}`);
      }
      return true;
    }, {what: `${containers} to be behind it`, deadlineMs: 20_000});
    await untilSpread(2);
    await cluster.scale('web', 4);
    await cluster.untilRunning('web', 4);
    await untilSpread(4);
    await cluster.scale('web', 1);
    await cluster.untilContainers('web', 1);
    await untilSpread(1);
  }, 150_000);
});
