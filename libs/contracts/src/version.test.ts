import {readFileSync} from 'node:fs';
import {version} from './version.ts';

it.each(['libs/contracts', 'apps/cli'])('the version of the release is that of %s', (folder) => {
  expect(JSON.parse(readFileSync(new URL(`../../../${folder}/package.json`, import.meta.url), 'utf8'))).toMatchObject({version});
});
