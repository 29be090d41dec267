import {Ignore} from './ignore.ts';

describe('.dockerignore', () => {
  it.each([
    ['node_modules', ['node_modules', 'node_modules/a/b'], ['src/node_modules', 'node_modules2']],
    ['/node_modules/', ['node_modules/x'], ['a/node_modules']],
    ['*.log', ['a.log'], ['dir/a.log', 'a.logs']],
    ['**/*.log', ['a.log', 'dir/a.log', 'a/b/c.log'], ['a.txt']],
    ['*/temp*', ['a/temp', 'b/temporary.txt'], ['temp', 'a/b/temp']],
    ['*/*/temp*', ['a/b/temp.txt'], ['a/temp']],
    ['temp?', ['tempa', 'temp1'], ['temp', 'tempab']],
    ['a/**', ['a/b', 'a/b/c'], ['b/a']],
    ['a/**/z', ['a/z', 'a/b/z', 'a/b/c/z'], ['z', 'b/z']],
    ['[a-c].txt', ['a.txt', 'c.txt'], ['d.txt']],
    ['# a comment\n\n  spaced.txt  ', ['spaced.txt'], ['# a comment']],
    ['*.md\n!README.md', ['a.md'], ['README.md', 'a.txt']],
    ['*.md\n!README*.md\nREADME-secret.md', ['README-secret.md', 'x.md'], ['README.md', 'README-2.md']],
    ['*.md\nREADME-secret.md\n!README*.md', ['x.md'], ['README.md', 'README-secret.md']],
    ['*\n!src', ['a', 'lib/x'], ['src', 'src/deep/file']],
    ['./a/../b', ['b'], ['a']],
    ['a.b', ['a.b'], ['axb']],
    ['\\*.txt', ['*.txt'], ['a.txt']],
    ['', [], ['anything']],
  ])('%j', (text, ignored, kept) => {
    const ignore = new Ignore(text);
    expect(ignored.filter((path) => !ignore.ignores(path))).toEqual([]);
    expect(kept.filter((path) => ignore.ignores(path))).toEqual([]);
  });

  it('knows where something below an ignored directory may be kept', () => {
    const ignore = new Ignore('*\n!a/b/c');
    expect([ignore.mayKeepBelow('a'), ignore.mayKeepBelow('a/b'), ignore.mayKeepBelow('z')]).toEqual([true, true, false]);
    expect(new Ignore('*\n!**/keep').mayKeepBelow('z')).toBe(true);
    expect(new Ignore('z').mayKeepBelow('z')).toBe(false);
  });
});
