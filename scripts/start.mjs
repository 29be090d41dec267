/**
 * `npm start`: from a machine with nothing but Node and root to a web page served by two replicas.
 * Hivemind then runs in this terminal; Ctrl-C stops it and leaves the containers running.
 * HIVEMIND_DATA_DIR and HIVEMIND_SERVER choose another data dir and address; `-- --yes` answers questions.
 */
import {installDebianPackages, packagesToStart} from './setup/debian.mjs';
import {ensureEngine} from './setup/engine.mjs';
import {enter} from './setup/enter.mjs';

await enter(async () => {
  await installDebianPackages(packagesToStart, {yes: process.argv.includes('--yes')});
  await ensureEngine();
  const {startDemo} = await import('./start/start-demo.mjs');
  return await startDemo();
});
