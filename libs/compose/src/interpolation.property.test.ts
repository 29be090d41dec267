import fc from 'fast-check';
import {interpolate} from './interpolation.ts';

const name = fc.stringMatching(/^[A-Za-z_][A-Za-z0-9_]{0,8}$/);
const plainText = fc.string().map((text) => text.replaceAll(/[${}]/g, ''));
/** Values may hold anything, dollar signs and braces too: they are never read again. */
const environment = fc.dictionary(name, fc.string(), {noNullPrototype: true});

/** An expression beside what a naive reading of the specification makes of it. */
interface Expression {
  readonly text: string;
  readonly value: (env: Readonly<Record<string, string>>) => string;
}
const get = (env: Readonly<Record<string, string>>, variable: string): string | undefined => (Object.hasOwn(env, variable) ? env[variable] : undefined);
const expression: fc.Arbitrary<Expression> = fc.letrec<{whole: Expression; part: Expression}>((tie) => ({
  part: fc.oneof(
    {maxDepth: 4, withCrossShrink: true},
    plainText.map((text): Expression => ({text, value: () => text})),
    fc.constant<Expression>({text: '$$', value: () => '$'}),
    name.map((variable): Expression => ({text: `\${${variable}}`, value: (env) => get(env, variable) ?? ''})),
    fc.tuple(name, fc.constantFrom(':-', '-', ':+', '+'), tie('whole')).map(([variable, operator, word]): Expression => ({
      text: `\${${variable}${operator}${word.text}}`,
      value: (env) => {
        const value = get(env, variable);
        const present = value !== undefined && (!operator.startsWith(':') || value !== '');
        return operator.endsWith('-') ? (present ? (value ?? '') : word.value(env)) : present ? word.value(env) : '';
      },
    })),
  ),
  whole: fc.array(tie('part'), {maxLength: 4}).map((parts): Expression => ({text: parts.map(({text}) => text).join(''), value: (env) => parts.map(({value}) => value(env)).join('')})),
})).whole;

describe('interpolation, for any input', () => {
  it('agrees with a naive reading of the specification, nested to any depth', () => {
    fc.assert(fc.property(expression, environment, ({text, value}, env) => {
      expect(interpolate(text, (variable) => get(env, variable))).toBe(value(env));
    }));
  });

  it('leaves text without a dollar sign alone', () => {
    fc.assert(fc.property(fc.string().filter((text) => !text.includes('$')), (text) => {
      expect(interpolate(text, () => 'never')).toBe(text);
    }));
  });

  it('gives back any text whose dollar signs were doubled', () => {
    fc.assert(fc.property(fc.string(), environment, (text, env) => {
      expect(interpolate(text.replaceAll('$', '$$$$'), (variable) => get(env, variable))).toBe(text);
    }));
  });

  it('either answers or throws an InterpolationError, and never hangs', () => {
    const nasty = fc.array(fc.constantFrom('$', '{', '}', ':', '-', '?', '+', 'A', '$$', '${', '${A:-', ' ')).map((parts) => parts.join(''));
    fc.assert(fc.property(nasty, (text) => {
      try {
        expect(typeof interpolate(text, () => undefined)).toBe('string');
      } catch (error) {
        expect(error).toHaveProperty('name', 'InterpolationError');
      }
    }));
  });
});
