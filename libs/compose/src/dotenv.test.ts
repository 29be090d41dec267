import {DotenvError, parseDotenv, parseRawDotenv} from './dotenv.ts';

const read = (text: string, outside: Readonly<Record<string, string>> = {}): Readonly<Record<string, string>> => Object.fromEntries(parseDotenv(text, (name) => outside[name]));

describe('a file of variables', () => {
  it.each([
    ['plain', 'A=1', {A: '1'}],
    ['empty value', 'A=', {A: ''}],
    ['spaces around', '  A = 1  ', {A: '1'}],
    ['comments and blank lines', '# one\n\nA=1\n  # two\nB=2', {A: '1', B: '2'}],
    ['inline comment', 'A=1 # one', {A: '1'}],
    ['a hash within a word', 'A=a#b', {A: 'a#b'}],
    ['a value that is a comment', 'A= # nothing', {A: ''}],
    ['export', 'export A=1\nexport  B=2', {A: '1', B: '2'}],
    ['YAML style', 'A: 1', {A: '1'}],
    ['equals in the value', 'URL=postgres://u:p@h/db?x=y', {URL: 'postgres://u:p@h/db?x=y'}],
    ['single quotes are literal', "A='$B ${C} \\n # x'", {A: '$B ${C} \\n # x'}],
    ['double quotes: escapes', 'A="a\\nb\\t\\"c\\" \\\\ \\$D"', {A: 'a\nb\t"c" \\ $D'}],
    ['quotes keep spaces', 'A="  x  "', {A: '  x  '}],
    ['comment after quotes', 'A="x" # y', {A: 'x'}],
    ['several lines in quotes', 'A="one\ntwo"\nB=3', {A: 'one\ntwo', B: '3'}],
    ['CRLF', 'A=1\r\nB="2"\r\n', {A: '1', B: '2'}],
    ['byte order mark', '\uFEFFA=1', {A: '1'}],
    ['variables of the file', 'A=1\nB=${A}2\nC="$B-3"', {A: '1', B: '12', C: '12-3'}],
    ['defaults', 'A=${X:-x}', {A: 'x'}],
    ['the last one counts', 'A=1\nA=2', {A: '2'}],
    ['dots in names', 'spring.profile=x', {'spring.profile': 'x'}],
  ])('%s', (_what, text, expected) => {
    expect(read(text)).toEqual(expected);
  });

  it('takes variables from outside before its own, and bare names from outside alone', () => {
    expect(read('A=file\nB=$A\nTOKEN\nGONE', {A: 'outside', TOKEN: 't'})).toEqual({A: 'file', B: 'outside', TOKEN: 't'});
  });

  it.each([
    ['A=1\nB="2', 2],
    ['A=1\n\n=3', 3],
    ['A="x" y', 1],
    ['A=1\nB=${C', 2],
    ['not a variable', 1],
  ])('%j fails on line %i', (text, line) => {
    expect(() => read(text)).toThrow(DotenvError);
    expect(() => read(text)).toThrow(expect.objectContaining({line}));
  });

  it('raw: nothing is read into values', () => {
    expect(Object.fromEntries(parseRawDotenv('A="$B" # c\n# d\n\nE= f '))).toEqual({A: '"$B" # c', E: ' f '});
  });
});
