import {mkdtemp, rm} from 'node:fs/promises';
import {tmpdir} from 'node:os';
import {join} from 'node:path';
import {openSqliteStore} from './sqlite.ts';
import {ManualClock} from './testing/manual-clock.ts';
import {storeContract, type ContractStore} from './testing/contract.ts';

async function onDisk(): Promise<ContractStore> {
  const folder = await mkdtemp(join(tmpdir(), 'hivemind-store-'));
  const clock = new ManualClock();
  const store = await openSqliteStore({path: join(folder, 'store.db'), clock});
  return {
    store,
    elapse: async (ms) => clock.advance(ms),
    async dispose() {
      await store.close();
      await rm(folder, {recursive: true});
    },
  };
}

async function inMemory(): Promise<ContractStore> {
  const clock = new ManualClock();
  const store = await openSqliteStore({path: ':memory:', clock});
  return {store, elapse: async (ms) => clock.advance(ms), dispose: () => store.close()};
}

storeContract('sqlite', onDisk);
storeContract('sqlite in memory', inMemory);

describe('a store that is opened again', () => {
  it('has no leader: who led is gone with the process that had the file', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'hivemind-store-'));
    const path = join(folder, 'store.db');
    const first = await openSqliteStore({path});
    const lease = await first.grantLease(600_000);
    const won = await first.campaign('app', 'first', lease.id);
    await first.close();
    const second = await openSqliteStore({path});
    const other = await second.grantLease(600_000);
    const next = await second.campaign('app', 'second', other.id);
    expect(next).toMatchObject({holder: 'second'});
    expect(next.revision).toBeGreaterThan(won.revision);
    await second.close();
    await rm(folder, {recursive: true});
  });
});
