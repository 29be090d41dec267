/** An agent that is killed while an image comes: the next one goes on where it stopped, and nothing of the first stays. */
import {waitFor} from '@hivemind/testkit';
import {containerSpec} from '../../src/testing/index.ts';
import {containerdBench, type ContainerdBench, pulled} from './containerd-harness.ts';
import {killedPulling, nothing, remains} from './containerd-killed.ts';
import {faultyRegistry} from './faulty-registry.ts';

let bench: ContainerdBench;
beforeAll(async () => {
  bench = await containerdBench();
}, 60_000);
afterAll(() => bench[Symbol.asyncDispose](), 60_000);

/** Blobs on their way. */
const ingests = (): readonly string[] => bench.containerd.ctr('content', 'active').split('\n').slice(1).filter(Boolean);
const leases = (): string => bench.containerd.ctr('leases', 'ls', '-q').trim();
/** Of the layer that come, and no more. */
const SOME = 600_000;

it('an agent that is killed amid a pull: the next asks for the rest alone, the app runs, and no lease or half of a blob stays', async () => {
  const {containerd, cluster} = bench;
  containerd.ctr('images', 'rm', '--sync', bench.image);
  await using registry = await faultyRegistry(bench.registry.url);
  registry.harm = ({url}, body, response) => {
    if (!url.includes('/blobs/') || body.length <= SOME) return false;
    response.writeHead(200, {'content-length': body.length}).write(body.subarray(0, SOME));
    return true;
  };
  const image = `${registry.host}/base:1`;
  const begun = (): number => ingests().filter((line) => /\s[1-9]\S*[kM]B\s/.test(`${line} `)).length;
  await killedPulling(bench, image, registry.host, waitFor(() => begun() === 1, {what: 'a part of the layer to be there', deadlineMs: 20_000}));
  expect([leases().split('\n').length, begun()]).toEqual([1, 1]);

  registry.harm = () => false;
  const next = await bench.open({plainHttp: [registry.host]});
  try {
    await pulled(next, image);
    expect(registry.asked.filter((asked) => / bytes=[1-9]\d*-$/.test(asked))).toHaveLength(1);
    const id = `pulled-${cluster}`;
    const runtimeId = await next.create(containerSpec({id, template: {image, args: ['sleep', '1000']}}));
    await next.start(runtimeId);
    expect(await next.inspect(id)).toMatchObject({state: 'running'});
    await next.remove(runtimeId);
    await waitFor(() => remains(bench, [id])['shims'] === 0, {what: 'the shim to end'});
    expect({...remains(bench, [id]), ingests: ingests()}).toEqual({...nothing, ingests: []});
  } finally {
    await next.close();
  }
}, 60_000);
