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
    ['kind: Deployment\nname: web\n', 'kind', 'app.yaml:1:7', /known here: Namespace, NetworkPolicy, Config, Secret, Volume, App, Ingress/],
    ['kind: App\nimage: x\n', 'name', 'app.yaml:1:1', /is needed/],
  ])('%j is refused with its place', (text, path, place, message) => {
    const error = failure(text);
    expect(error.code).toBe('manifest-invalid');
    expect(error.errors).toContainEqual({path, message: expect.stringMatching(message)});
    expect(error.errors[0]?.message).toContain(`(${place})`);
  });

  it('names what is wrong in every document', () => {
    const {errors} = failure('kind: App\nname: a\n---\nkind: App\nname: b\nimage: [x]\n---\nkind: Ingress\nname: c\nrules: [{app: web, match: fuzzy}]\n---\n{name: d}\n');
    expect(errors.map(({path, message}) => `${path} ${message}`)).toEqual([
      expect.stringMatching(/^image .* \(document 1, App a: app\.yaml:1:1\)$/),
      expect.stringMatching(/^image .* \(document 2, App b: app\.yaml:6:8\)$/),
      expect.stringMatching(/^rules\[0\]\.match .* \(document 3, Ingress c: app\.yaml:10:27\)$/),
      expect.stringMatching(/^kind nothing: is not a kind; .* \(document 4, d: app\.yaml:12:1\)$/),
    ]);
  });

  it('of ingresses and network policies, whose fields are named like their kinds', () => {
    expect(readManifest('kind: NetworkPolicy\nname: only-web\ntarget: {app: db}\ningress: [{action: deny, from: {all: true}}]\n---\nkind: Ingress\nname: shop\nrules: [{app: web}]\n', 'f').map(({body}) => body.spec)).toEqual([
      {target: {app: 'db'}, ingress: [{action: 'deny', from: {all: true}}]},
      {rules: [{app: 'web'}]},
    ]);
    expect(failure('kind: NetworkPolicy\nname: p\ntarget: {app: db}\n').message).toMatch(/names nothing: give it ingress, egress or isolate/);
  });

  it('is told from a Compose file', () => {
    expect(isManifest('kind: App\nname: x', 'f')).toBe(true);
    expect(isManifest('services: {}', 'f')).toBe(false);
    expect(isManifest('', 'f')).toBe(false);
  });
});
