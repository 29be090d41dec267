import {readFileSync} from 'node:fs';
import {join} from 'node:path';
import {version} from './version.ts';

it('the version is that of the package', () => {
  expect(JSON.parse(readFileSync(join(import.meta.dirname, '../package.json'), 'utf8')).version).toBe(version);
});
