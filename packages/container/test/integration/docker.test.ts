import {dockerEngine} from '@hivemind/testkit';
import {runtimeContract} from '../../src/testing/index.ts';
import {foreignArchive} from './archives.ts';
import {buildContext, testCluster} from './harness.ts';
import {startRegistries} from './registry.ts';

runtimeContract('docker', async () => {
  const docker = await dockerEngine();
  const [ours, theirs, registries] = await Promise.all([testCluster(docker), testCluster(docker), startRegistries(docker)]);
  const {runtime, cluster, image} = ours;
  return {
    under: {runtime, stranger: theirs.runtime, cluster, image, registry: registries.images, context: () => buildContext(`FROM ${image}\nENV BUILT=1\n`), foreign: foreignArchive},
    close: async () => {
      await docker.getImage(`hivemind-test/built-${cluster}:1`).remove({force: true}).catch(() => undefined);
      await Promise.all([ours.close(), theirs.close(), registries.stop()]);
    },
  };
});
