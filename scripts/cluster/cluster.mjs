/**
 * The dev cluster (docker-compose.yml) on this machine's engine, wherever there is one:
 *
 *   npm run cluster          builds what is missing, starts it, and says how to use it
 *   npm run cluster:down     removes it with all its data
 *
 * HIVEMIND_PORT, NATS_PORT and REDIS_PORT choose other ports; COMPOSE_PROJECT_NAME another name, for a second one. Where no image
 * can be pulled, the servers' images are built from Debian packages; HIVEMIND_IMAGES=debian asks for that.
 */
import {installDebianPackages, packagesToStart} from '../setup/debian.mjs';
import {ensureEngine} from '../setup/engine.mjs';
import {enter, SetupError} from '../setup/enter.mjs';

await enter(async () => {
  const action = process.argv[2] ?? 'up';
  if (action !== 'up' && action !== 'down') throw new SetupError(`${action} is neither up nor down.`);
  await installDebianPackages(packagesToStart, {yes: process.argv.includes('--yes')});
  await ensureEngine();
  const {clusterDown, clusterUp} = await import('./lifecycle.mjs');
  if (action === 'down') await clusterDown();
  else await clusterUp({say: (text) => process.stdout.write(`${text}\n`)});
  return 0;
});
