import {openRedisStore} from '../../src/index.ts';
import {storeContract} from '../../src/testing/index.ts';
import {startRedis, type RedisServer} from '@hivemind/testkit';
import {setTimeout as pause} from 'node:timers/promises';

let server: RedisServer;
let stores = 0;

beforeAll(async () => {
  server = await startRedis();
});
afterAll(() => server.stop());

storeContract('redis', async () => {
  const store = await openRedisStore({url: server.url, prefix: `{contract-${stores++}}:`});
  // The clock of leases is the server's.
  return {store, elapse: (ms) => pause(ms), dispose: () => store.close()};
});
