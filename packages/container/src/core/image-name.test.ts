import {familiarName, parseImageName} from './image-name.ts';

const digest = `sha256:${'a'.repeat(64)}`;

describe('the name of an image', () => {
  it.each([
    ['busybox', 'docker.io/library/busybox:latest'],
    ['team/web:1.2', 'docker.io/team/web:1.2'],
    ['index.docker.io/team/web', 'docker.io/team/web:latest'],
    ['ghcr.io/team/sub/web:v1', 'ghcr.io/team/sub/web:v1'],
    ['127.0.0.1:5000/web', '127.0.0.1:5000/web:latest'],
    ['localhost/web', 'localhost/web:latest'],
    [`web@${digest}`, `docker.io/library/web@${digest}`],
    [`web:1@${digest}`, `docker.io/library/web:1@${digest}`],
  ])('%s is %s', (written, full) => {
    expect(parseImageName(written)?.full).toBe(full);
  });

  it.each(['', 'Web', 'a b', 'web:', '../etc', 'web@sha256:short', 'host.io/', '-web'])('%j is none', (written) => {
    expect(parseImageName(written)).toBeUndefined();
  });

  it('asks by digest where there is one', () => {
    expect(parseImageName(`web:1@${digest}`)?.reference).toBe(digest);
    expect(parseImageName('web:1')?.reference).toBe('1');
  });

  it('is shown as it was written', () => {
    expect(familiarName('docker.io/library/busybox:1')).toBe('busybox:1');
    expect(familiarName('docker.io/team/web:1')).toBe('team/web:1');
    expect(familiarName('ghcr.io/team/web:1')).toBe('ghcr.io/team/web:1');
  });
});
