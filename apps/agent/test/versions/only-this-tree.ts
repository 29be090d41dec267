/**
 * Loaded into a program before it (`--import`): it loads the source of one tree alone, and packages that are nobody's source here.
 * Anything of another tree ends it, so that what is said to be the old code cannot be the new one, nor the other way round.
 */
import {registerHooks} from 'node:module';
import {sep} from 'node:path';
import {fileURLToPath} from 'node:url';

const tree = new URL(import.meta.url).searchParams.get('tree') ?? '';
const thirdParty = `${sep}node_modules${sep}`;

registerHooks({
  resolve(specifier, context, next) {
    const found = next(specifier, context);
    if (!found.url.startsWith('file:')) return found;
    const path = fileURLToPath(found.url);
    if (!path.startsWith(`${tree}${sep}`) && !path.includes(thirdParty)) throw new Error(`${path} is not of ${tree}: ${context.parentURL ?? 'the program'} asked for ${specifier}`);
    return found;
  },
});
