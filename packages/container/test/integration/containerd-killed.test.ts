import {containerdBench, type ContainerdBench} from './containerd-harness.ts';
import {type Kill, killAndRecover} from './containerd-killed.ts';

let bench: ContainerdBench;
beforeAll(async () => {
  bench = await containerdBench();
}, 60_000);
afterAll(() => bench[Symbol.asyncDispose](), 60_000);

// All of them are in containerd-killed.full.test.ts.
const kills: readonly (readonly [Kill, boolean])[] = [
  [{at: 'Containers/Create', moment: 'before'}, false],
  [{at: 'Containers/Create', moment: 'after'}, true],
  [{at: 'Tasks/Create', moment: 'after'}, false],
  [{at: 'Tasks/Start', moment: 'before'}, true],
];

it.each(kills)('an agent that is killed on the way to a running container leaves nothing that the next does not find: %j, wanted yet: %s', async (kill, wanted) => {
  await killAndRecover(bench, `k${kills.findIndex(([each]) => each === kill)}-${bench.cluster}`, kill, wanted);
}, 60_000);
