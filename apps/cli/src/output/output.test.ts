import {Command} from '../../test/command.ts';
import {errorText} from './error-text.ts';
import {Output} from './output.ts';
import {age, bytes, cores} from './quantities.ts';
import {fields, table} from './table.ts';

const columns = [{title: 'NAME', value: ({name}: {name: string}) => name}, {title: 'NOTE', value: () => 'two words'}, {title: 'MORE', value: () => 'wide', wide: true as const}];

describe('what is printed', () => {
  it('tables, with nothing cut and nothing that moves the cursor', () => {
    expect(table([{name: 'a'}, {name: 'x\u001b[2J\ny'}, {name: ''}], columns.slice(0, 2))).toBe('NAME     NOTE\na        two words\nx [2J y  two words\n-        two words\n');
  });

  it('fields, without those that have no value', () => {
    expect(fields([['Name', 'web'], ['Replicas', 2], ['Gone', undefined], ['Empty', '']])).toBe('Name:     web\nReplicas: 2\n');
  });

  it.each([
    ['table', 'NAME  NOTE\na     two words\n'],
    ['wide', 'NAME  NOTE       MORE\na     two words  wide\n'],
    ['json', '[\n  {\n    "name": "a"\n  }\n]\n'],
    ['yaml', 'name: a\n'],
  ] as const)('a list as %s', async (format, expected) => {
    const terminal = new Command();
    await new Output(format, terminal).list([{name: 'a'}], [{name: 'a'}], columns, 'nothing');
    expect(terminal.printed).toEqual({out: expected, err: ''});
  });

  it('that there is nothing is no data', async () => {
    const terminal = new Command();
    await new Output('table', terminal).list([], [], columns, 'There is nothing.');
    await new Output('json', terminal).list([], [], columns, 'There is nothing.');
    expect(terminal.printed).toEqual({out: '[]\n', err: 'There is nothing.\n'});
  });

  it.each([[0, '0s'], [119_000, '119s'], [120_000, '2m'], [7_200_000, '2h'], [200_000_000, '2d']])('%i ms ago is %s', (ms, text) => {
    expect(age(new Date(1e12).toISOString(), 1e12 + ms)).toBe(text);
  });

  it('amounts', () => {
    expect([age(undefined, 0), bytes(512), bytes(64 * 2 ** 20), bytes(1.5 * 2 ** 40), cores(250), cores(4000)]).toEqual(['-', '512B', '64.0MiB', '1.5TiB', '0.25', '4']);
  });

  it('an error that is not ours is one line too', () => {
    expect(errorText(new Error('broken\u0007'))).toBe('hivemind: broken\n');
  });
});
