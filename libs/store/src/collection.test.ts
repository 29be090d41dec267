import * as z from 'zod';
import {collection, commit} from './collection.ts';
import {openSqliteStore} from './sqlite.ts';
import type {Store} from './store.ts';
import {put, write} from './testing/watching.ts';

const Port = z.strictObject({name: z.string(), port: z.number()});
const App = z.object({image: z.string(), replicas: z.number().default(1), ports: z.array(Port).optional(), labels: z.record(z.string(), z.string()).optional()});
const apps = collection({name: 'apps', schema: App, version: 1});

let store: Store;
beforeEach(async () => {
  store = await openSqliteStore({path: ':memory:'});
});
afterEach(() => store.close());

const stored = async (key: string): Promise<unknown> => JSON.parse((await store.get('apps', key))?.value ?? 'null');

describe('records', () => {
  it('are stored with their schema version and read back typed', async () => {
    const written = await apps.in(store).put('web', {image: 'nginx', replicas: 2});
    expect(await stored('web')).toEqual({v: 1, image: 'nginx', replicas: 2});
    expect(await apps.in(store).get('web')).toEqual(written);
    expect(written).toMatchObject({key: 'web', value: {image: 'nginx', replicas: 2}, version: 1, created: 1});
  });

  it('are refused when they are not valid, naming the field', async () => {
    const invalid: z.infer<typeof App> = JSON.parse('{"image":"nginx","replicas":"many"}');
    await expect(apps.in(store).put('web', invalid)).rejects.toMatchObject({code: 'invalid-input', errors: [{path: 'replicas'}]});
    expect(await store.get('apps', 'web')).toBeUndefined();
  });

  it('that cannot be read are named, and do not hide the others', async () => {
    await write(store, put('apps', 'a', '{"v":1,"image":"x"}'), put('apps', 'bad', '{"v":1}'), put('apps', 'worse', 'not json'), put('apps', 'z', '{"v":1,"image":"y"}'));
    const {items, unreadable} = await apps.in(store).list();
    expect(items.map(({key}) => key)).toEqual(['a', 'z']);
    expect(unreadable.map(({key}) => key)).toEqual(['bad', 'worse']);
    expect(unreadable[0]?.error.message).toMatch(/apps "bad".*image/s);
    await expect(apps.in(store).get('worse')).rejects.toMatchObject({code: 'unreadable-record', message: expect.stringContaining('apps "worse"')});
  });

  it('are listed over all pages', async () => {
    for (let page = 0; page < 3; page += 1) await write(store, ...Array.from({length: 800}, (_, i) => put('apps', `${page}-${i}`, '{"v":1,"image":"x"}')));
    expect((await apps.in(store).list()).items).toHaveLength(2400);
    expect((await apps.in(store).list({prefix: '1-'})).items).toHaveLength(800);
  });
});

describe('expectations', () => {
  it('of absence: the second writer hears that it exists', async () => {
    const bound = apps.in(store);
    await bound.put('web', {image: 'a', replicas: 1}, {expect: 0});
    await expect(bound.put('web', {image: 'b', replicas: 1}, {expect: 0})).rejects.toMatchObject({code: 'already-exists', status: 409});
  });

  it('of a version or of what was read: the loser is told and changes nothing', async () => {
    const bound = apps.in(store);
    const first = await bound.put('web', {image: 'a', replicas: 1});
    const second = await bound.put('web', {image: 'b', replicas: 1}, {expect: first});
    await expect(bound.put('web', {image: 'c', replicas: 1}, {expect: first})).rejects.toMatchObject({code: 'version-mismatch', status: 412});
    await expect(bound.put('web', {image: 'c', replicas: 1}, {expect: first.version})).rejects.toMatchObject({code: 'version-mismatch'});
    await expect(bound.delete('web', {expect: first.version})).rejects.toMatchObject({code: 'version-mismatch'});
    expect((await bound.get('web'))?.value.image).toBe('b');
    expect(await bound.delete('web', {expect: second.version})).toBe(true);
    expect(await bound.delete('web')).toBe(false);
  });

  it('absent: updates from many at once all count', async () => {
    const bound = apps.in(store);
    await bound.put('web', {image: 'a', replicas: 0});
    await Promise.all(Array.from({length: 8}, () => bound.update('web', (value) => value && {...value, replicas: value.replicas + 1})));
    expect((await bound.get('web'))?.value.replicas).toBe(8);
  });

  it('update writes nothing when nothing is to change, and keeps the lease', async () => {
    const bound = apps.in(store);
    const lease = await store.grantLease(60_000);
    await bound.put('web', {image: 'a', replicas: 0}, {lease: lease.id});
    const {n} = await store.revision();
    await bound.update('web', (value) => value);
    expect(await bound.update('none', () => undefined)).toBeUndefined();
    expect((await store.revision()).n).toBe(n);
    expect((await bound.update('web', (value) => value && {...value, replicas: 5}))?.lease).toBe(lease.id);
  });

  it('of several collections in one transaction', async () => {
    const notes = collection({name: 'notes', schema: z.object({text: z.string()}), version: 1});
    const web = await apps.in(store).put('web', {image: 'a', replicas: 1});
    const transaction = {
      compare: [apps.unchanged(web), notes.absent('web')],
      writes: [apps.putting('web', {...web.value, replicas: 2}, {previous: web}), notes.putting('web', {text: 'scaled'})],
    };
    const {n} = await commit(store, transaction);
    expect((await notes.in(store).get('web'))?.version).toBe(n);
    await expect(commit(store, transaction)).rejects.toMatchObject({code: 'already-exists', message: expect.stringContaining('apps "web"')});
    await expect(commit(store, {compare: [apps.unchanged(web)], writes: []})).rejects.toMatchObject({code: 'version-mismatch'});
    await expect(commit(store, {writes: [], fence: {election: 'none', revision: 1}})).rejects.toMatchObject({code: 'fenced'});
  });
});

