/**
 * `node bench/network/run.ts [--rounds 5] [--seconds 3] [--write]`: container to container over two machines (network namespaces on
 * this computer) against the two machines bare, in turns. The machines' network is the product's own; iperf3 is Debian's.
 */
import {type ChildProcess, spawn} from 'node:child_process';
import {once} from 'node:events';
import {text} from 'node:stream/consumers';
import {parseArgs} from 'node:util';
import {machines, waitFor} from '@hivemind/testkit';
import * as z from 'zod';
import {NodeProgram} from '../../packages/network/test/node-program.ts';
import {installDebianPackages} from '../../scripts/setup/debian.mjs';
import {meets, median, type Row} from '../measure.ts';
import {printRows, writeReport} from '../report.ts';

const {values} = parseArgs({options: {rounds: {type: 'string', default: '5'}, seconds: {type: 'string', default: '3'}, write: {type: 'boolean', default: false}}});
const rounds = Number(values.rounds);
const THROUGHPUT_PORT = 5201;
const ECHO_PORT = 5202;
const ROUND_TRIPS = 3_000;

/** A place that programs run in. */
type Place = (program: string, args: readonly string[]) => ChildProcess;

interface Pair {
  readonly from: Place;
  /** Where the other end listens. */
  readonly address: string;
}

const Report = z.object({end: z.object({sum_received: z.object({bits_per_second: z.number()})})});
const echo = `require('net').createServer((socket) => socket.setNoDelay().on('error', () => undefined).pipe(socket)).listen(${ECHO_PORT}, '0.0.0.0')`;
const pingPong = `
  const socket = require('net').connect(${ECHO_PORT}, process.argv[1]).setNoDelay();
  const times = [];
  let at;
  const send = () => { at = process.hrtime.bigint(); socket.write('x'); };
  socket.on('connect', send).on('data', () => {
    times.push(Number(process.hrtime.bigint() - at) / 1e3);
    if (times.length < ${ROUND_TRIPS}) return send();
    socket.destroy();
    times.sort((a, b) => a - b);
    process.stdout.write(String(times[times.length >> 1]));
  });`;

async function output(child: ChildProcess): Promise<string> {
  const [said, complaint] = await Promise.all([text(child.stdout!), text(child.stderr!), once(child, 'close')]);
  if (child.exitCode !== 0) throw new Error(`${child.spawnargs.slice(0, 8).join(' ')} ended with ${child.exitCode}: ${said}${complaint}`);
  return said;
}

/** Gbit/s. */
async function throughput({from, address}: Pair): Promise<number> {
  const said = await output(from('iperf3', ['--json', '--client', address, '--port', String(THROUGHPUT_PORT), '--time', values.seconds, '--omit', '1']));
  return Report.parse(JSON.parse(said)).end.sum_received.bits_per_second / 1e9;
}

/** µs, the median of many. */
async function roundTrip({from, address}: Pair): Promise<number> {
  return Number(await output(from(process.execPath, ['-e', pingPong, address])));
}

await installDebianPackages(['iperf3']);
const servers: ChildProcess[] = [];
const rows: Row[] = [];
let engine = '';
const lan = await machines(2, {engines: true});
try {
  const image = await lan.loadImage();
  const nodes = lan.hosts.map((machine, index) => new NodeProgram(machine, `10.244.${index + 1}.0/24`));
  const [one, two] = [nodes[0]!, nodes[1]!];
  for (const node of nodes) node.launch();
  engine = (await one.machine.engine.docker.version()).Version;
  await Promise.all(nodes.map((node) => node.told('vxlan', nodes)));
  const inContainer = async (node: NodeProgram, id: string): Promise<{readonly place: Place; readonly address: string}> => {
    const address = await node.container(id, image, ['sleep', '100000']);
    const {State: {Pid}} = await node.machine.engine.docker.getContainer(id).inspect();
    return {address, place: (program, args) => spawn('nsenter', ['--target', String(Pid), '--net', program, ...args], {stdio: ['ignore', 'pipe', 'pipe']})};
  };
  const [client, server] = [await inContainer(one, 'client'), await inContainer(two, 'server')];
  const onMachine = (node: NodeProgram): Place => (program, args) => node.machine.run(program, [...args], {stdio: ['ignore', 'pipe', 'pipe'], env: {PATH: process.env.PATH}});
  for (const place of [server.place, onMachine(two)]) {
    for (const child of [place('iperf3', ['--server', '--port', String(THROUGHPUT_PORT)]), place(process.execPath, ['-e', echo])]) {
      // What it says of each client would fill the pipe.
      child.stdout?.resume();
      child.stderr?.resume();
      servers.push(child);
    }
  }
  const bare: Pair = {from: onMachine(one), address: two.machine.address};
  const inside: Pair = {from: client.place, address: server.address};
  await waitFor(async () => (await roundTrip(bare)) > 0 && (await roundTrip(inside)) > 0, {intervalMs: 500, what: 'both pairs to reach each other', deadlineMs: 30_000});
  for (const backend of ['vxlan', 'direct'] as const) {
    await Promise.all(nodes.map((node) => node.told(backend, nodes)));
    rows.push(...(await compare(backend, bare, inside)));
  }
} finally {
  for (const child of servers) child.kill('SIGKILL');
  await lan.stop();
}
printRows(rows);
if (values.write) {
  writeReport('Network', rows, {engine, subject: 'from source'});
}
process.exitCode = rows.every((row) => row.must === undefined || meets(row, row.must)) ? 0 : 1;

async function compare(backend: string, bare: Pair, inside: Pair): Promise<readonly Row[]> {
  const measured = {bare: {speeds: [] as number[], trips: [] as number[]}, inside: {speeds: [] as number[], trips: [] as number[]}};
  for (let round = 0; round < rounds; round++) {
    for (const [name, pair] of [['bare', bare], ['inside', inside]] as const) {
      measured[name].speeds.push(await throughput(pair));
      measured[name].trips.push(await roundTrip(pair));
    }
  }
  const speed = {bare: median(measured.bare.speeds), inside: median(measured.inside.speeds)};
  const trip = {bare: median(measured.bare.trips), inside: median(measured.inside.trips)};
  const bounds = backend === 'vxlan' ? {speed: {must: 0.6, goal: 0.85}, trip: {must: 60, goal: 30}} : {speed: {}, trip: {}};
  return [
    {what: `container to container over two machines, ${backend}: TCP throughput against the machines bare`, value: speed.inside / speed.bare, unit: 'x', better: 'higher', ...bounds.speed, detail: `${speed.inside.toFixed(1)} against ${speed.bare.toFixed(1)} Gbit/s, medians of ${rounds} × ${values.seconds} s`},
    {what: `the same, ${backend}: extra round trip`, value: trip.inside - trip.bare, unit: 'µs', better: 'lower', ...bounds.trip, detail: `${trip.inside.toFixed(0)} against ${trip.bare.toFixed(0)} µs of one byte over TCP, medians of ${rounds} × ${ROUND_TRIPS}`},
  ];
}
