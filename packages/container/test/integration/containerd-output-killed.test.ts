/** The output of a container that writes much, while who reads it is killed without a word: agent, sidecar, and both. */
import {type ChildProcess, spawn} from 'node:child_process';
import {once} from 'node:events';
import {fileURLToPath} from 'node:url';
import type {Runtime} from '@hivemind/runtime';
import {waitFor} from '@hivemind/testkit';
import {containerSpec} from '../../src/testing/index.ts';
import {containerdBench, type ContainerdBench} from './containerd-harness.ts';

/** Lines of 500 characters between two rests of 10 ms: 10 MB/s and more, or what is enough to see it. */
const LINES = process.env.HIVEMIND_TEST_FULL ? 250 : 40;
const LOUD = `pad=$(head -c 500 /dev/zero | tr '\\0' x); n=0; while [ ! -e /tmp/enough ]; do n=$((n+1)); echo "$n $pad"; [ $((n%${LINES})) != 0 ] || sleep 0.01; done; echo "end $n"; sleep 1000`;
/** What a reader has in its hands when it is killed, and no more, is not in the log (bytes). */
const IN_HAND = 64 * 1024;
const deadlineMs = 30_000;
let bench: ContainerdBench;
let look: Runtime;
const readers = new Set<ChildProcess>();

beforeAll(async () => {
  bench = await containerdBench();
  look = await bench.open();
}, 60_000);
afterAll(async () => {
  for (const reader of readers) reader.kill('SIGKILL');
  await look?.close();
  await bench?.[Symbol.asyncDispose]();
}, 60_000);

/** Resolves with an agent when it reads; with a sidecar, which may have nothing to read, at once. */
async function started(role: 'agent' | 'sidecar'): Promise<ChildProcess> {
  const {containerd: {socketPath, cgroupParent}, root, cluster} = bench;
  const child = spawn(process.execPath, [fileURLToPath(new URL('./containerd-reader.ts', import.meta.url)), role, JSON.stringify({socketPath, cgroupParent, root, cluster})], {env: {...process.env, NODE_OPTIONS: ''}, stdio: ['pipe', 'pipe', 'inherit']});
  readers.add(child);
  if (role === 'agent') await once(child.stdout, 'data');
  return child;
}

async function killed(child: ChildProcess): Promise<void> {
  child.kill('SIGKILL');
  await once(child, 'exit');
  readers.delete(child);
}

interface Seen {
  last: number;
  /** Lines that are missing, at each place where some are. */
  readonly missing: number[];
  /** Lines that are none. */
  readonly broken: string[];
  /** Of the last line (ms). */
  at: number;
  ended: boolean;
}

/** Reads on as it is written: older files go. */
function following(runtimeId: string, over: AbortSignal): Seen {
  const seen: Seen = {last: 0, missing: [], broken: [], at: 0, ended: false};
  void (async () => {
    for await (const {line, time} of look.logs(runtimeId, {follow: true}, over)) {
      const [, number = '', pad = ''] = /^(?:end )?(\d+)( x{500})?$/.exec(line) ?? [];
      seen.at = Date.parse(time);
      if (number === '') seen.broken.push(`${line.slice(0, 20)}… (${line.length})`);
      else if (pad === '') seen.ended = true;
      else {
        if (Number(number) !== seen.last + 1) seen.missing.push(Number(number) - seen.last - 1);
        seen.last = Number(number);
      }
    }
  })().catch((error: unknown) => seen.broken.push(String(error)));
  return seen;
}

it('loses what a killed reader had in its hands at most, and the container goes on under the next', async () => {
  const spec = containerSpec({id: 'loud', template: {image: bench.image, args: ['sh', '-c', LOUD]}}, {name: `loud.${bench.cluster}`});
  const runtimeId = await look.create(spec);
  const starter = await bench.open();
  await starter.start(runtimeId);
  const over = new AbortController();
  const seen = following(runtimeId, over.signal);
  const goesOn = async (ms = 500): Promise<void> => {
    const {at} = seen;
    await waitFor(() => seen.at > at + ms, {what: 'more lines', deadlineMs});
  };
  await goesOn();
  // It stops as an agent does: the next one reads on.
  await starter.close();
  // Each agent first: it tells its sidecar that it lives before it reads, which this one cannot.
  const [agent, sidecar] = [await started('agent'), await started('sidecar')];
  // It has looked who reads.
  await goesOn(3_000);
  await killed(agent);
  await goesOn();
  await killed(sidecar);
  // Nobody reads: it waits, and gets no SIGPIPE.
  expect((await look.inspect('loud'))?.state).toBe('running');
  const [next, other] = [await started('agent'), await started('sidecar')];
  await goesOn();
  await Promise.all([killed(next), killed(other)]);
  await started('agent');
  await goesOn();
  const session = await look.exec(runtimeId, {command: ['touch', '/tmp/enough'], tty: false, stdin: false});
  expect(await session.exitCode).toBe(0);
  await waitFor(() => seen.ended, {what: 'the last line', deadlineMs});
  over.abort();
  // Three were killed while they read; a line of each may be cut in two.
  expect(seen.missing.length + seen.broken.length).toBeLessThanOrEqual(6);
  for (const lines of seen.missing) expect(lines * 500).toBeLessThanOrEqual(IN_HAND);
  await look.stop(runtimeId, 'SIGKILL', 0);
  await look.remove(runtimeId);
}, 120_000);
