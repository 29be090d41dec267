import type {ChangeEvent} from '@hivemind/store';
import {ChangeMap} from './public-change.ts';

const put = (collection: string, key: string, value: unknown = {}, version = 5, created = 5): ChangeEvent => ({type: 'put', record: {collection, key, value: JSON.stringify(value), version, created}});
const gone = (collection: string, key: string): ChangeEvent => ({type: 'delete', collection, key, version: 5});
const container = {id: 'web-1', namespace: 'shop', app: 'web'};

it('tells creation, change and removal of a resource', () => {
  const map = new ChangeMap();
  expect(map.changes([put('apps', 'shop/web')], {})).toEqual([{type: 'created', kind: 'App', namespace: 'shop', name: 'web'}]);
  expect(map.changes([put('apps', 'shop/web', {}, 6)], {})).toEqual([{type: 'updated', kind: 'App', namespace: 'shop', name: 'web'}]);
  expect(map.changes([gone('apps', 'shop/web')], {})).toEqual([{type: 'deleted', kind: 'App', namespace: 'shop', name: 'web'}]);
  expect(map.changes([put('nodes', 'n1')], {})).toEqual([{type: 'created', kind: 'Node', name: 'n1'}]);
});

it('tells of a status as a change of what it is the status of', () => {
  const map = new ChangeMap();
  map.learn('containers', 'web-1', JSON.stringify(container));
  expect(map.changes([put('container-status', 'web-1')], {})).toEqual([
    {type: 'updated', kind: 'Container', namespace: 'shop', name: 'web-1'},
    {type: 'updated', kind: 'App', namespace: 'shop', name: 'web'},
  ]);
  expect(map.changes([gone('node-leases', 'n1')], {})).toEqual([{type: 'updated', kind: 'Node', name: 'n1'}]);
  expect(map.changes([gone('container-status', 'web-1'), put('allocations', 'n1')], {})).toEqual([]);
});

it('knows where a removed container belonged, and forgets it', () => {
  const map = new ChangeMap();
  map.changes([put('containers', 'web-1', container)], {});
  expect(map.changes([gone('containers', 'web-1')], {})).toEqual([
    {type: 'deleted', kind: 'Container', namespace: 'shop', name: 'web-1'},
    {type: 'updated', kind: 'App', namespace: 'shop', name: 'web'},
  ]);
  expect(map.changes([gone('containers', 'web-1')], {})).toEqual([{type: 'deleted', kind: 'Container', name: 'web-1'}]);
});

it('names a deployment by its id', () => {
  const map = new ChangeMap();
  expect(map.changes([put('rollouts', 'shop/web/00000002', {id: 'uid-2', namespace: 'shop', app: 'web'})], {kind: ['Deployment']})).toEqual([{type: 'created', kind: 'Deployment', namespace: 'shop', name: 'uid-2'}]);
});

it('tells one change a resource and batch', () => {
  const map = new ChangeMap();
  const kinds = (events: readonly ChangeEvent[]) => map.changes(events, {}).map(({type, kind}) => `${type} ${kind}`);
  expect(kinds([put('apps', 'a/b'), put('apps', 'a/b', {}, 6)])).toEqual(['created App']);
  expect(kinds([put('apps', 'a/b', {}, 6), gone('apps', 'a/b')])).toEqual(['deleted App']);
  expect(kinds([gone('apps', 'a/b'), put('apps', 'a/b', {}, 7, 7)])).toEqual(['updated App']);
});

it('filters', () => {
  const map = new ChangeMap();
  const events = [put('apps', 'a/x'), put('apps', 'b/x'), put('configs', 'a/x'), put('apps', 'a/y'), put('nodes', 'x')];
  expect(map.changes(events, {kind: ['App'], namespace: 'a', name: 'x'})).toHaveLength(1);
  expect(map.changes(events, {namespace: 'a'}).map(({kind, name}) => `${kind} ${name}`)).toEqual(['App x', 'Config x', 'App y', 'Node x']);
});

it('survives records that it cannot read', () => {
  const map = new ChangeMap();
  const broken: ChangeEvent = {type: 'put', record: {collection: 'containers', key: 'c', value: 'not json', version: 1, created: 1}};
  expect(map.changes([broken], {})).toEqual([{type: 'created', kind: 'Container', name: 'c'}]);
});
