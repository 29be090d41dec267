import {anApp, running} from '../testing/builders.ts';
import {changedFields, planOf} from './plan.ts';

describe('a plan', () => {
  const before = anApp({replicas: 2});

  it('of a new app shows what is set and where it goes', () => {
    const plan = planOf({after: anApp({replicas: 2}), containers: [], placed: {placements: [{id: 'a', node: 'n1', ports: []}], refusals: [{id: 'b', nodes: [{node: 'n1', reason: 'is full', filter: 'memory'}]}]}});
    expect(plan).toMatchObject({action: 'create', strategy: 'none', containers: [{action: 'create', node: 'n1', revision: 1}, {action: 'create'}], refusals: [{node: 'n1', reason: 'is full'}]});
    expect(plan.fields).toContainEqual({path: 'spec.image', before: null, after: 'web:1'});
  });

  it('of another template replaces all, and says how', () => {
    const old = [running(before), running(before)];
    const plan = planOf({before, after: anApp({replicas: 2, image: 'web:2'}, {revision: 2}), containers: old, strategy: {strategy: 'stop-first', because: 'host port 80'}});
    expect(plan).toMatchObject({action: 'update', strategy: 'stop-first', because: 'host port 80', fields: [{path: 'spec.image', before: 'web:1', after: 'web:2'}]});
    expect(plan.containers.map(({action, revision}) => `${action} ${revision}`)).toEqual(['stop 1', 'stop 1', 'create 2', 'create 2']);
  });

  it('of another number of replicas keeps the rest', () => {
    const old = [running(before), running(before)];
    const scaled = planOf({before, after: anApp({replicas: 1}), containers: old, strategy: {strategy: 'rolling'}});
    expect(scaled).toMatchObject({action: 'scale', strategy: 'none'});
    expect(scaled.containers.map(({action}) => action).toSorted()).toEqual(['keep', 'stop']);
  });

  it('of the same says so', () => {
    expect(planOf({before, after: before, containers: [running(before), running(before)]})).toMatchObject({action: 'none', fields: []});
  });

  it('of a deletion stops all', () => {
    expect(planOf({before, containers: [running(before)]})).toMatchObject({action: 'delete', containers: [{action: 'stop'}]});
  });
});

it('fields are compared as deep as both are objects, lists as wholes', () => {
  expect(changedFields({a: {b: 1, c: [1]}, d: 1}, {a: {b: 2, c: [1, 2]}, d: 1, e: 0})).toEqual([
    {path: 'a.b', before: 1, after: 2},
    {path: 'a.c', before: [1], after: [1, 2]},
    {path: 'e', before: null, after: 0},
  ]);
});
