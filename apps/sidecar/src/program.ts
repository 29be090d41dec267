/** Where the sidecar's own program is, and how it is started lean: for the command and the agent, which both do. */
import {existsSync, realpathSync} from 'node:fs';
import {createRequire, getCompileCacheDir} from 'node:module';
import {dirname, join} from 'node:path';
import {sidecarErrors} from './errors.ts';

/**
 * `sidecar.js` beside the command that runs now, or one folder above; in a checkout its entry, which is no file of a bundle.
 *
 * @param command The program of this process (`process.argv[1]`).
 * @throws `sidecar-missing`
 */
export function sidecarProgram(command: string): string {
  const own = dirname(existsSync(command) ? realpathSync(command) : command);
  const shipped = [own, dirname(own)].map((dir) => join(dir, 'sidecar.js')).find(existsSync);
  if (shipped !== undefined) return shipped;
  try {
    return createRequire(import.meta.url).resolve('@hivemind/sidecar/main');
  } catch (error) {
    throw sidecarErrors['sidecar-missing'](`There is no sidecar.js beside ${command}: this installation is not whole. Install Hivemind again.`, {cause: error});
  }
}

/** For Node, before the program: from source it would say that stripping types is new; what lives shortly is collected often, and memory goes before speed. */
export const sidecarNodeFlags: readonly string[] = ['--disable-warning=ExperimentalWarning', '--max-semi-space-size=1', '--optimize-for-size'];

/**
 * The environment it is started with. What was compiled is kept for the next start, also for its threads, which in a checkout
 * spares it the compiler; two heaps of malloc are enough for what little it does, and what it frees goes back to the system.
 * Together that is half of its memory.
 */
export function leanEnvironment(env: Readonly<Record<string, string | undefined>>, dataDir: string): Readonly<Record<string, string | undefined>> {
  return {NODE_COMPILE_CACHE: getCompileCacheDir() ?? join(dataDir, 'compiled'), MALLOC_ARENA_MAX: '2', MALLOC_TRIM_THRESHOLD_: '131072', ...env};
}
