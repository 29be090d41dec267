import {isError} from '@hivemind/contracts';
import {isManifest, readManifest} from './manifest.ts';

function failure(text: string) {
  try {
    readManifest(text, 'app.yaml');
  } catch (error) {
    if (isError(error)) return error;
    throw error;
  }
  throw new Error('it was accepted');
}

describe('manifests', () => {
  it('several documents, spec nested or flat, as written', () => {
    const text = `
kind: Namespace
name: shop
---
kind: App
name: web
namespace: shop
labels: {tier: front}
image: nginx:1.29
replicas: 2
---
kind: Config
name: site
spec: {data: {a: b}}
---
kind: Volume
name: data
---
{"kind": "Secret", "name": "db", "data": {"password": "x"}}
`;
    expect(readManifest(text, 'app.yaml')).toEqual([
      {kind: 'Namespace', name: 'shop', namespace: undefined, body: {kind: 'Namespace', name: 'shop', spec: {}}},
      {kind: 'App', name: 'web', namespace: 'shop', body: {kind: 'App', name: 'web', namespace: 'shop', labels: {tier: 'front'}, spec: {image: 'nginx:1.29', replicas: 2}}},
      {kind: 'Config', name: 'site', namespace: undefined, body: {kind: 'Config', name: 'site', spec: {data: {a: 'b'}}}},
      {kind: 'Volume', name: 'data', namespace: undefined, body: {kind: 'Volume', name: 'data', spec: {}}},
      {kind: 'Secret', name: 'db', namespace: undefined, body: {kind: 'Secret', name: 'db', spec: {data: {password: 'x'}}}},
    ]);
  });

  it.each([
    ['kind: App\nname: web\nspec:\n  image: nginx\n  replicas: -1\n', 'spec.replicas', 'app.yaml:5:13', /negative/],
    ['kind: App\nname: web\nimage: nginx\nreplcas: 2\n', 'replcas', 'app.yaml:4:10', /did you mean replicas\?/],
    ['kind: App\nname: Web_1\nimage: nginx\n', 'name', 'app.yaml:2:7', /DNS label/],
    ['kind: App\nname: web\nimage: nginx\nports:\n  - container: 80\n  - container: 99999\n', 'ports[1].container', 'app.yaml:6:16', /out of range/],
    ['kind: Ap\nname: web\n', 'kind', 'app.yaml:1:7', /did you mean App\?/],
    ['name: web\nimage: x\n', 'kind', 'app.yaml:1:1', /is not a kind/],
    ['kind: Deployment\nname: web\n', 'kind', 'app.yaml:1:7', /known here: Namespace, Config, Secret, Volume, App/],
    ['kind: App\nimage: x\n', 'name', 'app.yaml:1:1', /is needed/],
  ])('%j is refused with its place', (text, path, place, message) => {
    const error = failure(text);
    expect(error.code).toBe('manifest-invalid');
    expect(error.errors).toContainEqual({path, message: expect.stringMatching(message)});
    expect(error.errors[0]?.message).toContain(`(${place})`);
  });

  it('names what is wrong in every document', () => {
    expect(failure('kind: App\nname: a\n---\nkind: App\nname: b\nimage: [x]\n').errors.map(({path}) => path)).toEqual(['image', 'image']);
  });

  it('is told from a Compose file', () => {
    expect(isManifest('kind: App\nname: x', 'f')).toBe(true);
    expect(isManifest('services: {}', 'f')).toBe(false);
    expect(isManifest('', 'f')).toBe(false);
  });
});
