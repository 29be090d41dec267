import {readFileSync, writeFileSync} from 'node:fs';
import {join} from 'node:path';
import {removeTempDir, tempDir} from '@hivemind/testkit';
import {Addresses} from './addresses.ts';

const subnet = '10.244.3.0/24';

describe('addresses on disk', () => {
  let dir: string;
  let path: string;
  let seen: {id: string; address: string}[];
  const open = () => new Addresses(path, async () => seen);

  beforeEach(() => {
    dir = tempDir('addresses');
    path = join(dir, 'agent', 'addresses.json');
    seen = [];
  });
  afterEach(() => removeTempDir(dir));

  it('are the same after a restart, however many are taken at once, and are free only when their container is gone', async () => {
    const ids = Array.from({length: 50}, (_, index) => `c${index}`);
    const first = open();
    const taken = await Promise.all(ids.map((id) => first.take(id, subnet)));
    expect(new Set(taken).size).toBe(50);
    const second = open();
    expect(await Promise.all(ids.map((id) => second.take(id, subnet)))).toEqual(taken);
    await second.free('c7');
    const third = open();
    expect(await third.take('new', subnet)).toBe('10.244.3.52');
    expect(third.all.has('c7')).toBe(false);
  });

  it('are on disk before they are given', async () => {
    const address = await open().take('one', subnet);
    expect(readFileSync(path, 'utf8')).toContain(address);
  });

  it('are learned from the engine where the file is lost or damaged', async () => {
    seen = [{id: 'runs', address: '10.244.3.2'}];
    const lost = open();
    expect(await lost.take('new', subnet)).toBe('10.244.3.3');
    writeFileSync(path, '{"version":1,"addr');
    const damaged = open();
    expect([await damaged.take('runs', subnet), await damaged.take('other', subnet)]).toEqual(['10.244.3.2', '10.244.3.3']);
  });

  it('are freed when their containers went unseen, but not while one is being made again', async () => {
    const first = open();
    for (const id of ['kept', 'gone', 'again']) await first.take(id, subnet);
    const second = open();
    const again = await second.take('again', subnet);
    await second.retain(new Set(['kept']));
    expect([...second.all]).toEqual([['kept', '10.244.3.2'], ['again', again]]);
  });

  it('run out with a word that says so', async () => {
    const small = open();
    for (let index = 0; index < 10; index++) await small.take(`c${index}`, '10.244.3.16/28');
    await expect(small.take('more', '10.244.3.16/28')).rejects.toMatchObject({code: 'addresses-exhausted', status: 422});
  });
});
