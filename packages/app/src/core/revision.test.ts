import {AppSpec} from '@hivemind/contracts';
import {anApp} from '../testing/builders.ts';
import {revisionNumber, revisionOf, revisionsToForget} from './revision.ts';

describe('when a write makes a revision', () => {
  const before = anApp({env: {A: '1', B: '2'}}, {revision: 4});
  const next = (spec: object, restarts = 0) => revisionNumber(before, {spec: AppSpec.parse({image: 'web:1', env: {A: '1', B: '2'}, ...spec}), restarts});

  it('a new app is revision 1', () => expect(revisionNumber(undefined, before)).toBe(1));
  it('not for replicas, dependencies or how it is updated', () => expect(next({replicas: 9, dependsOn: {db: 'started'}, update: {maxSurge: 5}})).toBe(4));
  it('not for the order of what has none', () => expect(next({env: {B: '2', A: '1'}})).toBe(4));
  it('for an image, a port, a constraint', () => {
    expect(next({image: 'web:2'})).toBe(5);
    expect(next({ports: [{container: 80}]})).toBe(5);
    expect(next({placement: {nodes: ['a']}})).toBe(5);
  });
  it('for a restart', () => expect(next({}, 1)).toBe(5));
});

it('a revision carries the whole spec, for its containers and for going back', () => {
  const app = anApp({replicas: 3, env: {A: '1'}});
  expect(revisionOf(app, 'create', 'now')).toMatchObject({number: 1, cause: 'create', spec: {image: 'web:1', env: {A: '1'}, replicas: 3}});
});

it('the last ten are kept, and those in use', () => {
  const numbers = Array.from({length: 13}, (_, index) => index + 1);
  expect(revisionsToForget(numbers, new Set([13, 2]))).toEqual([3, 1]);
});
