/**
 * Everything that must hold before a change is taken, from a bare machine:
 *
 *   npm test                  lint, types, every test but the long ones, the bundles, the tarball
 *   npm run test:full         the long ones (*.full.test.ts) too
 *   npm run test:unit         only the tests beside the code
 *   npm test -- libs/bus      only the tests under a path
 *
 * The last line is `N passed, N failed`; the exit status is 0 only when nothing failed.
 */
import {installDebianPackages, packagesToTest} from './setup/debian.mjs';
import {ensureEngine} from './setup/engine.mjs';
import {enter} from './setup/enter.mjs';

await enter(async () => {
  const args = process.argv.slice(2);
  const options = {
    full: args.includes('--full'),
    unit: args.includes('--unit'),
    paths: args.filter((arg) => !arg.startsWith('-')),
  };
  await installDebianPackages(packagesToTest, {yes: args.includes('--yes')});
  if (!options.unit) await ensureEngine();
  const {runChecks} = await import('./test/checks.mjs');
  return await runChecks(options);
});
