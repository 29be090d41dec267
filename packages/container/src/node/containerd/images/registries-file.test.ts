import {chmodSync, writeFileSync} from 'node:fs';
import {join} from 'node:path';
import {removeTempDir, tempDir} from '@hivemind/testkit';
import {readRegistries} from './registries-file.ts';

let dir: string;
beforeEach(() => {
  dir = tempDir('registries');
});
afterEach(() => removeTempDir(dir));

function written(content: unknown, mode = 0o600): string {
  const path = join(dir, 'registries.json');
  writeFileSync(path, typeof content === 'string' ? content : JSON.stringify(content));
  chmodSync(path, mode);
  return path;
}

it('says of each registry how it is reached, files beside it read', async () => {
  writeFileSync(join(dir, 'ca.crt'), '-----BEGIN CERTIFICATE-----\nMII\n-----END CERTIFICATE-----\n');
  writeFileSync(join(dir, 'password'), 'secret\n', {mode: 0o600});
  expect(await readRegistries(written({
    'registry.example:5000': {ca: 'ca.crt', username: 'ann', passwordFile: 'password'},
    'docker.io': {mirrors: ['https://mirror.example', 'http://10.0.0.9:5000']},
    '10.0.0.9:5000': {plainHttp: true},
  }))).toEqual({
    'registry.example:5000': {authority: expect.stringContaining('MII'), credentials: {username: 'ann', password: 'secret'}},
    'docker.io': {mirrors: ['https://mirror.example', 'http://10.0.0.9:5000']},
    '10.0.0.9:5000': {plainHttp: true},
  });
});

it.each([
  ['no JSON', '{', /is not JSON.*write as in/],
  ['a URL for a name', {'https://a.example': {}}, /https:\/\/a\.example.*without https/],
  ['what is not known', {'a.example': {insecure: true}}, /a\.example.*insecure/],
  ['what is not a URL', {'a.example': {mirrors: ['mirror']}}, /a\.example → mirrors → 0.*"mirror".*write it as/],
  ['a mirror in the clear', {'a.example': {mirrors: ['http://m.example']}}, /http:\/\/m\.example.*plainHttp/],
  ['a name without a password', {'a.example': {username: 'ann'}}, /username.*go together/],
  ['an authority that is not there', {'a.example': {ca: 'none.crt'}}, /ca: .*none\.crt.*ENOENT/],
  ['an authority without TLS', {'a.example': {ca: 'none.crt', plainHttp: true}}, /ca.*plainHttp/],
])('refuses %s, by name', async (_what, content, words) => {
  await expect(readRegistries(written(content))).rejects.toMatchObject({code: 'invalid-input', message: expect.stringMatching(words)});
});

it('keeps a password from others', async () => {
  const path = written({'a.example': {username: 'ann', password: 'secret'}}, 0o644);
  const failure: unknown = await readRegistries(path).catch((error: unknown) => error);
  expect(failure).toMatchObject({code: 'invalid-input', message: expect.stringContaining(`chmod 600 ${path}`)});
  expect(String(failure)).not.toContain('secret');
});
