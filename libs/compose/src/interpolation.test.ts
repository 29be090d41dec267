import {interpolate, InterpolationError} from './interpolation.ts';

const variables: Readonly<Record<string, string>> = {SET: 'value', EMPTY: '', OTHER: 'other', A: '1', B2_c: 'two'};
const lookup = (name: string): string | undefined => variables[name];

describe('variables in text', () => {
  it.each([
    ['no variables', 'no variables'],
    ['$SET', 'value'],
    ['${SET}', 'value'],
    ['a$SET.b', 'avalue.b'],
    ['${A}${B2_c}', '1two'],
    ['$A$A', '11'],
    ['$$SET', '$SET'],
    ['$$$SET', '$value'],
    ['cost: 5$$', 'cost: 5$'],
    ['${UNSET}', ''],
    ['${UNSET:-default}', 'default'],
    ['${EMPTY:-default}', 'default'],
    ['${SET:-default}', 'value'],
    ['${UNSET-default}', 'default'],
    ['${EMPTY-default}', ''],
    ['${SET:+instead}', 'instead'],
    ['${EMPTY:+instead}', ''],
    ['${UNSET:+instead}', ''],
    ['${EMPTY+instead}', 'instead'],
    ['${UNSET+instead}', ''],
    ['${SET:?must be set}', 'value'],
    ['${EMPTY?must be set}', ''],
    ['${UNSET:-}', ''],
    ['${UNSET:-${OTHER}}', 'other'],
    ['${UNSET:-${ALSO_UNSET:-deep}}', 'deep'],
    ['${UNSET:-$OTHER}', 'other'],
    ['${UNSET:-a${SET}b${OTHER}c}d', 'avaluebothercd'],
    ['${SET:-${UNSET:?never read}}', 'value'],
    ['${UNSET:-http://host:80/path?x=y}', 'http://host:80/path?x=y'],
    ['${UNSET:-a b  c}', 'a b  c'],
    ['${UNSET:-$$literal}', '$literal'],
    ['${SET:+${OTHER}-x}', 'other-x'],
  ])('%s is %s', (text, expected) => {
    expect(interpolate(text, lookup)).toBe(expected);
  });

  it.each([
    ['${UNSET:?say what}', /UNSET must be set: say what/],
    ['${EMPTY:?say what}', /EMPTY must be set: say what/],
    ['${UNSET?}', /UNSET must be set$/],
    ['${UNSET:?need ${OTHER}}', /need other/],
    ['${UNSET:-${ALSO:?inner}}', /ALSO must be set: inner/],
    ['$', /not a valid use of variables/],
    ['$ 5', /not a valid use of variables/],
    ['$1', /write \$\$ for a dollar sign/],
    ['${', /not a valid/],
    ['${}', /not a valid/],
    ['${SET', /not a valid/],
    ['${SET!x}', /not a valid/],
    ['${1X}', /not a valid/],
    ['${SET:-${OTHER}', /not a valid/],
  ])('%s is refused', (text, message) => {
    expect(() => interpolate(text, lookup)).toThrow(InterpolationError);
    expect(() => interpolate(text, lookup)).toThrow(message);
  });

  it('tells which variables are missing, but not those with a default', () => {
    const missing: string[] = [];
    interpolate('$SET ${GONE} ${LOST:-x} ${X:+y} ${Y-z} $GONE', lookup, (name) => missing.push(name));
    expect(missing).toEqual(['GONE', 'GONE']);
  });
});
