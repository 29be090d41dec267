import {checkMatch, ifMatch} from './conditional.ts';
import {namespaceOf, sameName} from './query.ts';

const match = (value: string | undefined) => ifMatch({headers: value === undefined ? {} : {'if-match': value}});

it.each([['"7"', 7], ['W/"7"', 7], ['7', 7], ['*', undefined], [undefined, undefined]])('reads If-Match %s', (header, version) => {
  expect(match(header)).toBe(version);
});

it.each(['seven', '"7", "8"', '""', '-1'])('refuses If-Match %s', (header) => {
  expect(() => match(header)).toThrow(expect.objectContaining({status: 400}));
});

it('refuses a write that lost the race', () => {
  expect(() => checkMatch(6, 7, 'App web')).toThrow(expect.objectContaining({status: 412, message: expect.stringContaining('at version 7, not 6')}));
  expect(() => checkMatch(7, 7, 'App web')).not.toThrow();
  expect(() => checkMatch(undefined, 7, 'App web')).not.toThrow();
});

it('takes the namespace from query or body, and refuses two', () => {
  expect([namespaceOf({}), namespaceOf({namespace: 'a'}), namespaceOf({}, {namespace: 'b'}), namespaceOf({namespace: 'a'}, {namespace: 'a'})]).toEqual(['default', 'a', 'b', 'a']);
  expect(() => namespaceOf({namespace: 'a'}, {namespace: 'b'})).toThrow(expect.objectContaining({status: 422}));
  expect(() => sameName('web', {name: 'other'})).toThrow(expect.objectContaining({status: 422}));
});
