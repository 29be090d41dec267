import {openSqliteStore, type Store} from '../../src/index.ts';
import {ManualClock, put, Watching, write} from '../../src/testing/index.ts';
import {removeTempDir, tempDir, waitFor} from '@hivemind/testkit';
import {execFileSync, spawn, type ChildProcess} from 'node:child_process';
import {once} from 'node:events';
import {closeSync, openSync, rmSync, statSync, writeSync} from 'node:fs';
import {join} from 'node:path';
import {createInterface} from 'node:readline';
import {DatabaseSync} from 'node:sqlite';
import {fileURLToPath} from 'node:url';

let folder: string;
let path: string;
beforeEach(() => {
  folder = tempDir('store');
  path = join(folder, 'data', 'store.db');
});
afterEach(() => removeTempDir(folder));

/** A process that writes; `acknowledged` is what it was told is on disk. */
function startWriter(): {child: ChildProcess; acknowledged: Map<string, number>; opened: Promise<void>} {
  const acknowledged = new Map<string, number>();
  const child = spawn(process.execPath, [fileURLToPath(new URL('./writer-process.ts', import.meta.url)), path], {stdio: ['ignore', 'pipe', 'inherit']});
  const lines = createInterface({input: child.stdout});
  const opened = new Promise<void>((resolve) => {
    lines.on('line', (line) => {
      const [key, number] = line.split(' ');
      if (line === 'open') resolve();
      // The last line may be cut off by the kill.
      else if (key && number && number.length > 0) acknowledged.set(key, Math.max(acknowledged.get(key) ?? 0, Number(number)));
    });
  });
  return {child, acknowledged, opened};
}

async function killed(child: ChildProcess): Promise<void> {
  const exit = once(child, 'close');
  child.kill('SIGKILL');
  await exit;
}

describe('one process', () => {
  it('has the store; the next is told which, and gets it when that one is killed', async () => {
    const {child, opened} = startWriter();
    await opened;
    await expect(openSqliteStore({path})).rejects.toMatchObject({code: 'store-locked', message: expect.stringContaining(`process ${child.pid}`)});
    await killed(child);
    const store = await openSqliteStore({path});
    await expect(openSqliteStore({path})).rejects.toMatchObject({code: 'store-locked', message: expect.stringContaining(`process ${process.pid}`)});
    await store.close();
    await (await openSqliteStore({path})).close();
  });

  it('keeps what it stores from other users', async () => {
    const store = await openSqliteStore({path});
    await write(store, put('a', 'x', '1'));
    for (const file of [path, `${path}-wal`, `${path}-shm`]) expect(statSync(file).mode & 0o077).toBe(0);
    expect(statSync(join(folder, 'data')).mode & 0o077).toBe(0);
    await store.close();
  });
});

describe('killed at any moment', () => {
  it('loses no acknowledged write and leaves no half transaction, again and again', async () => {
    const promised = new Map<string, number>();
    for (let round = 0; round < 5; round += 1) {
      const {child, acknowledged, opened} = startWriter();
      await opened;
      const enough = 50 + round * 331;
      await waitFor(() => [...acknowledged.values()].reduce((sum, number) => sum + number, 0) > enough + [...promised.values()].reduce((sum, number) => sum + number, 0), {what: 'acknowledged writes', intervalMs: 1});
      await killed(child);
      for (const [key, number] of acknowledged) promised.set(key, number);
      const store = await openSqliteStore({path});
      for (const [key, number] of promised) {
        const [record, twin] = await store.getMany([{collection: 'numbers', key}, {collection: 'twins', key}]);
        expect(Number(record?.value)).toBeGreaterThanOrEqual(number);
        expect(twin).toMatchObject({value: record?.value, version: record?.version});
      }
      await store.close();
    }
  });
});

