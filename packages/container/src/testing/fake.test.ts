import {createFakeRuntime} from './fake.ts';
import {runtimeContract} from './contract.ts';

runtimeContract('fake', () => {
  const runtime = createFakeRuntime({cluster: 'ours'});
  const {engine} = runtime;
  const stranger = createFakeRuntime({cluster: 'theirs', engine});
  const credentials = {username: 'ann', password: 'secret'};
  engine.registry.set('registry/open:1', {layers: 2}).set('registry/closed:1', {layers: 2, credentials});
  return Promise.resolve({
    under: {
      runtime,
      stranger,
      cluster: 'ours',
      image: 'busybox',
      registry: {open: 'registry/open:1', closed: 'registry/closed:1', missing: 'registry/missing:1', credentials},
      async *context() {
        yield await Promise.resolve(Buffer.from('tar'));
      },
      async *foreign(...names) {
        yield await Promise.resolve(Buffer.from(['images', ...names.map((name) => `${name} linux/other`)].join('\n')));
      },
    },
    close: async () => {
      await runtime.close();
      await stranger.close();
    },
  });
});
