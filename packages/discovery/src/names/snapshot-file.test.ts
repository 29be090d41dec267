import {writeFileSync} from 'node:fs';
import {join} from 'node:path';
import {NameItem as Schema} from '@hivemind/contracts';
import {removeTempDir, tempDir} from '@hivemind/testkit';
import fc from 'fast-check';
import type {NameItem} from '../model.ts';
import {keptListen, readItem, readItems, readSnapshot, writeSnapshot} from './snapshot-file.ts';

const text = fc.string({maxLength: 12});
const ports = fc.array(fc.record({name: text, port: fc.nat(65_535), protocol: fc.constantFrom('tcp' as const, 'udp' as const)}, {requiredKeys: ['port', 'protocol']}), {maxLength: 3});
const service = fc.record({headless: fc.boolean(), domain: text, aliases: fc.array(fc.constantFrom('a', 'b_c', 'd.e')), ports, virtualIp: text, balancing: fc.record({strategy: fc.constantFrom('random' as const, 'ip-hash' as const), affinity: fc.constant('client' as const)}, {requiredKeys: []}), traffic: fc.array(fc.record({revision: fc.nat(), weight: fc.nat(100)}), {maxLength: 2})}, {requiredKeys: ['headless', 'aliases', 'ports', 'traffic']});
const endpoint = fc.record({namespace: text, service: text, node: text, address: text, ports, revision: fc.nat(), ready: fc.boolean()});
const item: fc.Arbitrary<NameItem> = fc.oneof(
  fc.record({kind: fc.constant('service' as const), key: text, value: service}, {requiredKeys: ['kind', 'key']}),
  fc.record({kind: fc.constant('endpoint' as const), key: text, value: endpoint}, {requiredKeys: ['kind', 'key']}),
  fc.record({kind: fc.constant('node' as const), key: text, value: fc.record({address: text})}, {requiredKeys: ['kind', 'key']}),
);

describe('names on disk', () => {
  let dir: string;
  let path: string;
  beforeEach(() => {
    dir = tempDir('names');
    path = join(dir, 'names.ndjson');
  });
  afterEach(() => removeTempDir(dir));

  it('are read as the contracts have them', () => {
    fc.assert(fc.property(item, (one) => {
      const wire: unknown = JSON.parse(JSON.stringify(one));
      expect(readItem(wire)).toEqual(Schema.parse(wire));
    }));
  });

  it('where something is missing or of another kind, are refused by both', () => {
    fc.assert(fc.property(item.filter(({value}) => value !== undefined), fc.nat(20), fc.constantFrom<unknown>(undefined, null, 7, 'x', [7], {}), (one, which, other) => {
      const broken = JSON.parse(JSON.stringify(one)) as {value: Record<string, unknown>};
      const fields = Object.keys(broken.value);
      broken.value[fields[which % fields.length] ?? ''] = other;
      const wire: unknown = JSON.parse(JSON.stringify(broken));
      const schema = Schema.safeParse(wire);
      // The schema looks closer at names; what it takes is taken alike.
      if (schema.success) expect(readItem(wire)).toEqual(schema.data);
      else if (!schema.error.issues.some(({code}) => code === 'invalid_format')) expect(readItem(wire)).toBeUndefined();
    }));
  });

  it('leave out a way of balancing that is of a later release', () => {
    const wire = {kind: 'service', key: 'shop/web', value: {headless: false, aliases: [], ports: [], balancing: {strategy: 'fastest', affinity: 'client'}, traffic: []}};
    expect(readItem(wire)).toEqual(Schema.parse(wire));
    expect(readItem(wire)).toMatchObject({value: {balancing: {affinity: 'client'}}});
  });

  it('come back as they were written, also when they are many', async () => {
    const items = fc.sample(item, 3_000);
    const settings = {node: 'n1', listen: ['127.0.0.1:53'], virtualIps: true, at: {epoch: 'e', n: 7}, lacks: false};
    await writeSnapshot(path, settings, items);
    expect(await readSnapshot(path)).toEqual({...settings, items});
    await writeSnapshot(path, {...settings, lacks: true}, []);
    expect(await readSnapshot(path)).toEqual({...settings, lacks: true, items: []});
    expect(await keptListen(path)).toEqual(['127.0.0.1:53']);
  });

  it('are none where the file is not there, is cut off, or is of another time', async () => {
    expect([await readSnapshot(path), await keptListen(path)]).toEqual([undefined, []]);
    for (const content of ['', '{', '[]', '{"format":2,"node":"n","listen":["1.1.1.1:53"],"virtualIps":true}\n', '{"format":1,"node":"n","listen":[],"virtualIps":true}\n{"kind":']) {
      writeFileSync(path, content);
      expect([await readSnapshot(path), await keptListen(path)]).toEqual([undefined, []]);
    }
    expect(() => readItems('{}')).toThrow(TypeError);
    expect(readItems('[{"kind":"later","key":"x"},{"kind":"node","key":"n1"}]')).toEqual([{kind: 'node', key: 'n1'}]);
  });
});
