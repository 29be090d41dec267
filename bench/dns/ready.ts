/**
 * How long from a container's report that it is ready until every one of three machines' sidecars answers with it, and their kernels
 * lead the virtual IP to it. The manager and the agents' halves are in this process, on SQLite on disk and a bus within the process;
 * the sidecars are processes of their own, the kernels network namespaces. Needs root and nftables.
 *
 *   node bench/dns/ready.ts [--times 200] [--names 1000] [--write]
 *
 * Exit status 1: the *must* was missed.
 */
import {execFileSync, spawn} from 'node:child_process';
import {createSocket} from 'node:dgram';
import {once} from 'node:events';
import {mkdtempSync, rmSync} from 'node:fs';
import {tmpdir} from 'node:os';
import {join, resolve} from 'node:path';
import {parseArgs} from 'node:util';
import {systemClock} from '@hivemind/controller';
import {createDiscovery, type Discovery} from '@hivemind/discovery/node';
import {testCluster} from '@hivemind/discovery/testing';
import {connectSidecar} from '@hivemind/sidecar/client';
import {freePort, waitFor} from '@hivemind/testkit';
import dnsPacket from 'dns-packet';
import {pino} from 'pino';
import {Balancer} from '../../packages/network/src/core/balance/balancer.ts';
import {TABLE} from '../../packages/network/src/core/balance/compile.ts';
import {createNft} from '../../packages/network/src/node/nft/command.ts';
import {KeptTable} from '../../packages/network/src/node/nft/kept-table.ts';
import {meets, nowMs, type Row} from '../measure.ts';
import {printRows, writeReport} from '../report.ts';

const {values} = parseArgs({options: {times: {type: 'string', default: '200'}, names: {type: 'string', default: '1000'}, write: {type: 'boolean', default: false}}});
const MACHINES = 3;
/** A machine is asked again so often, ms: how exactly is measured. The three share the computer with who asks. */
const ASK_EVERY_MS = 2;

interface Machine {
  readonly port: number;
  /** Resolves when its kernel leads to this address. */
  led(address: string): Promise<void>;
  stop(): Promise<void>;
}

const dir = mkdtempSync(join(tmpdir(), 'bench-ready-'));
const cluster = await testCluster({path: join(dir, 'store.db')});
const machines: Machine[] = [];
try {
  await cluster.network('vxlan');
  for (let index = 0; index < Number(values.names); index++) await cluster.app(`app-${index}`);
  for (let index = 0; index < MACHINES; index++) machines.push(await start(`n${index}`));
  const times = {names: [] as number[], kernels: [] as number[], both: [] as number[]};
  for (let round = 0; round < Number(values.times); round++) {
    const app = `app-${round % Number(values.names)}`;
    const address = `10.244.${round >> 8}.${round & 255}`;
    await cluster.container(`c-${round}`, {app, address, ready: false});
    await Promise.all(machines.map(({port}) => answered(port, `c-${round}.${app}.shop.svc.hive`, address)));
    const led = machines.map((machine) => machine.led(address));
    const from = nowMs();
    await cluster.ready(`c-${round}`);
    const answers = machines.map(({port}) => answered(port, `${app}.shop.svc.hive`, address));
    const since = async (all: readonly Promise<void>[]): Promise<number> => {
      await Promise.all(all);
      return nowMs() - from;
    };
    const [names, kernels] = await Promise.all([since(answers), since(led)]);
    times.names.push(names);
    times.kernels.push(kernels);
    times.both.push(Math.max(names, kernels));
  }
  const setting = `${values.names} services, n=${times.both.length}`;
  const row = (what: string, of: readonly number[], bounds: Partial<Row> = {}): Row => ({what, value: at(of, 0.99), unit: 'ms', better: 'lower', ...bounds, detail: `median ${at(of, 0.5).toFixed(1)} ms, p90 ${at(of, 0.9).toFixed(1)} ms; ${setting}`});
  const rows = [
    row(`endpoint ready → in names and virtual IP on all of ${MACHINES} machines, p99`, times.both, {must: 100, goal: 10}),
    row('of these, in names', times.names),
    row('of these, in the kernels', times.kernels),
  ];
  printRows(rows);
  if (values.write) writeReport('From ready to reached', rows, {engine: 'not used', subject: 'from source'});
  process.exitCode = rows.every((each) => each.must === undefined || meets(each, each.must)) ? 0 : 1;
} finally {
  for (const machine of machines) await machine.stop();
  await cluster.close();
  rmSync(dir, {recursive: true, force: true});
}

