/**
 * A hundred real members on loopback: how soon the death of one, by SIGKILL, is declared and known to all; what a member sends at rest,
 * beside memberlist in Go with its LAN defaults; how much memory a process with one member takes.
 *
 *   node packages/membership/bench/ring.ts [--members 100] [--kills 10] [--rest 360]
 *
 * 0 kills, or 0 seconds of rest, leave that part out.
 */
import {randomBytes} from 'node:crypto';
import {join} from 'node:path';
import {parseArgs} from 'node:util';
import {removeTempDir, tempDir, waitFor} from '@hivemind/testkit';
import {build} from 'esbuild';
import * as z from 'zod';
import type {Address} from '../src/node/index.ts';
import {buildPeer, GoPeer} from '../test/interop/go-peer.ts';
import {Child, killAll, memberProcess} from '../test/processes.ts';

const {values} = parseArgs({options: {members: {type: 'string', default: '100'}, kills: {type: 'string', default: '10'}, rest: {type: 'string', default: '360'}}});
const {members, kills, rest} = z.object({members: z.coerce.number().int().min(10), kills: z.coerce.number().int().min(0), rest: z.coerce.number().min(0)}).parse(values);

const loopback: Address = {host: '127.0.0.1', port: 0};
const HOSTS = 3;
/** s. The first exchange of whole views comes within 120 s, the next ones 360 s apart in a ring of a hundred: so long is measured. */
const SETTLE = 120;
const Traffic = z.object({bytesOut: z.number(), alive: z.number(), rss: z.number()});
const Death = z.object({type: z.literal('died'), name: z.string(), by: z.string(), at: z.number()});

function print(text: string): void {
  process.stdout.write(`${text}\n`);
}

/** Most members share three processes, as a hundred would only measure how two processors are shared. The one to be killed has its own. */
async function startRing(key?: string): Promise<{hosts: Child[]; first: Address}> {
  const keyed = key === undefined ? {} : {key};
  const sizes = Array.from({length: HOSTS}, (_, n) => Math.floor((members - 1 + n) / HOSTS));
  const {child, address} = await memberProcess({name: 'h0', bind: loopback, count: sizes[0] ?? 1, ...keyed});
  const more = await Promise.all(sizes.slice(1).map((count, n) => memberProcess({name: `h${n + 1}`, bind: loopback, join: [address], count, ...keyed})));
  return {hosts: [child, ...more.map((one) => one.child)], first: address};
}

async function traffic(host: Child): Promise<z.infer<typeof Traffic>> {
  const after = host.lines.length;
  host.say('traffic');
  return Traffic.parse(await host.line('its traffic', (line) => 'bytesOut' in line, 10_000, after));
}

async function allAlive(hosts: readonly Child[], count: number): Promise<void> {
  await waitFor(async () => (await Promise.all(hosts.map(traffic))).every(({alive}) => alive === count), {what: `all to see ${count} alive`, deadlineMs: 60_000, intervalMs: 250});
}

/** ms until the first declared a killed member dead, and until the last knew. */
async function kill(hosts: readonly Child[], first: Address, n: number): Promise<{first: number; all: number}> {
  const name = `victim-${n}`;
  const {child} = await memberProcess({name, bind: loopback, join: [first]});
  await allAlive(hosts, members);
  const killed = Date.now();
  await child.kill();
  // A member may be heard of once more after it was declared dead, in the news of its last refutation: the first time counts.
  const known = new Map<string, number>();
  await waitFor(() => {
    for (const line of hosts.flatMap(({lines}) => lines)) {
      const {data: death} = Death.safeParse(line);
      if (death?.name === name && !known.has(death.by)) known.set(death.by, death.at);
    }
    if (known.size < members - 1) throw new Error(`${known.size} know`);
    return true;
  }, {what: `all to know of ${name}`, deadlineMs: 60_000});
  const times = [...known.values()].map((at) => at - killed);
  return {first: Math.min(...times), all: Math.max(...times)};
}

/** How many bytes a ring's members have sent so far, all together. */
type Meter = () => Promise<number>;

