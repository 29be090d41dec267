import {X509Certificate} from 'node:crypto';
import {readFile, stat, writeFile} from 'node:fs/promises';
import {join} from 'node:path';
import {openSqliteStore, type Store} from '@hivemind/store';
import {removeTempDir, tempDir} from '@hivemind/testkit';
import {authorityHash, clusterKeyFile, hasTrust, issueCertificate, openClusterAuthority, openClusterKey, openClusterTrust} from './index.ts';

const now = Date.parse('2026-01-01T00:00:00Z');

describe('the authority of a cluster', () => {
  let store: Store;
  let dir: string;
  beforeEach(async () => {
    store = await openSqliteStore({path: ':memory:'});
    dir = tempDir('trust');
  });
  afterEach(async () => {
    await store.close();
    await removeTempDir(dir);
  });

  const open = (clusterKey: Buffer) => openClusterAuthority({store, clusterKey, cluster: 'c1', now});
  const keyIn = (name: string) => openClusterKey(join(dir, name), () => hasTrust(store));

  it('is one, however many services make it at once, and the same ever after', async () => {
    const keys = await Promise.all([keyIn('cluster.key'), keyIn('cluster.key'), keyIn('cluster.key')]);
    expect(new Set(keys.map((key) => key.toString('hex'))).size).toBe(1);
    const authorities = await Promise.all(keys.map(open));
    expect(new Set(authorities.map(({key}) => key)).size).toBe(1);
    expect(await open(await keyIn('cluster.key'))).toEqual(authorities[0]);
  });

  it('is the same again when the store was emptied, and for no other cluster', async () => {
    const clusterKey = await keyIn('cluster.key');
    const before = await openClusterTrust({store, clusterKey, cluster: 'c1', now});
    await using emptied = await openSqliteStore({path: ':memory:'}).then((other) => Object.assign(other, {[Symbol.asyncDispose]: () => other.close()}));
    const after = await openClusterTrust({store: emptied, clusterKey, cluster: 'c1', now: now + 60_000});
    expect(authorityHash(after.authority.certificate)).toBe(authorityHash(before.authority.certificate));
    expect([after.bus.account, after.bus.systemAccount, after.gossipKey]).toEqual([before.bus.account, before.bus.systemAccount, before.gossipKey]);
    // What was issued before is good after.
    const issued = await issueCertificate(before.authority, {name: 'gateway', now});
    expect(new X509Certificate(issued.certificate).checkIssued(new X509Certificate(after.authority.certificate))).toBe(true);
    expect(new X509Certificate(issued.certificate).verify(new X509Certificate(after.authority.certificate).publicKey)).toBe(true);
    await using elsewhere = await openSqliteStore({path: ':memory:'}).then((other) => Object.assign(other, {[Symbol.asyncDispose]: () => other.close()}));
    const others = await openClusterTrust({store: elsewhere, clusterKey, cluster: 'c2', now});
    expect([others.bus.account, others.gossipKey, authorityHash(others.authority.certificate)].filter((value) => [before.bus.account, before.gossipKey, authorityHash(before.authority.certificate)].includes(value))).toEqual([]);
  });

  it('stands in the store without its key in the clear', async () => {
    const {key, certificate} = await open(await keyIn('cluster.key'));
    const record = await store.get('cluster-trust', 'authority');
    expect(record?.value).toContain(JSON.stringify(certificate).slice(1, -1));
    expect(record?.value).not.toContain(key.split('\n')[1]);
  });

  it('is never replaced: another cluster key is refused, and so is a record that was altered', async () => {
    const {certificate} = await open(await keyIn('cluster.key'));
    await writeFile(join(dir, 'other.key'), Buffer.alloc(32, 7).toString('base64'), {mode: 0o600});
    const other = await keyIn('other.key');
    await expect(open(other)).rejects.toMatchObject({code: 'cluster-key-mismatch', message: expect.stringContaining('HIVEMIND_CLUSTER_KEY_FILE')});
    // Sealed for another cluster: the same key does not make it this one's.
    await expect(openClusterAuthority({store, clusterKey: await keyIn('cluster.key'), cluster: 'c2', now})).rejects.toMatchObject({code: 'cluster-key-mismatch'});
    expect((await open(await keyIn('cluster.key'))).certificate).toBe(certificate);
  });

  it('has its key in a file that nobody else reads, which is never made anew for a cluster that has one', async () => {
    const path = clusterKeyFile(dir, {});
    await open(await openClusterKey(path, () => hasTrust(store)));
    expect((await stat(path)).mode & 0o777).toBe(0o600);
    expect(Buffer.from(await readFile(path, 'utf8'), 'base64')).toHaveLength(32);
    await expect(keyIn('lost.key')).rejects.toMatchObject({code: 'cluster-key-missing'});
    await writeFile(join(dir, 'short.key'), 'c2hvcnQ=');
    await expect(keyIn('short.key')).rejects.toMatchObject({code: 'cluster-key-invalid', message: expect.stringContaining('32 bytes')});
    expect(clusterKeyFile(dir, {HIVEMIND_CLUSTER_KEY_FILE: '/run/secrets/cluster.key'})).toBe('/run/secrets/cluster.key');
  });
});
