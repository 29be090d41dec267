/** The contract: images, volumes and networks. */
import {Readable} from 'node:stream';
import {engineLabels, type RegistryCredentials} from '@hivemind/contracts';
import type * as z from 'zod';
import type {Lacks} from '../contract.ts';
import type {ContractBench} from './bench.ts';

export function imageContract(bench: ContractBench, {builder = false}: Lacks): void {
  describe('images', () => {
    const pull = async (image: string, credentials?: z.infer<typeof RegistryCredentials>) => {
      const progress = [];
      for await (const step of bench.runtime.pull(image, credentials, bench.over.signal)) progress.push(step);
      return progress;
    };

    it('are listed', async () => {
      expect(await bench.runtime.hasImage(bench.under.image)).toBe(true);
      expect(await bench.runtime.hasImage('hivemind-test/never:1')).toBe(false);
      expect((await bench.runtime.images()).flatMap(({tags}) => tags)).toContain(bench.under.image);
    });

    it('are pulled with progress', async () => {
      const {open} = bench.under.registry;
      expect(await bench.runtime.hasImage(open)).toBe(false);
      const progress = await pull(open);
      expect(progress.length).toBeGreaterThan(1);
      expect(progress.at(-1)).toMatchObject({done: true});
      expect(await bench.runtime.hasImage(open)).toBe(true);
    });

    it('ask for credentials', async () => {
      const {closed, credentials} = bench.under.registry;
      await expect(pull(closed)).rejects.toMatchObject({code: 'image-unauthorized', message: expect.stringContaining(closed)});
      await expect(pull(closed, {...credentials, password: 'wrong'})).rejects.toMatchObject({code: 'image-unauthorized'});
      await pull(closed, credentials);
      expect(await bench.runtime.hasImage(closed)).toBe(true);
    });

    it('that do not exist are said not to', async () => {
      await expect(pull(bench.under.registry.missing)).rejects.toMatchObject({code: 'image-not-found', message: expect.stringContaining(bench.under.registry.missing)});
    });

    it('go out as an archive and come in again, under the same name', async () => {
      const {runtime, under, over} = bench;
      const image = under.registry.open;
      if (!(await runtime.hasImage(image))) await pull(image);
      const archive: Uint8Array[] = [];
      for await (const part of runtime.exportImage(image, over.signal)) archive.push(part);
      await runtime.removeImage(image);
      await runtime.removeImage(image);
      expect(await runtime.hasImage(image)).toBe(false);
      const steps = [];
      for await (const step of runtime.importImages(Readable.from(archive), over.signal)) steps.push(step);
      expect(steps.at(-1)).toMatchObject({done: true});
      const spec = bench.scripted('exit 3', {template: {image}});
      await bench.run(spec);
      expect(await bench.ended(spec)).toMatchObject({exitCode: 3});
      const {id} = (await runtime.images()).find(({tags}) => tags.includes(image)) ?? {};
      expect([...(await runtime.usedImages())]).toContain(id);
    });

    it('say what is not theirs to take or to give', async () => {
      const {runtime, under, over} = bench;
      await expect(runtime.importImages(Readable.from([Buffer.from('this is no archive of images '.repeat(100))]), over.signal)[Symbol.asyncIterator]().next()).rejects.toMatchObject({code: 'archive-refused'});
      await expect(runtime.exportImage(under.registry.missing, over.signal)[Symbol.asyncIterator]().next()).rejects.toMatchObject({code: 'image-not-found', message: expect.stringContaining(under.registry.missing)});
    });

    it('for another platform are not taken from an archive, and whoever has their names keeps them', async () => {
      const {runtime, under, over} = bench;
      const taken = async (...names: readonly string[]): Promise<void> => {
        for await (const step of runtime.importImages(under.foreign(...names), over.signal)) if (step.error !== undefined) throw new Error(step.error);
      };
      const idOf = async (name: string) => (await runtime.images()).find(({tags}) => tags.includes(name))?.id;
      const name = `hivemind-test/foreign-${under.cluster.toLowerCase()}:1`;
      await expect(taken(name)).rejects.toMatchObject({code: 'archive-refused', message: expect.stringMatching(/ is for linux\/\w+, and this machine is linux\/\w+/)});
      expect(await idOf(name)).toBeUndefined();
      const {open, closed, credentials} = under.registry;
      if (!(await runtime.hasImage(open))) await pull(open);
      if (!(await runtime.hasImage(closed))) await pull(closed, credentials);
      const before = [await idOf(open), await idOf(closed)];
      expect(before).toEqual([expect.stringMatching(/^sha256:/), expect.stringMatching(/^sha256:/)]);
      for (const names of [[open], [open, name], [open, closed]]) {
        await expect(taken(...names)).rejects.toMatchObject({code: 'archive-refused'});
        expect([await idOf(open), await idOf(closed), await idOf(name)]).toEqual([...before, undefined]);
      }
    });

    const build = async (tag: string) => {
      const options = {tag, dockerfile: 'Dockerfile', args: {}, labels: {}, noCache: false, extraHosts: []};
      const progress = [];
      for await (const step of bench.runtime.build(bench.under.context(), options, bench.over.signal)) progress.push(step);
      return progress;
    };
    const built = async (): Promise<void> => {
      const tag = `hivemind-test/built-${bench.under.cluster}:1`;
      expect((await build(tag)).at(-1)).toMatchObject({done: true});
      expect(await bench.runtime.hasImage(tag)).toBe(true);
    };
    const refused = async (): Promise<void> => {
      await expect(build('hivemind-test/built:1')).rejects.toMatchObject({code: 'build-failed', message: expect.stringContaining('hivemind-test/built:1')});
    };
    it(builder ? 'are not built, which it says' : 'are built from a tar', builder ? refused : built);
  });

  describe('volumes and networks', () => {
    it('keep data when the container goes, until they are removed', async () => {
      const name = `data-${bench.under.cluster}`;
      const mounts = [{type: 'volume' as const, source: name, target: '/data', readOnly: false, labels: {[engineLabels.cluster]: bench.under.cluster}}];
      const runtimeId = await bench.run(bench.scripted('sleep 1000', {}, {mounts}));
      expect(await bench.runtime.volumeUsage([name, 'no-such'])).toEqual([{name, bytes: expect.any(Number), path: expect.stringMatching(/^\//)}]);
      await expect(bench.runtime.removeVolume(name)).rejects.toMatchObject({code: 'runtime-conflict', message: expect.stringContaining(name)});
      await bench.runtime.remove(runtimeId);
      expect(await bench.runtime.volumeUsage([name])).toHaveLength(1);
      await bench.runtime.removeVolume(name);
      await bench.runtime.removeVolume(name);
      expect(await bench.runtime.volumeUsage([name])).toEqual([]);
    });

    it('come back when a container needs them', async () => {
      const networks = [{name: `net-${bench.under.cluster}`, aliases: ['web']}];
      const first = await bench.run(bench.scripted('sleep 1000', {}, {networks}));
      await bench.runtime.stop(first, 'SIGKILL', 0);
      await bench.runtime.pruneNetworks();
      await bench.runtime.start(first);
      await bench.run(bench.scripted('sleep 1000', {}, {networks}));
      await bench.runtime.pruneNetworks();
      expect((await bench.runtime.list()).map(({state}) => state)).toEqual(['running', 'running']);
    });
  });
}
