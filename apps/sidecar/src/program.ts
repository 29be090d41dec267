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

/**
 * Memory before speed, of V8 13 (Node 24): code is compiled where it is called ten thousands of times, as that which answers names
 * under load is, and once; a full collection leaves no holes. As in `scripts/build/launcher.mjs`, for the agent. Another V8 might not
 * know one of them, and would not start.
 */
const leanV8 = process.versions.v8.startsWith('13.') ? ['--no-opt', '--no-sparkplug', '--invocation-count-for-maglev=20000', '--memory-saver-mode', '--compact-on-every-full-gc', '--bytecode-old-age=1'] : [];

/** For Node, before the program: from source it would say that stripping types is new; what lives shortly is collected often. */
export const sidecarNodeFlags: readonly string[] = ['--disable-warning=ExperimentalWarning', '--max-semi-space-size=1', '--optimize-for-size', '--v8-pool-size=1', ...leanV8];

/**
 * The environment it is started with: two heaps of malloc are enough for what little it does, and what it frees goes back to the
 * system. In a checkout what was compiled is kept for the next start, which spares it the compiler; a bundle takes less memory
 * without, as functions that are not called are not compiled.
 */
export function leanEnvironment(env: Readonly<Record<string, string | undefined>>, dataDir: string, program: string): Readonly<Record<string, string | undefined>> {
  return {...(program.endsWith('.ts') ? {NODE_COMPILE_CACHE: getCompileCacheDir() ?? join(dataDir, 'compiled')} : {}), MALLOC_ARENA_MAX: '2', MALLOC_TRIM_THRESHOLD_: '131072', ...env};
}
