import {createEmbeddedBus, EmbeddedHub} from './embedded.ts';
import {busContract} from '../testing/contract.ts';

busContract('embedded', async () => {
  const hub = new EmbeddedHub();
  return {connect: async () => createEmbeddedBus({hub}), stop: async () => undefined};
});
