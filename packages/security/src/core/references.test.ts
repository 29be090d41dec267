import {AppSpec} from '@hivemind/contracts';
import {referenceErrors, referencesOf, secretsOf, type Known} from './references.ts';

const spec = AppSpec.parse({
  image: 'x',
  env: {PLAIN: 'y', PASSWORD: {secret: 'db', key: 'password'}, MODE: {config: 'settings', key: 'mode'}},
  files: [{mount: '/a', config: 'settings', key: 'file'}, {mount: '/b', secret: 'tls', key: 'cert'}],
  pull: {secret: 'registry'},
});
const known: Known = {
  secret: new Map([['db', ['password']], ['tls', ['cert']], ['registry', ['username', 'password']]]),
  config: new Map([['settings', ['mode', 'file']]]),
};

it('finds every reference and says where it stands', () => {
  expect(referencesOf(spec).map(({path, kind, name, key}) => `${path} ${kind} ${name} ${key}`)).toEqual([
    'spec.env.PASSWORD.secret secret db password',
    'spec.env.MODE.config config settings mode',
    'spec.files[0].config config settings file',
    'spec.files[1].secret secret tls cert',
    'spec.pull.secret secret registry username',
    'spec.pull.secret secret registry password',
  ]);
  expect(secretsOf(spec)).toEqual(['db', 'tls', 'registry']);
});

it('admits what exists', () => {
  expect(referenceErrors(referencesOf(spec), known, 'default')).toEqual([]);
});

it('names what does not exist, with the way out', () => {
  const wrong = AppSpec.parse({image: 'x', env: {A: {secret: 'bd', key: 'password'}, B: {secret: 'db', key: 'pasword'}, C: {config: 'nowhere', key: 'k'}}, pull: {secret: 'tls'}});
  expect(referenceErrors(referencesOf(wrong), known, 'shop')).toEqual([
    {path: 'spec.env.A.secret', message: 'secret bd does not exist in namespace shop: did you mean db?'},
    {path: 'spec.env.B.key', message: 'secret db has no key pasword: did you mean password?'},
    {path: 'spec.env.C.config', message: 'config nowhere does not exist in namespace shop: create it first, with POST /api/v1/configs'},
    {path: 'spec.pull.key', message: 'secret tls has no key username: it has cert'},
    {path: 'spec.pull.key', message: 'secret tls has no key password: it has cert'},
  ]);
});
