import {runtimeErrors} from '@hivemind/runtime';
import {engineError, pullError} from './errors.ts';

/** As docker-modem rejects. */
const answered = (statusCode: number, message: string): Error => Object.assign(new Error(`(HTTP code ${statusCode}) server error - ${message} `), {statusCode, json: {message}});
const socket = (code: string): Error => Object.assign(new Error(`connect ${code} /var/run/docker.sock`), {code});
const told = (error: Error) => engineError(error, 'Starting web-x1', '/var/run/docker.sock');

describe('engineError', () => {
  it.each([
    [500, 'driver failed programming external connectivity on endpoint web (7e8d): Bind for 0.0.0.0:8080 failed: port is already allocated', 'port-in-use', 'port 8080'],
    [500, 'driver failed programming external connectivity on endpoint web (7e8d): Error starting userland proxy: listen tcp4 0.0.0.0:80: bind: address already in use', 'port-in-use', 'port 80 '],
    [500, 'Error starting userland proxy: listen udp [::]:53: bind: address already in use', 'port-in-use', 'port 53'],
    [500, 'failed to set up container networking: driver failed programming external connectivity on endpoint web: failed to bind host port for 0.0.0.0:8080:172.18.0.2:80/tcp: address already in use', 'port-in-use', 'port 8080'],
    [500, 'failed to set up container networking: driver failed programming external connectivity on endpoint web: failed to bind host port 0.0.0.0:8080/tcp: address already in use', 'port-in-use', 'port 8080'],
    [400, 'failed to create shim task: OCI runtime create failed: runc create failed: unable to start container process: exec: "nope": executable file not found in $PATH: unknown', 'start-failed', 'command nope'],
    [400, 'OCI runtime create failed: exec: "/x/y": stat /x/y: no such file or directory: unknown', 'start-failed', 'command /x/y cannot be run in the image: no such file or directory'],
    [400, 'unable to start container process: exec: "/etc/passwd": permission denied: unknown', 'start-failed', '/etc/passwd'],
    [400, 'exec /app: exec format error', 'start-failed', 'processor'],
    [400, 'invalid mount config for type "bind": bind source path does not exist: /nope', 'start-failed', '/nope'],
    [400, 'Minimum memory limit allowed is 6MB', 'start-failed', '6MB'],
    [500, 'failed to create task for container: error mounting "/x": not a directory', 'start-failed', '/x'],
    [500, 'unable to find user alice: no matching entries in passwd file', 'start-failed', 'alice'],
    [404, 'No such container: web', 'container-not-found', 'no such container'],
    [404, 'No such image: nginx:9', 'image-not-found', 'nginx:9'],
    [409, 'Container abc is not running', 'runtime-conflict', 'is not running'],
    [500, 'could not find an available, non-overlapping IPv4 address pool among the defaults to assign to the network', 'runtime-failed', 'default-address-pools'],
    [500, 'all predefined address pools have been fully subnetted', 'runtime-failed', 'default-address-pools'],
    [500, 'write /var/lib/docker/containers/x: no space left on device', 'runtime-failed', 'no space left'],
  ])('%d %s', (status, message, code, words) => {
    const error = told(answered(status, message));
    expect(error.code).toBe(code);
    expect(error.message).toContain(words);
    expect(error.message).toMatch(/^Starting web-x1 failed: /);
  });

  it.each(['ECONNREFUSED', 'ENOENT', 'EACCES', 'ECONNRESET', 'EPIPE'])('%s: the engine is away, and may come back', (code) => {
    const error = told(socket(code));
    expect(error).toMatchObject({code: 'runtime-unavailable', status: 503, retryable: true});
    expect(error.message).toContain('/var/run/docker.sock');
  });

  it('says what to do about a socket that may not be opened', () => {
    expect(told(socket('EACCES')).message).toContain('group');
    expect(told(new Error('socket hang up')).code).toBe('runtime-unavailable');
  });

  it('leaves errors of the port alone', () => {
    const error = runtimeErrors['port-in-use']('x');
    expect(told(error)).toBe(error);
  });
});

describe('pullError', () => {
  const pulled = (error: Error) => pullError(error, 'ghcr.io/team/web:1', '/var/run/docker.sock').code;

  it.each([
    ['manifest for ghcr.io/team/web:1 not found: manifest unknown: manifest unknown', 'image-not-found'],
    ['pull access denied for web, repository does not exist or may require \'docker login\': denied: requested access to the resource is denied', 'image-not-found'],
    ['no matching manifest for linux/arm64/v8 in the manifest list entries', 'image-not-found'],
    ['Head "https://ghcr.io/v2/team/web/manifests/1": unauthorized', 'image-unauthorized'],
    ['Get "http://127.0.0.1:5000/v2/": no basic auth credentials', 'image-unauthorized'],
    ['denied: installation not allowed to read packages', 'image-unauthorized'],
    ['Get "https://ghcr.io/v2/": dial tcp: lookup ghcr.io: no such host', 'image-pull-failed'],
    ['toomanyrequests: You have reached your pull rate limit', 'image-pull-failed'],
    ['failed to register layer: write /x: no space left on device', 'image-pull-failed'],
  ])('%s', (message, code) => {
    expect(pulled(answered(500, message))).toBe(code);
    // The same words may come inside the progress.
    expect(pulled(new Error(message))).toBe(code);
  });

  it('tells an engine that is away from a registry that is', () => {
    expect(pulled(socket('ECONNREFUSED'))).toBe('runtime-unavailable');
  });
});
