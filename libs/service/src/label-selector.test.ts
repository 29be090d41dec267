import {parseLabelSelector} from './label-selector.ts';

const labels = {app: 'web', tier: 'front', gpu: '', 'hivemind.io/os': 'linux'};

it.each([
  ['', true],
  ['app=web', true],
  ['app==web', true],
  ['app=db', false],
  ['app!=db', true],
  ['app!=web', false],
  ['missing!=web', true],
  ['gpu', true],
  ['gpu=', true],
  ['!gpu', false],
  ['!spot', true],
  ['tier in (front, back)', true],
  ['tier in (back)', false],
  ['missing in (a)', false],
  ['tier notin (back)', true],
  ['tier notin (front)', false],
  ['missing notin (a)', true],
  ['hivemind.io/os=linux', true],
  ['app=web,tier in (front,back),!spot', true],
  ['app=web,tier in (back,side)', false],
  ['toString', false],
  ['constructor=web', false],
])('%j', (selector, matches) => {
  expect(parseLabelSelector(selector)(labels)).toBe(matches);
});

it.each(['a=b=c', 'a in', 'a in b', 'a in (b', '=b', '!', 'a b', '(a)'])('refuses %j by naming the term', (selector) => {
  expect(() => parseLabelSelector(selector)).toThrow(expect.objectContaining({status: 422, errors: [{path: 'labelSelector', message: expect.stringContaining('is not a label term')}]}));
});
