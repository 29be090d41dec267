/** Archives of images, in and out of the engine as streams. */
import {Readable} from 'node:stream';
import {runtimeErrors, type Runtime} from '@hivemind/runtime';
import * as z from 'zod';
import {asking, type Engine} from './engine.ts';
import {engineError, isStatus} from './errors.ts';
import {listImages, progress} from './images.ts';

/** Of an image, and of the engine, by the same words. */
const Platform = z.object({Os: z.string().default('linux'), Architecture: z.string().default('')});
const EnginePlatform = z.object({Os: z.string(), Arch: z.string()});

/**
 * The engine takes images for any machine and fails when they start: those for another are taken away again.
 * @throws `archive-refused` in the engine's words, or where an image is for another platform; the signal's reason
 */
export async function* importImages(engine: Engine, archive: AsyncIterable<Uint8Array>, signal: AbortSignal): ReturnType<Runtime['importImages']> {
  const before = await listImages(engine);
  const loaded: string[] = [];
  try {
    const response = await engine.stream({method: 'POST', path: '/images/load', query: {}, signal, body: Readable.from(archive)});
    for await (const step of progress(response)) {
      const name = /^Loaded image(?: ID)?: (\S+)/.exec(step.status)?.[1];
      if (name === undefined) yield step;
      else loaded.push(name);
    }
  } catch (error) {
    signal.throwIfAborted();
    const failure = engineError(error, 'Importing the archive', engine.address);
    throw failure.code === 'runtime-unavailable' ? failure : runtimeErrors['archive-refused'](failure.message, {cause: error});
  }
  if (loaded.length === 0) throw runtimeErrors['archive-refused']('The archive holds no image: send what docker save or an export wrote.');
  const other = await forOthers(engine, loaded);
  if (other !== undefined) {
    await undo(engine, loaded, before);
    throw runtimeErrors['archive-refused'](`The archive was not taken: ${other}.`);
  }
  for (const name of loaded) yield {status: `Imported ${name}`};
  yield {status: `Imported ${loaded.length === 1 ? 'an image' : `${loaded.length} images`}`, done: true};
}

/** @returns why, where one of them does not run here */
async function forOthers(engine: Engine, names: readonly string[]): Promise<string | undefined> {
  const here = EnginePlatform.parse(await asking(engine, 'Asking for the platform', () => engine.docker.version()));
  for (const name of names) {
    const {Os, Architecture} = Platform.parse(await asking(engine, `Looking at the image ${name}`, () => engine.docker.getImage(name).inspect()));
    if (Os !== here.Os || (Architecture !== '' && Architecture !== here.Arch)) return `${name} is for ${Os}/${Architecture}, and this machine is ${here.Os}/${here.Arch}`;
  }
  return undefined;
}

/** Whoever had a name before has it again. */
async function undo(engine: Engine, loaded: readonly string[], before: Awaited<ReturnType<typeof listImages>>): Promise<void> {
  await asking(engine, `Taking ${loaded.join(' and ')} away again`, async () => {
    const names = new Set<string>();
    const ids = new Set<string>();
    // All names first: an image that is removed by its id takes the last name that it has along.
    for (const name of loaded) {
      const found = await engine.docker.getImage(name).inspect().catch(unlessGone);
      const id = found && z.object({Id: z.string()}).parse(found).Id;
      const earlier = before.find(({tags}) => tags.includes(name));
      const known = before.some((image) => image.id === id);
      if (id !== undefined && !known) ids.add(id);
      if (earlier && earlier.id !== id) {
        const colon = name.lastIndexOf(':');
        await engine.docker.getImage(earlier.id).tag({repo: name.slice(0, colon), tag: name.slice(colon + 1)});
      }
      if (!earlier && name !== id) names.add(name);
    }
    // One of several names goes alone, and the image with the last.
    for (const image of [...names, ...ids]) await engine.docker.getImage(image).remove().catch(unlessGone);
  });
}

/** Somebody was faster, or uses it. */
function unlessGone(error: unknown): undefined {
  if (!isStatus(error, 404) && !isStatus(error, 409)) throw error;
}

/** @throws `image-not-found` before the first byte; the signal's reason */
export async function* exportImage(engine: Engine, image: string, signal: AbortSignal): ReturnType<Runtime['exportImage']> {
  await asking(engine, `Exporting ${image}`, async () => {
    await engine.docker.getImage(image).inspect().catch((error: unknown) => {
      throw isStatus(error, 404) ? runtimeErrors['image-not-found'](`The image ${image} is not on this machine: pull it first.`, {cause: error}) : error;
    });
  });
  try {
    yield* await engine.stream({method: 'GET', path: '/images/get', query: {names: image}, signal});
  } catch (error) {
    signal.throwIfAborted();
    throw engineError(error, `Exporting ${image}`, engine.address);
  }
}