describe('opened again', () => {
  it('has the records, goes on counting in the same epoch, and replays the log', async () => {
    const first = await openSqliteStore({path});
    const from = await first.revision();
    await write(first, put('a', 'x', '1'));
    const n = await write(first, put('a', 'y', '2'));
    await first.close();
    const second = await openSqliteStore({path});
    expect(await second.revision()).toEqual({epoch: from.epoch, n});
    const next = await write(second, put('a', 'z', '3'));
    expect(next).toBe(n + 1);
    const watching = new Watching(second.watch({from, signal: new AbortController().signal}));
    expect(await watching.until(next)).toHaveLength(3);
    await second.close();
  });

  it('restarts every lease full, then ends those that nobody keeps alive', async () => {
    const clock = new ManualClock();
    const first = await openSqliteStore({path, clock});
    const lease = await first.grantLease(10_000);
    await write(first, put('a', 'x', '1', lease.id));
    clock.advance(9_000);
    await first.close();
    clock.advance(60_000);
    const second = await openSqliteStore({path, clock});
    clock.advance(9_000);
    await second.keepAlive(lease.id);
    clock.advance(9_000);
    expect(await second.get('a', 'x')).toBeDefined();
    const watching = new Watching(second.watch({from: await second.revision(), signal: new AbortController().signal}));
    clock.advance(2_000);
    await watching.until((await second.revision()).n + 1);
    expect(await second.get('a', 'x')).toBeUndefined();
    await second.close();
  });

  it('keeps no more of the log than asked', async () => {
    const store = await openSqliteStore({path, retainLog: 100});
    const from = await store.revision();
    for (let i = 0; i < 10; i += 1) await Promise.all(Array.from({length: 50}, () => write(store, put('a', 'x', '1'))));
    const {revision, compactedTo} = await store.status();
    expect(revision.n - compactedTo).toBeLessThanOrEqual(110);
    expect(revision.n - compactedTo).toBeGreaterThanOrEqual(100);
    await expect(new Watching(store.watch({from, signal: new AbortController().signal})).until(1)).rejects.toMatchObject({code: 'compacted'});
    await store.close();
  });
});

it('does not end leases when the process was stalled: nobody could have kept them alive', async () => {
  const clock = new ManualClock();
  const store = await openSqliteStore({path: ':memory:', clock});
  const lease = await store.grantLease(1_000);
  clock.stall(30_000);
  await store.keepAlive(lease.id);
  clock.advance(900);
  await store.keepAlive(lease.id);
  clock.advance(1_100);
  await expect(store.keepAlive(lease.id)).rejects.toMatchObject({code: 'lease-expired'});
  await store.close();
});

describe('disk full', () => {
  let store: Store | undefined;
  beforeEach(() => {
    const data = join(folder, 'data');
    execFileSync('mkdir', ['-p', data]);
    execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=8m,mode=0700', 'hivemind-test', data]);
  });
  afterEach(async () => {
    await store?.close();
    execFileSync('umount', [join(folder, 'data')]);
  });

  it('refuses writes with 503 while reads and watches go on, corrupts nothing, and recovers by itself', async () => {
    store = await openSqliteStore({path});
    const from = await store.revision();
    await write(store, put('a', 'x', '1'));
    fill(join(folder, 'data', 'filler'));
    const opened = store;
    const kept = await untilRefused(async (i) => write(opened, put('a', `k${i}`, JSON.stringify('x'.repeat(10_000)))));
    await expect(write(store, put('a', 'x', JSON.stringify('y'.repeat(100_000))))).rejects.toMatchObject({code: 'unavailable', status: 503});
    expect((await store.get('a', 'x'))?.value).toBe('1');
    expect((await store.list('a')).records).toHaveLength(kept + 1);
    const watching = new Watching(store.watch({from, signal: new AbortController().signal}));
    expect(await watching.until(from.n + kept + 1)).toHaveLength(kept + 1);

    rmSync(join(folder, 'data', 'filler'));
    const n = await write(store, put('a', 'x', '2'));
    expect(n).toBe(from.n + kept + 2);
    expect(await watching.until(n)).toHaveLength(kept + 2);
    await store.close();
    store = undefined;
    const db = new DatabaseSync(path);
    expect(db.prepare('PRAGMA integrity_check').get()).toEqual({integrity_check: 'ok'});
    db.close();
  });
});

function fill(file: string): void {
  const descriptor = openSync(file, 'w');
  const block = Buffer.alloc(4096);
  try {
    for (;;) writeSync(descriptor, block);
  } catch (error) {
    expect(error).toMatchObject({code: 'ENOSPC'});
  } finally {
    closeSync(descriptor);
  }
}

/** Runs `attempt` until it is refused; answers how often it was not. */
async function untilRefused(attempt: (i: number) => Promise<unknown>): Promise<number> {
  for (let i = 0; i < 10_000; i += 1) {
    try {
      await attempt(i);
    } catch (error) {
      expect(error).toMatchObject({code: 'unavailable'});
      return i;
    }
  }
  throw new Error('The disk never filled.');
}
