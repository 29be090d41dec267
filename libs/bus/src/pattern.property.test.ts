import fc from 'fast-check';
import {matches} from './pattern.ts';
import {escapeToken, unescapeToken} from './subject.ts';

const tokens = fc.array(fc.constantFrom('a', 'b', 'ab'), {minLength: 1, maxLength: 5});
const patterns = fc
  .tuple(fc.array(fc.constantFrom('a', 'b', '*'), {maxLength: 4}), fc.constantFrom('a', '*', '>'))
  .map(([head, last]) => [...head, last].join('.'));

describe('patterns and tokens, any of them', () => {
  it('match as the regular expression they stand for', () => {
    fc.assert(
      fc.property(patterns, tokens, (pattern, parts) => {
        const naive = new RegExp(`^${pattern.replaceAll('.', '\\.').replaceAll('*', '[^.]+').replaceAll('>', '.+')}$`);
        expect(matches(pattern, parts.join('.'))).toBe(naive.test(parts.join('.')));
      }),
      {numRuns: 2000},
    );
  });

  it('of any text become one token, and come back', () => {
    fc.assert(
      fc.property(fc.string({unit: 'grapheme', minLength: 1}), (text) => {
        const token = escapeToken(text);
        expect(token).toMatch(/^[A-Za-z0-9_=-]+$/);
        expect(unescapeToken(token)).toBe(text);
      }),
    );
  });
});
