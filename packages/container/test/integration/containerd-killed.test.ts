import {containerdBench, type ContainerdBench} from './containerd-harness.ts';
import {killAndRecover} from './containerd-killed.ts';

let bench: ContainerdBench;
beforeAll(async () => {
  bench = await containerdBench();
}, 60_000);
afterAll(() => bench[Symbol.asyncDispose](), 60_000);

// The whole table is in containerd-killed.full.test.ts.
it('an agent that is killed on the way to a running container leaves nothing that the next one does not find', async () => {
  await killAndRecover(bench, `k1-${bench.cluster}`, {at: 0, moment: 'before'}, true);
}, 60_000);
