import {openSqliteStore} from './sqlite.ts';
import type {Store} from './store.ts';
import {put, write} from './testing/watching.ts';
import {exportStore, importStore} from './transfer.ts';

let source: Store;
let target: Store;
beforeEach(async () => {
  source = await openSqliteStore({path: ':memory:'});
  target = await openSqliteStore({path: ':memory:'});
});
afterEach(async () => {
  await source.close();
  await target.close();
});

async function collect(lines: AsyncIterable<string>): Promise<string> {
  let text = '';
  for await (const line of lines) text += line;
  return text;
}

async function* chunks(text: string, size: number): AsyncGenerator<Uint8Array> {
  const bytes = Buffer.from(text);
  for (let at = 0; at < bytes.length; at += size) yield bytes.subarray(at, at + size);
}

async function contents(store: Store): Promise<Record<string, string>> {
  const found: Record<string, string> = {};
  for (const collection of await store.collections()) {
    for (let after: string | undefined = ''; after !== undefined; ) {
      const page = await store.list(collection, {after});
      for (const {key, value} of page.records) found[`${collection} ${key}`] = value;
      after = page.next;
    }
  }
  return found;
}

it('moves every record, whatever the chunks, and begins a new epoch', async () => {
  await write(source, ...Array.from({length: 1500}, (_, i) => put('apps', `ns/ü${i}`, JSON.stringify({i, text: '😀\n'}))));
  await write(source, put('volumes', 'v', '{"v":1}'));
  const before = await target.revision();
  const after = await importStore(target, chunks(await collect(exportStore(source)), 777));
  expect(after.epoch).not.toBe(before.epoch);
  expect(await target.revision()).toEqual(after);
  expect(await contents(target)).toEqual(await contents(source));
});

it('is the store of one moment, though many write meanwhile', async () => {
  await write(source, ...Array.from({length: 3000}, (_, i) => put('a', `k${i}`, '0')));
  let text = '';
  let lines = 0;
  for await (const line of exportStore(source)) {
    text += line;
    lines += 1;
    // Both in every transaction: a torn export would show them apart.
    if (lines % 100 === 0 && lines < 3000) await write(source, put('a', 'k0', `${lines}`), put('a', 'k2999', `${lines}`), {op: 'delete', collection: 'a', key: `k${3000 - lines}`});
  }
  await importStore(target, chunks(text, 1 << 16));
  expect(await contents(target)).toEqual(await contents(source));
});

it('leaves out what lives with a lease', async () => {
  const lease = await source.grantLease(60_000);
  await write(source, put('a', 'kept', '1'), put('a', 'leased', '1', lease.id));
  await source.campaign('scheduler', 'me', lease.id);
  await importStore(target, exportStore(source));
  expect(await contents(target)).toEqual({'a kept': '1'});
});

it('refuses a store that is not empty, unless told to replace what is there', async () => {
  await write(source, put('a', 'new', '1'));
  await write(target, put('a', 'old', '1'), put('b', 'old', '1'));
  const text = await collect(exportStore(source));
  await expect(importStore(target, chunks(text, 100))).rejects.toMatchObject({code: 'store-not-empty'});
  expect(Object.keys(await contents(target))).toEqual(['a old', 'b old']);
  await importStore(target, chunks(text, 100), {replace: true});
  expect(await contents(target)).toEqual({'a new': '1'});
});

it.each([
  ['cut off', (text: string) => text.split('\n').slice(0, -2).join('\n')],
  ['with a line missing', (text: string) => text.split('\n').filter((_, i) => i !== 2).join('\n')],
  ['with a damaged line', (text: string) => text.replace('"k1"', 'k1')],
  ['of another kind', () => '{"format":"something"}\n'],
  ['that is empty', () => ''],
])('refuses an export %s', async (_, damage) => {
  await write(source, put('a', 'k0', '1'), put('a', 'k1', '1'), put('a', 'k2', '1'));
  const text = damage(await collect(exportStore(source)));
  const before = await target.revision();
  await expect(importStore(target, chunks(text, 50))).rejects.toMatchObject({code: 'invalid-export'});
  expect((await target.revision()).epoch).toBe(before.epoch);
});