async function oursAtRest(key?: string): Promise<Meter> {
  const {hosts} = await startRing(key);
  await allAlive(hosts, members - 1);
  return async () => (await Promise.all(hosts.map(traffic))).reduce((sum, {bytesOut}) => sum + bytesOut, 0);
}

async function goAtRest(program: string, key?: string): Promise<Meter> {
  const peer = new GoPeer(program, {name: 'go', count: members - 1, ...(key === undefined ? {} : {key})});
  await peer.ready();
  return async () => {
    const after = peer.lines.length;
    peer.say('bytes');
    return z.object({sent: z.number()}).parse(await peer.line('its bytes', (line) => line.event === 'bytes', 10_000, after)).sent;
  };
}

function pass(seconds: number, what: string): Promise<unknown> {
  const started = performance.now();
  return waitFor(() => performance.now() - started > seconds * 1000, {what, deadlineMs: seconds * 1000 + 10_000, intervalMs: 100});
}

/** Bytes a second a member, of all rings at the same time. */
async function measured(meters: readonly Meter[]): Promise<number[]> {
  await pass(SETTLE, 'the rings to settle');
  const before = await Promise.all(meters.map((meter) => meter()));
  const started = performance.now();
  await pass(rest, 'the time at rest');
  const seconds = (performance.now() - started) / 1000;
  const after = await Promise.all(meters.map((meter) => meter()));
  return after.map((bytes, n) => (bytes - (before[n] ?? 0)) / (members - 1) / seconds);
}

function summary(times: readonly number[]): string {
  const sorted = [...times].sort((a, b) => a - b);
  return `${sorted[Math.floor(sorted.length / 2)]} ms median, ${sorted.at(-1)} ms at most`;
}

/** A member's process as it ships: bundled, without types to strip. */
async function residentMemory(dir: string): Promise<number> {
  const program = join(dir, 'member.mjs');
  const banner = {js: "import {createRequire} from 'node:module'; const require = createRequire(import.meta.url);"};
  await build({entryPoints: [join(import.meta.dirname, '../test/member-process.ts')], bundle: true, minify: true, platform: 'node', format: 'esm', outfile: program, banner});
  const child = new Child(process.execPath, [program, JSON.stringify({name: 'alone', bind: loopback})]);
  await child.line('the bundled member to listen', (line) => 'address' in line);
  return (await traffic(child)).rss;
}

async function benchKills(dir: string): Promise<void> {
  const {hosts, first} = await startRing();
  await allAlive(hosts, members - 1);
  const deaths: {first: number; all: number}[] = [];
  for (let n = 0; n < kills; n += 1) deaths.push(await kill(hosts, first, n));
  print(`${members} members, ${kills} killed one after the other`);
  print(`  first declared dead: ${summary(deaths.map((death) => death.first))}`);
  print(`  known to all:        ${summary(deaths.map((death) => death.all))}`);
  print(`a process of one member: ${Math.round((await residentMemory(dir)) / 1e6)} MB resident`);
  await killAll();
}

async function benchRest(dir: string): Promise<void> {
  const program = buildPeer(dir);
  const key = randomBytes(16).toString('base64');
  const meters = [await oursAtRest(), await goAtRest(program), await oursAtRest(key), await goAtRest(program, key)];
  const [ours = 0, go = 0, oursSealed = 0, goSealed = 0] = await measured(meters);
  print(`sent at rest by each of ${members - 1} members, measured over ${rest} s`);
  print(`  plain:  ${Math.round(ours)} B/s; memberlist ${Math.round(go)} B/s (${(ours / go).toFixed(2)} ×)`);
  print(`  sealed: ${Math.round(oursSealed)} B/s; memberlist ${Math.round(goSealed)} B/s (${(oursSealed / goSealed).toFixed(2)} ×)`);
}

const dir = tempDir('ring');
try {
  if (kills > 0) await benchKills(dir);
  if (rest > 0) await benchRest(dir);
} finally {
  await killAll();
  await removeTempDir(dir);
}