describe('releases', () => {
  const newer = {
    v: 2, image: 'nginx', replicas: 1, colour: 'red', labels: {a: 'b'},
    ports: [{name: 'http', port: 80, tls: true}, {name: 'admin', port: 81, deep: {x: 1}}],
  };

  it('keep the fields of a newer one through read-modify-write, wherever they are', async () => {
    await write(store, put('apps', 'web', JSON.stringify(newer)));
    await apps.in(store).update('web', (value) => value && {...value, replicas: 3, labels: {c: 'd'}, ports: [...(value.ports ?? [])].reverse()});
    expect(await stored('web')).toEqual({
      ...newer, replicas: 3, labels: {c: 'd'},
      ports: [{name: 'admin', port: 81, deep: {x: 1}}, {name: 'http', port: 80, tls: true}],
    });
  });

  it('keep them also when only a version is expected, and through transactions', async () => {
    await write(store, put('apps', 'web', JSON.stringify(newer)));
    const read = await apps.in(store).get('web');
    await apps.in(store).put('web', {image: 'caddy', replicas: 1}, {expect: read?.version ?? 0});
    expect(await stored('web')).toEqual({v: 2, image: 'caddy', replicas: 1, colour: 'red'});
  });

  it('do not bring back what was removed on purpose', async () => {
    await apps.in(store).put('web', {image: 'a', replicas: 1, labels: {a: 'b'}, ports: [{name: 'http', port: 80}]});
    await apps.in(store).put('web', {image: 'a', replicas: 1});
    expect(await stored('web')).toEqual({v: 1, image: 'a', replicas: 1});
  });

  it('ignore unknown fields inside a strict union', () => {
    const strict = collection({name: 'apps', version: 1, schema: z.strictObject({env: z.record(z.string(), z.union([z.string(), z.strictObject({secret: z.string()})]))})});
    const record = {collection: 'apps', key: 'web', created: 1, version: 1, value: JSON.stringify({v: 1, env: {A: 'x', B: {secret: 's', optional: true}}, more: 1})};
    const read = strict.decode(record);
    expect(read.value).toEqual({env: {A: 'x', B: {secret: 's'}}});
    expect(JSON.parse(strict.encode({env: {...read.value.env, C: 'y'}}, read))).toEqual({v: 1, env: {A: 'x', B: {secret: 's', optional: true}, C: 'y'}, more: 1});
    expect(() => strict.decode({...record, value: '{"v":1,"env":{"B":{"secret":1}},"more":1}'})).toThrow(/cannot be read/);
  });

  it('migrate older records when reading, and write the new form', async () => {
    const renamed = collection({
      name: 'apps', version: 2, schema: z.object({image: z.string(), count: z.number()}),
      migrate: ({replicas, ...rest}, from) => (expect(from).toBe(1), {...rest, count: replicas}),
    });
    await apps.in(store).put('web', {image: 'a', replicas: 4});
    expect((await renamed.in(store).get('web'))?.value).toEqual({image: 'a', count: 4});
    await renamed.in(store).update('web', (value) => value && {...value, count: 5});
    expect(await stored('web')).toEqual({v: 2, image: 'a', count: 5});
  });
});