function at(times: readonly number[], share: number): number {
  return times.toSorted((a, b) => a - b)[Math.min(times.length - 1, Math.floor(times.length * share))] ?? Number.NaN;
}

async function start(node: string): Promise<Machine> {
  const dataDir = join(dir, node);
  const socket = join(dataDir, 's');
  const port = await freePort();
  const main = resolve(import.meta.dirname, '../../apps/sidecar/src/main.ts');
  const child = spawn('setpriv', ['--pdeathsig', 'KILL', '--', process.execPath, '--disable-warning=ExperimentalWarning', main, 'membership', `--name=${node}`, '--bind=127.0.0.1:0', `--data-dir=${dataDir}`, `--socket=${socket}`], {stdio: 'ignore'});
  const client = connectSidecar(socket);
  await waitFor(() => client.describe().then(() => true, () => false), {what: 'a sidecar', deadlineMs: 60_000});
  const discovery: Discovery = createDiscovery({bus: cluster.bus, node, dataDir, listen: [`127.0.0.1:${port}`], virtualIps: false, sidecar: client, clock: systemClock, random: Math.random, logger: pino({level: 'silent'})});
  await discovery.start();
  const space = `hvready${process.pid}${node}`;
  execFileSync('ip', ['netns', 'add', space]);
  const waiting = new Map<string, () => void>();
  const balancer = new Balancer({node, containers: '10.244.0.0/16', virtualIps: ['10.96.0.0/16'], bridge: 'hm0', overlays: ['hm-vx']});
  const table = new KeptTable({table: TABLE, nft: createNft(['ip', 'netns', 'exec', space]), wanted: () => balancer.ruleset(), clock: systemClock, logger: pino({level: 'warn'})});
  const unfollow = discovery.onEndpointsChanged(async ({whole, gone, services}) => {
    await table.change(balancer.apply({whole, gone, services: services.map((service) => ({...service, ports: service.ports.map(({port, protocol}) => ({port, targetPort: port, protocol})), balance: service.balancing?.strategy, affinity: service.balancing?.affinity}))}));
    for (const {address} of services.flatMap(({endpoints}) => endpoints)) waiting.get(address)?.();
  });
  await waitFor(() => discovery.services().length === Number(values.names), {what: 'the names to arrive', deadlineMs: 60_000});
  return {
    port,
    led: (address) => new Promise((settle) => void waiting.set(address, settle)),
    async stop() {
      unfollow();
      await table.stop();
      execFileSync('ip', ['netns', 'delete', space]);
      await discovery.stop();
      client[Symbol.dispose]();
      child.kill('SIGKILL');
      if (child.exitCode === null && child.signalCode === null) await once(child, 'exit');
    },
  };
}

/** Resolves when the machine's answer holds the address. */
function answered(port: number, name: string, address: string): Promise<void> {
  return new Promise((settle) => {
    const socket = createSocket('udp4');
    const packet = dnsPacket.encode({type: 'query', id: 1, questions: [{type: 'A', name}]});
    const ask = (): void => socket.send(packet, port, '127.0.0.1');
    const timer = setInterval(ask, ASK_EVERY_MS);
    socket.on('message', (answer) => {
      if (!dnsPacket.decode(answer).answers?.some((one) => 'data' in one && one.data === address)) return;
      clearInterval(timer);
      socket.close();
      settle();
    });
    ask();
  });
}
