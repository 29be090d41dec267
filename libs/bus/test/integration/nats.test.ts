import {startNats, type NatsServer} from '@hivemind/testkit';
import {connectNatsBus} from '../../src/index.ts';
import {busContract} from '../../src/testing/index.ts';

let server: NatsServer;

busContract('nats', async () => {
  server = await startNats();
  let count = 0;
  return {
    connect: () => connectNatsBus({servers: server.url, name: `contract-${++count}`}),
    stop: () => server.stop(),
  };
});
