/**
 * A hundred real members on loopback: how soon the death of one, by SIGKILL, is declared and known to all; what a member sends at rest,
 * beside memberlist in Go with its LAN defaults; how much memory a process with one member takes.
 *
 *   node packages/membership/bench/ring.ts [--members 100] [--kills 10] [--rest 120]
 */
import {randomBytes} from 'node:crypto';
import {parseArgs} from 'node:util';
import {removeTempDir, tempDir, waitFor} from '@hivemind/testkit';
import {z} from 'zod';
import type {Address} from '../src/node/index.ts';
import {buildPeer, GoPeer} from '../test/interop/go-peer.ts';
import {type Child, killAll, memberProcess} from '../test/processes.ts';

const {values} = parseArgs({options: {members: {type: 'string', default: '100'}, kills: {type: 'string', default: '10'}, rest: {type: 'string', default: '120'}}});
const {members, kills, rest} = z.object({members: z.coerce.number().int().min(10), kills: z.coerce.number().int().min(1), rest: z.coerce.number().min(1)}).parse(values);

const loopback: Address = {host: '127.0.0.1', port: 0};
const HOSTS = 3;
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
  const deaths = await waitFor(() => {
    const seen = hosts.flatMap(({lines}) => lines.flatMap((line) => Death.safeParse(line).data ?? [])).filter((death) => death.name === name);
    return seen.length === members - 1 && seen;
  }, {what: `all to know of ${name}`, deadlineMs: 30_000});
  const times = deaths.map(({at}) => at - killed);
  return {first: Math.min(...times), all: Math.max(...times)};
}

async function atRest(hosts: readonly Child[]): Promise<number> {
  const sent = async (): Promise<number> => (await Promise.all(hosts.map(traffic))).reduce((sum, {bytesOut}) => sum + bytesOut, 0);
  return perMember(sent, members - 1);
}

async function perMember(sent: () => Promise<number>, count: number): Promise<number> {
  const before = await sent();
  const started = performance.now();
  await waitFor(() => performance.now() - started > rest * 1000, {what: 'the time at rest to pass', deadlineMs: rest * 1000 + 10_000, intervalMs: 100});
  return (await sent() - before) / count / ((performance.now() - started) / 1000);
}

async function goAtRest(program: string, key?: string): Promise<number> {
  const peer = new GoPeer(program, {name: 'go', count: members - 1, ...(key === undefined ? {} : {key})});
  await peer.ready();
  // News of the last to join is passed on for a while.
  const settled = performance.now();
  await waitFor(() => performance.now() - settled > 20_000, {what: 'the Go ring to settle', deadlineMs: 30_000, intervalMs: 100});
  return perMember(async () => {
    const after = peer.lines.length;
    peer.say('bytes');
    return z.object({sent: z.number()}).parse(await peer.line('its bytes', (line) => line.event === 'bytes', 10_000, after)).sent;
  }, members - 1);
}

function summary(times: readonly number[]): string {
  const sorted = [...times].sort((a, b) => a - b);
  return `${sorted[Math.floor(sorted.length / 2)]} ms median, ${sorted.at(-1)} ms at most`;
}

const dir = tempDir('ring');
try {
  const {hosts, first} = await startRing();
  const {child} = await memberProcess({name: 'alone', bind: loopback});
  const deaths: {first: number; all: number}[] = [];
  await allAlive(hosts, members - 1);
  const ours = await atRest(hosts);
  for (let n = 0; n < kills; n += 1) deaths.push(await kill(hosts, first, n));
  print(`${members} members, ${kills} killed one after the other`);
  print(`  first declared dead: ${summary(deaths.map((death) => death.first))}`);
  print(`  known to all:        ${summary(deaths.map((death) => death.all))}`);
  print(`a process of one member: ${Math.round((await traffic(child)).rss / 1e6)} MB resident`);
  await killAll();
  const key = randomBytes(16).toString('base64');
  const sealed = await startRing(key);
  await allAlive(sealed.hosts, members - 1);
  const oursSealed = await atRest(sealed.hosts);
  await killAll();
  const program = buildPeer(dir);
  const go = await goAtRest(program);
  await killAll();
  const goSealed = await goAtRest(program, key);
  print(`sent at rest by each of ${members - 1} members, measured over ${rest} s`);
  print(`  plain:  ${Math.round(ours)} B/s; memberlist ${Math.round(go)} B/s (${(ours / go).toFixed(2)} ×)`);
  print(`  sealed: ${Math.round(oursSealed)} B/s; memberlist ${Math.round(goSealed)} B/s (${(oursSealed / goSealed).toFixed(2)} ×)`);
} finally {
  await killAll();
  await removeTempDir(dir);
}
