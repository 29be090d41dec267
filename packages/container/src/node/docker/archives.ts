/** Archives of images, in and out of the engine as streams. */
import {Readable} from 'node:stream';
import {runtimeErrors, type Runtime} from '@hivemind/runtime';
import {asking, type Engine} from './engine.ts';
import {engineError, isStatus} from './errors.ts';
import {progress} from './images.ts';

/** @throws `archive-refused` in the engine's words; the signal's reason */
export async function* importImages(engine: Engine, archive: AsyncIterable<Uint8Array>, signal: AbortSignal): ReturnType<Runtime['importImages']> {
  let loaded = 0;
  try {
    const response = await engine.stream({method: 'POST', path: '/images/load', query: {}, signal, body: Readable.from(archive)});
    for await (const step of progress(response)) {
      if (/^Loaded image/.test(step.status)) loaded++;
      yield step;
    }
  } catch (error) {
    signal.throwIfAborted();
    const failure = engineError(error, 'Importing the archive', engine.address);
    throw failure.code === 'runtime-unavailable' ? failure : runtimeErrors['archive-refused'](failure.message, {cause: error});
  }
  if (loaded === 0) throw runtimeErrors['archive-refused']('The archive holds no image: send what docker save or an export wrote.');
  yield {status: `Imported ${loaded === 1 ? 'an image' : `${loaded} images`}`, done: true};
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
