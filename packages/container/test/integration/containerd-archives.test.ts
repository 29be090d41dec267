/** Archives of images into containerd and out of it: what others write is taken, what is not honest is not. */
import {createWriteStream, existsSync, readFileSync} from 'node:fs';
import {join} from 'node:path';
import {Readable} from 'node:stream';
import {pipeline} from 'node:stream/promises';
import {createGzip, createZstdCompress, gzipSync, zstdCompressSync} from 'node:zlib';
import type {Runtime} from '@hivemind/runtime';
import {busyboxImage, dockerEngine, waitFor} from '@hivemind/testkit';
import {containerSpec} from '../../src/testing/index.ts';
import {bytesOf, digestOf, type File, other, saved, tarOf} from './archives.ts';
import {containerdBench, type ContainerdBench} from './containerd-harness.ts';

let bench: ContainerdBench;
let runtime: Runtime;
const over = new AbortController();

beforeAll(async () => {
  bench = await containerdBench();
  runtime = await bench.open();
}, 60_000);
afterAll(async () => {
  over.abort();
  for (const {runtimeId} of await runtime.list()) await runtime.remove(runtimeId);
  await runtime.close();
  await bench[Symbol.asyncDispose]();
}, 60_000);

async function taken(archive: AsyncIterable<Uint8Array>): Promise<void> {
  for await (const step of runtime.importImages(archive, over.signal)) if (step.error !== undefined) throw new Error(step.error);
}

/** Runs a shell of the image with an archive's files in it. */
async function said(id: string, image: string, script: string): Promise<string[]> {
  const spec = containerSpec({id, template: {image, command: ['/bin/busybox'], args: ['sh', '-c', script]}});
  const runtimeId = await runtime.create(spec);
  await runtime.start(runtimeId);
  await waitFor(async () => (await runtime.inspect(id))?.state === 'exited', {what: 'its end'});
  const lines = [];
  for await (const {line} of runtime.logs(runtimeId, {follow: false}, over.signal)) lines.push(line);
  return lines;
}

it('what docker save wrote is taken, also compressed, and what is exported is taken by ctr and docker load', async () => {
  const docker = await dockerEngine();
  const name = `hivemind-test/archive-${bench.cluster.toLowerCase()}:1`;
  await docker.getImage(await busyboxImage(docker)).tag({repo: name.slice(0, -2), tag: '1'});
  try {
    await taken((await docker.getImage(name).get()) as Readable);
    expect(await runtime.hasImage(name)).toBe(true);
    expect(await said(`saved-${bench.cluster}`, name, 'echo hi')).toEqual(['hi']);
    await docker.getImage(name).remove();
    const file = join(bench.containerd.dir, 'exported.tar');
    await pipeline(runtime.exportImage(name, over.signal), createWriteStream(file));
    await docker.loadImage(file).then((stream) => bytesOf(stream as Readable));
    expect((await docker.getImage(name).inspect()).RepoTags).toContain(name);
    bench.containerd.ctr('images', 'rm', '--sync', `docker.io/${name}`);
    bench.containerd.ctr('images', 'import', file);
    expect(bench.containerd.ctr('images', 'check')).toMatch(new RegExp(`${name} .*complete`));
    bench.containerd.ctr('images', 'rm', '--sync', `docker.io/${name}`);
    await taken(runtime.exportImage(bench.image, over.signal));
    const zipped = createGzip();
    await Promise.all([pipeline(runtime.exportImage(bench.image, over.signal), zipped), taken(zipped)]);
  } finally {
    await docker.getImage(name).remove({force: true}).catch(() => undefined);
  }
}, 60_000);

it('layers of gzip and of zstd are unpacked, in archives of gzip and of zstd', async () => {
  const layer: readonly File[] = [{name: 'a', body: 'a'.repeat(10_000)}];
  for (const [name, packed, whole] of [['gzip', gzipSync, createZstdCompress()], ['zstd', zstdCompressSync, createGzip()]] as const) {
    await Promise.all([pipeline(tarOf(await saved(`packed/${name}:1`, layer, undefined, (tar) => packed(tar))), whole), taken(whole)]);
    expect(await runtime.hasImage(`packed/${name}:1`)).toBe(true);
  }
});

it('what leads out of it, is no file, is cut off or is for another machine is refused, in words', async () => {
  const good = await saved('bad/image:1', [{name: 'a', body: 'a'}]);
  const whole = await bytesOf(tarOf(good));
  const cases: readonly (readonly [AsyncIterable<Uint8Array>, RegExp])[] = [
    [tarOf([{name: '../../etc/escaped', body: 'x'}, ...good]), /\.\.\/\.\.\/etc\/escaped.*leads out/],
    [tarOf([{name: 'l2/layer.tar', type: 'symlink', linkname: '../../x'}, ...good]), /\.\.\/\.\.\/x.*out of it/],
    [tarOf([{name: 'disk', type: 'block-device', devmajor: 8, devminor: 0}, ...good]), /disk is a block-device/],
    [Readable.from([whole.subarray(0, whole.length / 2)]), /not a whole tar/],
    [Readable.from([]), /neither index\.json nor manifest\.json/],
    [tarOf(good.slice(1)), /names [0-9a-f]{64}\.json, which is not in it/],
    [tarOf([{name: `blobs/sha256/${digestOf('x')}`, body: 'y'}]), /something else than its name says/],
    [tarOf(await saved('bad/image:1', [{name: 'a', body: 'a'}], other)), new RegExp(`is for linux/${other}, and this machine`)],
    [tarOf([{name: 'manifest.json', body: '{'}]), /manifest\.json is not JSON/],
  ];
  for (const [archive, words] of cases) await expect(taken(archive)).rejects.toMatchObject({code: 'archive-refused', message: expect.stringMatching(words)});
  expect(await runtime.hasImage('bad/image:1')).toBe(false);
  // Nothing of them stays but what garbage collection takes.
  expect(bench.containerd.ctr('leases', 'ls', '-q').trim()).toBe('');
});

it('a layer stays within its image, whatever its names and links say, and its devices open nothing', async () => {
  const escape = join(bench.containerd.dir, 'escaped');
  const layer: readonly File[] = [
    {name: 'bin', type: 'directory'}, {name: 'bin/busybox', mode: 0o755, body: readFileSync('/bin/busybox')},
    {name: `../../../../../../../../../..${escape}-1`, body: 'x'},
    {name: 'out', type: 'symlink', linkname: bench.containerd.dir}, {name: 'out/escaped-2', body: 'x'},
    {name: 'dev', type: 'directory'}, {name: 'disk', type: 'block-device', devmajor: 7, devminor: 0, mode: 0o666},
  ];
  await taken(tarOf(await saved('odd/layer:1', layer)));
  expect([existsSync(`${escape}-1`), existsSync(`${escape}-2`)]).toEqual([false, false]);
  expect(await said(`odd-${bench.cluster}`, 'odd/layer:1', '/bin/busybox head -c 1 /disk 2>&1; echo $?')).toEqual([expect.stringMatching(/not permitted|denied/), '1']);
  await expect(runtime.removeImage('odd/layer:1')).rejects.toMatchObject({code: 'runtime-conflict'});
});
