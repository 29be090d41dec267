/** The output of a container that writes some 10 MB a second, while who reads it comes and goes. */
import {setTimeout as later} from 'node:timers';
import type {Runtime} from '@hivemind/runtime';
import {waitFor} from '@hivemind/testkit';
import {LogStandby} from '../../src/node/containerd/logs/standby.ts';
import {containerSpec} from '../../src/testing/index.ts';
import {containerdBench, type ContainerdBench} from './containerd-harness.ts';

/** 100 KB, then a rest; until it is told to end. */
const LOUD = `pad=$(head -c 500 /dev/zero | tr '\\0' x); n=0; while [ ! -e /tmp/enough ]; do n=$((n+1)); echo "$n $pad"; [ $((n%200)) != 0 ] || sleep 0.01; done; echo "end $n"; sleep 1000`;
let bench: ContainerdBench;

beforeAll(async () => {
  bench = await containerdBench();
}, 60_000);
afterAll(() => bench[Symbol.asyncDispose](), 60_000);

interface Counted {
  readonly last: number;
  readonly gaps: readonly string[];
  readonly ended: boolean;
}

async function counted(runtime: Runtime, runtimeId: string): Promise<Counted> {
  let last = 0;
  let ended = false;
  const gaps: string[] = [];
  for await (const {line} of runtime.logs(runtimeId, {follow: false}, AbortSignal.timeout(60_000))) {
    const [word = '', rest = ''] = line.split(' ');
    ended = word === 'end';
    if (ended ? Number(rest) !== last : Number(word) !== last + 1 || rest.length !== 500) gaps.push(`${last} is followed by ${line.slice(0, 20)} (${line.length})`);
    last = Number(ended ? rest : word);
  }
  return {last, gaps, ended};
}

it('an agent that goes amid it, one that stands in, and another agent lose no line between them, and split none', async () => {
  const standby = new LogStandby({logger: {info: () => undefined, warn: () => undefined}, setTimer: (callback, ms) => {
    const timer = later(callback, ms);
    return () => clearTimeout(timer);
  }});
  const watched = {cluster: bench.cluster, socketPath: bench.containerd.socketPath};
  const first = await bench.open();
  const spec = containerSpec({id: 'loud', template: {image: bench.image, args: ['sh', '-c', LOUD]}}, {name: `loud.${bench.cluster}`});
  const runtimeId = await first.create(spec);
  await standby.heard(watched);
  await first.start(runtimeId);
  const goesOn = async (from: Runtime): Promise<void> => {
    const {last} = await counted(from, runtimeId);
    await waitFor(async () => (await counted(from, runtimeId)).last > last + 200, {what: 'more lines', deadlineMs: 20_000});
  };
  await goesOn(first);
  await first.close();
  const look = await bench.open();
  const next = await bench.open();
  const over = new AbortController();
  try {
    await goesOn(look);
    await standby.heard(watched);
    void (async () => {
      for await (const _ of next.events(over.signal));
    })();
    await goesOn(look);
    const session = await look.exec(runtimeId, {command: ['touch', '/tmp/enough'], tty: false, stdin: false});
    expect(await session.exitCode).toBe(0);
    await waitFor(async () => (await counted(look, runtimeId)).ended, {what: 'the last line', deadlineMs: 20_000});
    expect((await counted(look, runtimeId)).gaps).toEqual([]);
  } finally {
    over.abort();
    await standby.stop();
    await next.remove(runtimeId);
    await Promise.all([look.close(), next.close()]);
  }
}, 90_000);
