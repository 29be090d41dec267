import {existsSync, readFileSync, statSync, writeFileSync} from 'node:fs';
import {openSqliteStore, type Store} from '@hivemind/store';
import {removeTempDir, tempDir} from '@hivemind/testkit';
import {pino} from 'pino';
import {adminTokenFile, sharedTokenHash, tokenHash} from './index.ts';

describe('the admin token of several gateways', () => {
  let store: Store;
  let dirs: string[];
  beforeEach(async () => {
    store = await openSqliteStore({path: ':memory:'});
    dirs = ['a', 'b', 'c'].map((name) => tempDir(`gateway-${name}`));
  });
  afterEach(async () => {
    await store.close();
    await Promise.all(dirs.map((dir) => removeTempDir(dir)));
  });

  const hash = (dataDir = '') => sharedTokenHash({dataDir, store, logger: pino({level: 'silent'}), now: () => 0});
  const hasFile = (dir: string): boolean => existsSync(adminTokenFile(dir));
  const tokens = (): readonly string[] => dirs.filter(hasFile).map((dir) => readFileSync(adminTokenFile(dir), 'utf8').trim());

  it('is one, in the file of whoever made it, and only its hash is in the store', async () => {
    const hashes = await Promise.all(dirs.map((dir) => hash(dir)));
    expect(new Set(hashes).size).toBe(1);
    const [token = ''] = tokens();
    expect([tokens().length, tokenHash(token)]).toEqual([1, hashes[0]]);
    expect((await store.get('gateway-tokens', 'admin'))?.value).not.toContain(token);
    expect(dirs.filter(hasFile).map((dir) => statSync(adminTokenFile(dir)).mode & 0o777)).toEqual([0o600]);
  });

  it('is the one that an operator put there', async () => {
    writeFileSync(adminTokenFile(dirs[0] ?? ''), 'given\n');
    expect(await hash(dirs[0])).toBe(tokenHash('given'));
    expect(await hash(dirs[1])).toBe(tokenHash('given'));
    writeFileSync(adminTokenFile(dirs[1] ?? ''), 'another\n');
    expect(await hash(dirs[1])).toBe(tokenHash('given'));
  });
});
