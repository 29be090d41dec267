import {createServer, type Server} from 'node:http';
import {once} from 'node:events';
import {mkdirSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync} from 'node:fs';
import {tmpdir} from 'node:os';
import {join} from 'node:path';
import {Command, hivemind} from '../test/command.ts';
import {branches} from './branches.ts';
import {buildProgram} from './program.ts';
import {version} from '@hivemind/contracts/version';

describe('usage', () => {
  it.each([
    ['pss', 'did you mean ps?'],
    ['app scal', 'did you mean scale?'],
    ['app scale web', "missing required argument 'replicas'"],
    ['app scale web three', 'replicas is not a whole number'],
    ['app ls -o xml', '--output is not a format; use one of table, wide, json, yaml'],
    ['app deploy --image nginx', '--name is needed'],
    ['app deploy --name a --image b --port web', '--port web is not a port'],
    ['app deploy --name a --image b --env X', '--env X is not KEY=VALUE'],
    ['app ls --frob', "unknown option '--frob'"],
    ['apply', '--file is needed'],
    ['exec web', 'command is needed'],
    ['app rollback web --timeout soon', '--timeout is not a duration'],
    ['node label n1 disk', 'disk is neither KEY=VALUE nor KEY-'],
    ['logs web --since yesterday', '--since is neither a duration'],
    ['up --runtime podman', '--runtime is not a runtime of this release'],
    ['service ap --bus nats://h --store redis://h', 'There is no service ap. Did you mean app?'],
    ['service app --store redis://h', '--bus nats://HOST:PORT is needed'],
    ['service gateway --tls sometimes', '--tls is neither auto nor off'],
    ['agent --runtime podman', '--runtime is not a runtime of this release'],
    ['agent --containerd-socket 10.0.0.1:80', '--containerd-socket is not the path of a socket'],
    ['agent --name Not_A_Name', '--name is not a DNS label'],
    ['agent --advertise here', '--advertise is not an IP address'],
    ['node join-token --ttl soon', '--ttl is not a duration'],
    ['node join-token --uses few', '--uses is not a whole number'],
    ['node join-token --label zone', '--label zone is not KEY=VALUE'],
    ['completion tcsh', 'is not a shell known here'],
  ])('`%s` is wrong usage, status 2', async (words, message) => {
    const {status, out, err} = await hivemind(words, {env: {HIVEMIND_SERVER: 'http://127.0.0.1:9'}});
    expect(status).toBe(2);
    expect(out).toBe('');
    expect(err.toLowerCase()).toContain(message.toLowerCase());
  });

  it('prints its version, that of package.json', async () => {
    expect(await hivemind('--version')).toEqual({status: 0, out: `${version}\n`, err: ''});
    expect(JSON.parse(readFileSync(join(import.meta.dirname, '../package.json'), 'utf8'))).toMatchObject({version});
  });

  it('every command has help with an example', async () => {
    const program = await buildProgram(branches, undefined, {terminal: new Command(), exit: () => undefined});
    const paths: string[][] = [];
    const visit = (command: typeof program, path: string[]): void => {
      for (const child of command.commands) {
        if (child.name() === 'help') continue;
        paths.push([...path, child.name()]);
        visit(child, [...path, child.name()]);
      }
    };
    visit(program, []);
    expect(paths.length).toBeGreaterThan(60);
    for (const path of paths) {
      const {status, out} = await hivemind([...path, '--help']);
      expect([path.join(' '), status]).toEqual([path.join(' '), 0]);
      expect(out).toMatch(/Examples?:\n {2}\$ .*hivemind /);
      expect(out).toContain(`Usage: hivemind ${path.join(' ')}`);
    }
  });

  it('without words it shows what there is', async () => {
    const {status, out, err} = await hivemind('');
    expect(status).toBe(0);
    expect(out + err).toContain('apply');
  });

  it.each(['bash', 'zsh', 'fish'])('completes in %s', async (shell) => {
    const {status, out} = await hivemind(`completion ${shell}`);
    expect(status).toBe(0);
    for (const word of ['rollback', 'apply', 'cordon', shell === 'fish' ? '-l prune' : '--prune']) expect(out).toContain(word);
  });
});

describe('a server that is not there', () => {
  it.each(['ps', 'app ls', 'logs web', 'status', 'exec web -- sh'])('`%s` says so in one line, and how to start one', async (words) => {
    const {status, out, err} = await hivemind(words, {env: {HIVEMIND_SERVER: 'http://127.0.0.1:1'}});
    expect({status, out}).toEqual({status: 1, out: ''});
    expect(err).toBe('hivemind: Hivemind does not answer at http://127.0.0.1:1. Start it with: hivemind up (or say where it is with --server URL)\n');
  });

  it('has a version all the same', async () => {
    const {status, out} = await hivemind('version', {env: {HIVEMIND_SERVER: 'http://127.0.0.1:1'}});
    expect(status).toBe(0);
    expect(out).toContain(`Command: ${version}\n`);
  });
});

