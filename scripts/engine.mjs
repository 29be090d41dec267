/** Makes sure that a container engine answers on this machine, installing and starting it if need be. */
import {installDebianPackages, packagesToStart} from './setup/debian.mjs';
import {ensureEngine} from './setup/engine.mjs';
import {enter} from './setup/enter.mjs';

await enter(async () => {
  await installDebianPackages(packagesToStart);
  await ensureEngine();
  process.stdout.write('The container engine answers.\n');
  return 0;
});
