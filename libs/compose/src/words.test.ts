import {splitWords} from './words.ts';

describe('a command as one string', () => {
  it.each([
    ['nginx -g "daemon off;"', ['nginx', '-g', 'daemon off;']],
    ["sh -c 'echo $HOME'", ['sh', '-c', 'echo $HOME']],
    ['  a   b  ', ['a', 'b']],
    ['a\\ b c', ['a b', 'c']],
    ['"a\\"b" \'c"d\'', ['a"b', 'c"d']],
    ['a""b ""', ['ab', '']],
    ['"a\\nb"', ['a\\nb']],
    ['--flag="x y"z', ['--flag=x yz']],
    ['', []],
    ['a\nb\tc', ['a', 'b', 'c']],
  ])('%j', (text, words) => {
    expect(splitWords(text)).toEqual(words);
  });

  it('tells that a quote is not closed', () => {
    expect(splitWords('a "b')).toBeUndefined();
    expect(splitWords("a 'b")).toBeUndefined();
  });
});
