import {dockerEngine} from '@hivemind/testkit';
import {runtimeContract} from '../../src/testing/index.ts';
import {foreignArchive} from './archives.ts';
import {containerdBench} from './containerd-harness.ts';
import {buildContext} from './harness.ts';
import {startRegistries} from './registry.ts';

runtimeContract('containerd', async () => {
  const [bench, registries] = await Promise.all([containerdBench(), startRegistries(await dockerEngine())]);
  const {cluster, image} = bench;
  const plainHttp = [registries.images.open, registries.images.closed].map((name) => name.slice(0, name.indexOf('/')));
  const [runtime, stranger] = await Promise.all([bench.open({plainHttp}), bench.open({cluster: `${cluster}-other`})]);
  return {
    under: {runtime, stranger, cluster, image, registry: registries.images, context: () => buildContext(`FROM ${image}\n`), foreign: foreignArchive},
    close: async () => {
      await runtime.pruneNetworks();
      await Promise.all([runtime.close(), stranger.close()]);
      await Promise.all([bench[Symbol.asyncDispose](), registries.stop()]);
    },
  };
}, {builder: true});
