import * as z from 'zod';
import {listQuery, listReply, parseRevision, revisionText} from './index.ts';

const Item = z.object({name: z.string(), namespace: z.string(), labels: z.record(z.string(), z.string()), spec: z.object({node: z.string(), size: z.number()}), status: z.object({phase: z.string()})});
type Item = z.infer<typeof Item>;
const Query = listQuery({item: Item, filters: ['node', 'phase']});
const revision = {epoch: 'a-b', n: 7};

const item = (name: string, namespace = 'default', size = 1, labels: Record<string, string> = {}): Item => ({name, namespace, labels, spec: {node: name < 'm' ? 'n1' : 'n2', size}, status: {phase: size > 1 ? 'running' : 'pending'}});
const names = (items: readonly Item[], query: Record<string, string>) => listReply(items, Query.parse(query), revision).items.map(({namespace, name}) => `${namespace}/${name}`);

it('answers the default namespace, one, or all', () => {
  const items = [item('b'), item('a'), item('c', 'other')];
  expect(names(items, {})).toEqual(['default/a', 'default/b']);
  expect(names(items, {namespace: 'other'})).toEqual(['other/c']);
  expect(names(items, {namespace: '*'})).toEqual(['default/a', 'default/b', 'other/c']);
});

it('filters by fields and labels', () => {
  const items = [item('a', 'default', 2, {tier: 'front'}), item('b', 'default', 1, {tier: 'back'}), item('z', 'default', 2)];
  expect(names(items, {phase: 'running'})).toEqual(['default/a', 'default/z']);
  expect(names(items, {phase: 'running,pending', node: 'n1'})).toEqual(['default/a', 'default/b']);
  expect(names(items, {labelSelector: 'tier in (front,back),tier!=back'})).toEqual(['default/a']);
});

it('sorts numbers as numbers, either way', () => {
  const items = [item('a', 'default', 10), item('b', 'default', 9), item('c', 'default', 100)];
  expect(names(items, {sort: 'size'})).toEqual(['default/b', 'default/a', 'default/c']);
  expect(names(items, {sort: 'spec.size', order: 'desc'})).toEqual(['default/c', 'default/a', 'default/b']);
});

it('answers just the fields that were asked for', () => {
  expect(listReply([item('a')], Query.parse({fields: 'name,size,status.phase'}), revision).items).toEqual([{name: 'a', spec: {size: 1}, status: {phase: 'pending'}}]);
});

it('refuses a cursor that is none, or of another order', () => {
  const items = [item('a'), item('b')];
  const {next} = listReply(items, Query.parse({limit: '1'}), revision);
  expect(() => names(items, {cursor: 'nonsense'})).toThrow(expect.objectContaining({status: 422, errors: [expect.objectContaining({path: 'cursor'})]}));
  expect(() => names(items, {cursor: next ?? '', order: 'desc'})).toThrow(expect.objectContaining({status: 422}));
});

it('reads a revision as it writes it', () => {
  expect(parseRevision(revisionText(revision))).toEqual(revision);
  for (const text of ['', '7', '-7', 'a-', 'a-x', 'a-1.5']) expect(() => parseRevision(text)).toThrow(expect.objectContaining({status: 422}));
});
