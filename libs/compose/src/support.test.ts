import {readFileSync} from 'node:fs';
import {join} from 'node:path';
import {supportTable} from './support.ts';

describe('the support table', () => {
  const documented = readFileSync(join(import.meta.dirname, '../../../docs/compose.md'), 'utf8');

  it('docs/compose.md names every key that is not acted upon', () => {
    const unsupported = new Set(supportTable.flatMap((section) => Object.keys({...section.unsupported, ...section.harmless})));
    expect(unsupported.size).toBeGreaterThan(60);
    expect([...unsupported].filter((key) => !new RegExp(`\\b${key}\\b`).test(documented))).toEqual([]);
  });

  it('no key is both read and reported', () => {
    expect(supportTable.flatMap(({at, read, unsupported, harmless}) => Object.keys({...unsupported, ...harmless}).filter((key) => read.includes(key)).map((key) => [...at, key].join('.')))).toEqual([]);
  });
});
