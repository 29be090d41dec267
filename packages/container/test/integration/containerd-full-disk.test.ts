import {rmSync, statfsSync, truncateSync, writeFileSync} from 'node:fs';
import {join} from 'node:path';
import type {Runtime} from '@hivemind/runtime';
import {containerdBench, type ContainerdBench, pulled} from './containerd-harness.ts';

const DISK = 64 * 2 ** 20;
/** Less than the image takes, more than containerd's own records. */
const LEFT = 2.5 * 2 ** 20;
let bench: ContainerdBench;
let runtime: Runtime;

beforeAll(async () => {
  bench = await containerdBench(DISK);
  runtime = await bench.open();
}, 60_000);
afterAll(async () => {
  await runtime.close();
  await bench[Symbol.asyncDispose]();
}, 60_000);

it('an image that the disk has no room for is not there, the reason says so, and it comes once there is room', async () => {
  const {containerd, image} = bench;
  containerd.ctr('images', 'rm', '--sync', image);
  const filler = join(containerd.dir, 'root', 'filler');
  const {bavail, bsize} = statfsSync(join(containerd.dir, 'root'));
  writeFileSync(filler, Buffer.alloc(bavail * bsize - LEFT, 1));
  await expect(pulled(runtime, image)).rejects.toMatchObject({message: expect.stringContaining('no space left on device')});
  expect(await runtime.hasImage(image)).toBe(false);
  expect(containerd.ctr('snapshots', 'ls').split('\n').filter((line) => /Active/.test(line))).toEqual([]);
  truncateSync(filler);
  rmSync(filler);
  await pulled(runtime, image);
  expect(await runtime.hasImage(image)).toBe(true);
});
