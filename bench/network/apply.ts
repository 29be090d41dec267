/**
 * How long a machine takes to apply the change of one endpoint among many services: our node half and nft, in a network
 * namespace of its own. Needs root and nftables.
 *
 *   node bench/network/apply.ts [--services 10000] [--changes 100] [--write]
 *
 * Timed is all that happens on a machine, from the change as it is told to nft's end, process included. Beside it: the same
 * transaction with a chain of its own rules for each service, as others have it, at a tenth of the services and as many
 * changes, since loading it takes the kernel time that grows with the square.
 */
import {execFileSync, spawnSync} from 'node:child_process';
import {parseArgs} from 'node:util';
import {systemClock} from '@hivemind/controller';
import {pino} from 'pino';
import {Balancer} from '../../packages/network/src/core/balance/balancer.ts';
import {type BalancedService, TABLE} from '../../packages/network/src/core/balance/compile.ts';
import {createNft} from '../../packages/network/src/node/nft/command.ts';
import {KeptTable} from '../../packages/network/src/node/nft/kept-table.ts';
import {meets, type Row} from '../measure.ts';
import {printRows, writeReport} from '../report.ts';

const {values: options} = parseArgs({options: {write: {type: 'boolean', default: false}, services: {type: 'string', default: '10000'}, changes: {type: 'string', default: '100'}}});
const count = Number(options.services);
const changes = Number(options.changes);
/** Set in the process that is in the namespace. */
const isInside = process.env.HIVEMIND_BENCH_INSIDE === '1';

function service(index: number, endpoints: number): BalancedService {
  return {
    namespace: 'default', name: `app-${index}`, virtualIp: `10.96.${Math.floor(index / 250)}.${(index % 250) + 1}`, ports: [{port: 80, targetPort: 80, protocol: 'tcp'}],
    endpoints: Array.from({length: endpoints}, (_, number) => ({container: `c-${index}-${number}`, node: `m${number}`, address: `10.244.${(index + number) % 250}.${(index % 250) + 2}`, weight: 100, ports: [{port: 80, protocol: 'tcp'}]})),
  };
}

function heap(): number {
  globalThis.gc?.();
  return process.memoryUsage().heapUsed;
}

/** In ms. */
function quantiles(times: readonly number[]): {readonly p50: number; readonly p99: number; readonly least: number} {
  const sorted = times.toSorted((a, b) => a - b);
  const at = (share: number): number => Math.round((sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? 0) * 100) / 100;
  return {p50: at(0.5), p99: at(0.99), least: at(0)};
}

async function timed(act: () => Promise<void>): Promise<number> {
  const start = performance.now();
  await act();
  return performance.now() - start;
}

async function ours(): Promise<{readonly load: number; readonly apply: ReturnType<typeof quantiles>; readonly memory: number}> {
  const balancer = new Balancer({node: 'm0', containers: '10.244.0.0/16', virtualIps: ['10.96.0.0/16'], bridge: 'hm0', overlays: ['hm-vx']});
  const table = new KeptTable({table: TABLE, nft: createNft(), wanted: () => balancer.ruleset(), clock: systemClock, logger: pino({level: 'warn'})});
  const before = heap();
  const load = await timed(() => table.change(balancer.apply({services: Array.from({length: count}, (_, index) => service(index, 3)), gone: [], whole: true})));
  const times: number[] = [];
  for (let change = 0; change < changes; change++) {
    const index = (change * 7919) % count;
    for (const endpoints of [2, 3]) times.push(await timed(() => table.change(balancer.apply({services: [service(index, endpoints)], gone: [], whole: false}))));
  }
  const memory = heap() - before;
  await table.stop();
  return {load, apply: quantiles(times), memory};
}

/** A chain a service, with a rule that names its endpoints. */
async function chainEach(services: number): Promise<{readonly load: number; readonly apply: ReturnType<typeof quantiles>}> {
  const nft = createNft();
  const rule = (index: number, endpoints: number): string => `add rule ip chains app-${index} meta l4proto tcp dnat to numgen inc mod ${endpoints} map { ${Array.from({length: endpoints}, (_, number) => `${number} : 10.244.${number}.2 . 8080`).join(', ')} }`;
  const all = Array.from({length: services}, (_, index) => index);
  const load = await timed(() => nft.apply([
    'add table ip chains', 'add map ip chains frontends { type ipv4_addr . inet_proto . inet_service : verdict; }', 'add chain ip chains prerouting { type nat hook prerouting priority -105; }',
    ...all.map((index) => `add chain ip chains app-${index}`), ...all.map((index) => rule(index, 3)),
    'add rule ip chains prerouting ip daddr . meta l4proto . th dport vmap @frontends',
    `add element ip chains frontends { ${all.map((index) => `10.96.${Math.floor(index / 250)}.${(index % 250) + 1} . tcp . 80 : goto app-${index}`).join(', ')} }`, '',
  ].join('\n')));
  const times: number[] = [];
  for (let change = 0; change < changes; change++) {
    const index = (change * 7919) % services;
    for (const endpoints of [2, 3]) times.push(await timed(() => nft.apply(`flush chain ip chains app-${index}\n${rule(index, endpoints)}\n`)));
  }
  return {load, apply: quantiles(times)};
}

async function inside(): Promise<void> {
  const own = await ours();
  execFileSync('nft', ['flush', 'ruleset']);
  const tenth = Math.max(1, Math.floor(count / 10));
  const chains = await chainEach(tenth);
  const rows: readonly Row[] = [
    {what: `one endpoint's change among ${count} services on a machine, p99`, value: own.apply.p99, unit: 'ms', better: 'lower', must: 30, goal: 5, detail: `median ${own.apply.p50} ms, least ${own.apply.least} ms, n=${changes * 2}; all of them loaded in ${Math.round(own.load)} ms, ${Math.round(own.memory / 1024 / 1024)} MiB of heap`},
    {what: `the same with a chain for each of ${tenth} services, p99`, value: chains.apply.p99, unit: 'ms', better: 'lower', detail: `median ${chains.apply.p50} ms, least ${chains.apply.least} ms; all of them loaded in ${Math.round(chains.load)} ms`},
  ];
  printRows(rows);
  if (options.write) writeReport('Rules of virtual IPs', rows, {engine: 'not used', subject: 'from source'});
  process.exitCode = rows.every((row) => row.must === undefined || meets(row, row.must)) ? 0 : 1;
}

if (isInside) await inside();
else {
  const space = `hvapply${process.pid}`;
  execFileSync('ip', ['netns', 'add', space]);
  try {
    const {status} = spawnSync('ip', ['netns', 'exec', space, process.execPath, '--expose-gc', import.meta.filename, ...process.argv.slice(2)], {stdio: 'inherit', env: {...process.env, HIVEMIND_BENCH_INSIDE: '1'}});
    process.exitCode = status ?? 1;
  } finally {
    execFileSync('ip', ['netns', 'delete', space]);
  }
}
