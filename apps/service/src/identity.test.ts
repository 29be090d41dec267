import {readFileSync, rmSync, writeFileSync} from 'node:fs';
import {join} from 'node:path';
import {openSqliteStore, type Store} from '@hivemind/store';
import {removeTempDir, tempDir} from '@hivemind/testkit';
import {sharedIdentity} from './identity.ts';

describe('which cluster a store is of', () => {
  const now = Date.parse('2026-01-01T00:00:00Z');
  let store: Store;
  let dir: string;
  beforeEach(async () => {
    store = await openSqliteStore({path: ':memory:'});
    dir = tempDir('identity');
  });
  afterEach(async () => {
    await store.close();
    await removeTempDir(dir);
  });

  const identity = (dataDir = dir) => sharedIdentity({store, dataDir, now});
  const isHeld = async () => (await store.get('cluster', 'adoption')) !== undefined;
  const emptied = async (): Promise<void> => {
    await store.close();
    store = await openSqliteStore({path: ':memory:'});
  };

  it('is decided once, whoever asks first', async () => {
    const dirs = ['a', 'b', 'c'].map((name) => tempDir(name));
    const ids = await Promise.all(dirs.map((dataDir) => identity(dataDir)));
    expect(new Set(ids).size).toBe(1);
    expect(await identity()).toBe(ids[0]);
    expect(JSON.parse(readFileSync(join(dir, 'cluster.json'), 'utf8'))).toMatchObject({id: ids[0]});
    expect(await isHeld()).toBe(false);
    await Promise.all(dirs.map((dataDir) => removeTempDir(dataDir)));
  });

  it('is remembered where the store was emptied, and everything is held then', async () => {
    const id = await identity();
    await emptied();
    expect(await identity()).toBe(id);
    expect(await isHeld()).toBe(true);
  });

  it('is not mixed up: a data dir of another cluster is refused', async () => {
    const first = await identity();
    await emptied();
    const other = tempDir('other');
    const second = await identity(other);
    await expect(identity()).rejects.toMatchObject({code: 'other-cluster', message: expect.stringContaining(first)});
    expect(second).not.toBe(first);
    await removeTempDir(other);
  });

  it('is not guessed where the file is damaged, and told by the store where the file is gone', async () => {
    const id = await identity();
    for (const text of ['', '{"id":', '{"id":"x","createdAt":""}']) {
      writeFileSync(join(dir, 'cluster.json'), text);
      await expect(identity()).rejects.toMatchObject({code: 'data-dir-damaged'});
    }
    rmSync(join(dir, 'cluster.json'));
    expect(await identity()).toBe(id);
  });
});