describe('what a server says', () => {
  let server: Server;
  let url: string;
  let answer: {status: number; body: unknown; type?: string};
  const seen: {method: string; url: string; token: string | undefined; body: string}[] = [];
  let home: string;

  beforeEach(async () => {
    seen.length = 0;
    answer = {status: 200, body: {items: [], next: null}};
    home = mkdtempSync(join(tmpdir(), 'hivemind-cli-'));
    server = createServer((request, response) => {
      let body = '';
      request.on('data', (chunk: Buffer) => (body += chunk.toString()));
      request.on('end', () => {
        seen.push({method: request.method ?? '', url: request.url ?? '', token: request.headers.authorization, body});
        response.writeHead(answer.status, {'content-type': answer.type ?? 'application/json'});
        response.end(typeof answer.body === 'string' ? answer.body : JSON.stringify(answer.body));
      });
    }).listen(0, '127.0.0.1');
    await once(server, 'listening');
    const address = server.address();
    url = `http://127.0.0.1:${typeof address === 'object' && address !== null ? address.port : 0}`;
  });
  afterEach(async () => {
    server.close();
    server.closeAllConnections();
    await once(server, 'close');
    rmSync(home, {recursive: true});
  });

  it('a problem is one line, with every wrong field under it', async () => {
    answer = {status: 422, body: {status: 422, code: 'invalid-input', title: 'The input is not valid', detail: 'The app is not valid', errors: [{path: 'spec.replicas', message: '-1: is negative'}, {path: 'spec.image', message: 'is needed'}]}};
    expect(await hivemind(`app deploy --name web --image x --server ${url}`, {home})).toEqual({status: 1, out: '', err: 'hivemind: The app is not valid\n  spec.replicas: -1: is negative\n  spec.image: is needed\n'});
  });

  it('control characters of others do not reach the terminal', async () => {
    answer = {status: 404, body: {status: 404, code: 'app-not-found', title: 'x', detail: 'There is no app \u001b[2Jweb\u0007'}};
    expect((await hivemind(`app info web --server ${url}`, {home})).err).toBe('hivemind: There is no app  [2Jweb\n');
  });

  it.each([[200, '<html>'], [502, 'Bad gateway'], [200, '{"items": 5}']])('an answer of something else (%i %s) is told apart', async (status, body) => {
    answer = {status, body};
    const outcome = await hivemind(`app ls --server ${url}`, {home});
    expect(outcome.status).toBe(1);
    expect(outcome.err).toMatch(/not answer as Hivemind does|not as Hivemind does/);
  });

  it('a missing token is a hint', async () => {
    answer = {status: 401, body: {status: 401, code: 'unauthorized', title: 'A valid token is needed', detail: 'Send Authorization.'}};
    expect((await hivemind(`ps --server ${url}`, {home})).err).toContain('No token was found: pass --token');
    expect((await hivemind(`ps --server ${url} --token bad`, {home})).err).not.toContain('No token was found');
  });

  it('takes the token that is given, else of the environment, else what login kept, else that of the data dir', async () => {
    const token = async (words: string, env: Record<string, string> = {}): Promise<string | undefined> => {
      await hivemind(`ps --server ${url} ${words}`, {home, env});
      return seen.at(-1)?.token;
    };
    const dataDir = join(home, 'data');
    mkdirSync(dataDir);
    writeFileSync(join(dataDir, 'admin.token'), 'admin\n');
    expect(await token('')).toBeUndefined();
    expect(await token('', {HIVEMIND_DATA_DIR: dataDir})).toBe('Bearer admin');
    expect(await token(`--data-dir ${dataDir}`)).toBe('Bearer admin');
    answer = {status: 204, body: ''};
    expect((await hivemind(`login --token-stdin --server ${url}`, {home, input: 'kept\n'})).status).toBe(0);
    expect(JSON.parse(seen.at(-1)?.body ?? '')).toEqual({token: 'kept'});
    const file = join(home, '.config/hivemind/tokens.json');
    expect(statSync(file).mode & 0o777).toBe(0o600);
    answer = {status: 200, body: {items: [], next: null}};
    expect(await token('', {HIVEMIND_DATA_DIR: dataDir})).toBe('Bearer kept');
    expect(await token('', {HIVEMIND_TOKEN: 'env'})).toBe('Bearer env');
    expect(await token('--token flag', {HIVEMIND_TOKEN: 'env'})).toBe('Bearer flag');
    await hivemind(`logout --server ${url}`, {home});
    expect(JSON.parse(readFileSync(file, 'utf8'))).toEqual({});
  });

  it('a wrong token is not kept', async () => {
    answer = {status: 401, body: {status: 401, code: 'wrong-token', title: 'x', detail: 'This token is not valid here.'}};
    expect(await hivemind(`login --token-stdin --server ${url}`, {home, input: 'bad'})).toMatchObject({status: 1, err: expect.stringContaining('not valid here')});
    expect(() => statSync(join(home, '.config/hivemind/tokens.json'))).toThrow('ENOENT');
  });

  it('follows the pages of a list', async () => {
    const pages = [{items: [{name: 'n1'}], next: 'c1'}, {items: [{name: 'n2'}], next: null}];
    server.removeAllListeners('request');
    server.on('request', (request, response) => {
      seen.push({method: 'GET', url: request.url ?? '', token: undefined, body: ''});
      response.end(JSON.stringify(pages[seen.length - 1]));
    });
    const {out} = await hivemind(`namespace ls --server ${url} -o json`, {home});
    expect(JSON.parse(out)).toEqual([{name: 'n1'}, {name: 'n2'}]);
    expect(seen.map((request) => new URL(request.url, url).searchParams.get('cursor'))).toEqual([null, 'c1']);
  });
});
