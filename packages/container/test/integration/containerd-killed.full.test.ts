import {containerdBench, type ContainerdBench} from './containerd-harness.ts';
import {killAndRecover, killed, nextAgent} from './containerd-killed.ts';

let bench: ContainerdBench;
beforeAll(async () => {
  bench = await containerdBench();
}, 60_000);
afterAll(() => bench[Symbol.asyncDispose](), 60_000);

it('an agent that is killed between any two calls of a start leaves nothing that the next does not find, whether it goes on or gives up', async () => {
  const {calls, done} = await killed(bench, `whole-${bench.cluster}`, undefined);
  expect([done, calls.at(-1)]).toEqual([true, 'Tasks/Start']);
  const over = new AbortController();
  const next = await nextAgent(bench, over.signal);
  for (const {runtimeId} of await next.list()) await next.remove(runtimeId);
  over.abort();
  await next.close();
  for (const at of calls.keys()) {
    for (const moment of ['before', 'after'] as const) {
      for (const wanted of [true, false]) await killAndRecover(bench, `k${at}${moment}${String(wanted)}-${bench.cluster}`, {at, moment}, wanted);
    }
  }
}, 1_200_000);
