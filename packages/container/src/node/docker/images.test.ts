import {registryOf, withTag} from './images.ts';

it.each([
  ['nginx', 'nginx:latest'],
  ['nginx:1', 'nginx:1'],
  ['localhost:5000/nginx', 'localhost:5000/nginx:latest'],
  ['localhost:5000/nginx:1', 'localhost:5000/nginx:1'],
  ['nginx@sha256:abc', 'nginx@sha256:abc'],
])('%s is pulled as %s', (image, pulled) => {
  expect(withTag(image)).toBe(pulled);
});

it.each([
  ['nginx', 'https://index.docker.io/v1/'],
  ['team/web', 'https://index.docker.io/v1/'],
  ['ghcr.io/team/web:1', 'ghcr.io'],
  ['localhost/web', 'localhost'],
  ['127.0.0.1:5000/web', '127.0.0.1:5000'],
])('%s comes from %s', (image, registry) => {
  expect(registryOf(image)).toBe(registry);
});
