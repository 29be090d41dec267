import {toPlain} from './tree.ts';
import {parseYaml} from './yaml.ts';

const read = (text: string): unknown => parseYaml(text, 'file.yml').map((tree) => JSON.parse(JSON.stringify(toPlain(tree))))[0];

describe('YAML', () => {
  it('resolves anchors, aliases and merge keys; what a map says itself wins, then the first merged', () => {
    expect(read('a: &a {x: 1, y: 1}\nb: &b {y: 2, z: 2}\nc: {<<: [*a, *b], x: 9}\nd: *a')).toEqual({a: {x: 1, y: 1}, b: {y: 2, z: 2}, c: {x: 9, y: 1, z: 2}, d: {x: 1, y: 1}});
  });

  it('reads file modes as octal, and leaves other numbers alone', () => {
    expect(read('mode: 0440\nn: 440\nt: "0440"\nz: 0')).toEqual({mode: 0o440, n: 440, t: '0440', z: 0});
  });

  it('keeps what YAML 1.1 would have guessed as text', () => {
    expect(read('on: yes\nport: 22:22')).toEqual({on: 'yes', port: '22:22'});
  });

  it('reads several documents, and none', () => {
    expect(parseYaml('a: 1\n---\nb: 2\n---\n', 'f')).toHaveLength(2);
    expect(parseYaml('', 'f')).toEqual([]);
  });

  it('takes a key named __proto__ for what it is', () => {
    const [tree] = parseYaml('__proto__: {polluted: true}', 'f');
    expect(Object.keys(Object(toPlain(tree!)))).toEqual(['__proto__']);
    expect(Object.hasOwn(Object.prototype, 'polluted')).toBe(false);
  });

  it.each([
    ['a: 1\na: 2', 'file.yml:2:1', /unique/],
    ['a:\n  - b\n c: 1', 'file.yml:3', /./],
    ['a: "open', 'file.yml:1', /./],
    ['a: *nowhere', 'file.yml:1', /nowhere/],
    ['a: {<<: 5}', 'file.yml:1', /merge key/],
    ['a: &a {b: *a}', 'file.yml:1', /contains itself|Unresolved|no anchor/],
  ])('%j is refused, with its place', (text, place, message) => {
    const failure = (): unknown => {
      try {
        return parseYaml(text, 'file.yml');
      } catch (error) {
        return error;
      }
    };
    expect(failure()).toMatchObject({code: 'yaml-malformed', status: 400, message: expect.stringMatching(message)});
    expect(failure()).toMatchObject({message: expect.stringContaining(place)});
  });

  it('stops at aliases that multiply', () => {
    const levels = Array.from({length: 9}, (_, level) => `l${level + 1}: &l${level + 1} [${Array.from({length: 9}, () => `*l${level}`).join(', ')}]`);
    expect(() => parseYaml(['l0: &l0 [x]', ...levels].join('\n'), 'f')).toThrow(/more than 100000 values/);
  });
});
