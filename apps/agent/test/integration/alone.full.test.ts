/** Three machines whose containers ask each other by name, with a connection for each request, while what stands behind that goes and comes back. */
import {waitFor} from '@hivemind/testkit';
import {Service} from '@hivemind/contracts';
import {startCluster, type TestCluster} from '../cluster.ts';
import {servingOk} from '../load.ts';
import {askByName} from '../names/asking.ts';

let cluster: TestCluster;

beforeAll(async () => {
  cluster = await startCluster();
  await cluster.connect();
  await cluster.deploy('client', cluster.sleeper({mode: 'global'}));
  await cluster.deploy('web', cluster.sleeper({replicas: 6, ...servingOk(), ports: [{container: 80}], health: {readiness: {tcp: {port: 80}, interval: '1s'}}}));
  await Promise.all([cluster.untilRunning('client', 3, 60_000), cluster.untilRunning('web', 6, 60_000)]);
}, 240_000);
afterAll(() => cluster?.stop());

const WEB = 'web.default.svc.hive';
/** On each machine. */
const PER_SECOND = 20;
const AWAY_MS = 60_000;
/** Names that nobody asks for before the control plane is away, asked for on each machine. */
const OTHERS = 100;

const virtualIpOf = async (app: string): Promise<string> => Service.parse(await cluster.api.ask('GET', `/services/${app}`)).status.virtualIp ?? '';
const clients = async () => (await cluster.running('client')).map(({id, node, pid}) => ({id, node, pid}));
const pass = (ms: number): Promise<unknown> => {
  const until = performance.now() + ms;
  return waitFor(() => performance.now() > until, {what: 'time to pass', deadlineMs: ms + 5_000});
};

/** Whoever asks by name on `machine` is answered by `web`, for a second without one that is not. */
async function untilAnswered(machine: string, deadlineMs = 20_000): Promise<void> {
  const {pid} = (await clients()).find(({node}) => node === machine)!;
  await waitFor(async () => {
    const load = askByName({pid, name: WEB, perSecond: 20, others: []});
    await pass(1_000);
    const {made, failed} = await load.stop();
    if (made > 6 && failed.length === 0) return true;
    throw new Error(`${made} asked; ${failed.join('; ')}`);
  }, {what: `requests of ${machine} to be answered`, deadlineMs});
}

const onMachine = async (machine: string, line: string): Promise<void> => {
  const {status, stderr} = await cluster.member(machine).machine.exec('sh', ['-ec', line]);
  if (status !== 0) throw new Error(`${line}: ${stderr}`);
};

describe('containers that ask by name', () => {
  it('notice nothing of a control plane that is away for a minute, also of an agent that is killed and started meanwhile', async () => {
    for (let index = 0; index < OTHERS; index++) await cluster.deploy(`other-${index}`, cluster.sleeper({replicas: 0}));
    const others = new Map<string, string>();
    for (let index = 0; index < OTHERS; index++) others.set(`other-${index}.default.svc.hive`, await waitFor(() => virtualIpOf(`other-${index}`).catch(() => ''), {what: 'a service'}));
    const asking = await clients();
    expect(asking.map(({node}) => node).toSorted()).toEqual(['m1', 'm2', 'm3']);
    await untilAnswered('m1');
    await cluster.loseControl();
    const loads = asking.map(({pid}) => askByName({pid, name: WEB, perSecond: PER_SECOND, others: [...others.keys()]}));
    await pass(AWAY_MS / 3);
    await cluster.member('m2').agent.kill();
    await pass(AWAY_MS / 3);
    cluster.member('m2').agent.launch();
    await pass(AWAY_MS / 3);
    await cluster.regainControl();
    await cluster.untilReady(cluster.members);
    await cluster.untilRunning('web', 6, 60_000);
    const reports = await Promise.all(loads.map((load) => load.stop()));
    expect(reports.map(({failed}) => failed)).toEqual([[], [], []]);
    for (const {made, others: found} of reports) {
      expect(made).toBeGreaterThan((AWAY_MS / 1000) * PER_SECOND * 0.9);
      expect(found).toEqual(Object.fromEntries(others));
    }
  }, 240_000);

  it('are answered again when the agent is back that was killed, whatever was taken from its machine meanwhile', async () => {
    await untilAnswered('m1');
    await cluster.member('m1').agent.kill();
    await onMachine('m1', 'nft delete table ip hivemind; nft delete table ip hivemind_net; ip link delete hm-vx; ip route flush proto 244');
    await expect(untilAnswered('m1', 2_000)).rejects.toThrow('asked');
    cluster.member('m1').agent.launch();
    await untilAnswered('m1');
  }, 120_000);

  it('are answered again, on all machines, when one that was cut off from everything is back', async () => {
    const cut = cluster.member('m3');
    cut.cutOff('everything');
    await cluster.untilNode('m3', 'dead', 60_000);
    for (const machine of ['m1', 'm2']) await untilAnswered(machine, 30_000);
    cut.heal();
    await cluster.untilReady([cut]);
    await cluster.untilRunning('web', 6, 60_000);
    for (const {name} of cluster.members) await untilAnswered(name, 30_000);
  }, 240_000);
});
