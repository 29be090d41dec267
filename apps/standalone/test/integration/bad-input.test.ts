import {spawnSync} from 'node:child_process';
import {writeFileSync} from 'node:fs';
import {join, resolve} from 'node:path';
import {freePort, waitFor} from '@hivemind/testkit';
import * as z from 'zod';
import {aHivemind, app, createApp, sleeper, untilRunning, type Fixture} from '../standalone.ts';

const Problem = z.object({type: z.string(), title: z.string(), status: z.number(), code: z.string(), detail: z.string(), errors: z.array(z.object({path: z.string(), message: z.string()})).optional(), traceId: z.string()});

describe('wrong input', () => {
  let fixture: Fixture;

  beforeAll(async () => {
    fixture = await aHivemind();
    await createApp(fixture.hivemind, 'taken', sleeper(fixture.image, {ports: [{container: 80, host: 18_471}]}));
    await untilRunning(fixture.hivemind, 'taken', 1);
  }, 60_000);

  afterAll(() => fixture[Symbol.asyncDispose](), 60_000);

  /** POSTs an app and answers the problem, with the errors as `path message` lines. */
  async function refused(body: unknown, headers: Record<string, string> = {}): Promise<{status: number; code: string; text: string}> {
    const answer = await fixture.hivemind.call('POST', '/apps', body, headers);
    const problem = Problem.parse(answer.body);
    expect(problem.status).toBe(answer.status);
    return {status: answer.status, code: problem.code, text: [problem.detail, ...(problem.errors ?? []).map(({path, message}) => `${path} ${message}`)].join('\n')};
  }

  const named = (name: string, spec: object) => ({name, spec: {image: fixture.image, ...spec}});

  it.each([
    ['a name that is no DNS label', 'Bad_Name', {}, 422, /name "Bad_Name": is not a DNS label/],
    ['negative replicas', 'a', {replicas: -3}, 422, /spec\.replicas -3: is negative/],
    ['huge replicas', 'a', {replicas: 1_000_000}, 422, /spec\.replicas 1000000: is more than 10000/],
    ['an unknown field', 'a', {replica: 3}, 422, /spec\.replica is not a known field; did you mean replicas\?/],
    ['a port out of range', 'a', {ports: [{container: 70_000}]}, 422, /spec\.ports\[0\]\.container 70000: is out of range/],
    ['a field that is not acted upon yet', 'a', {placement: {priorityClass: 'high'}}, 422, /spec\.placement\.priorityClass/],
    ['two of what there is to be one of', 'a', {singleton: true, replicas: 2}, 422, /spec\.replicas 2: a singleton has one/],
    ['a port that another app holds', 'a', {ports: [{container: 80, host: 18_471}]}, 409, /18471[^]*taken/],
    ['memory that no machine has', 'a', {resources: {memory: '9000Ti'}}, 422, /memory/],
    ['a secret that does not exist', 'a', {env: {PASSWORD: {secret: 'nothing', key: 'password'}}}, 422, /nothing/],
  ])('%s', async (_title, name, spec, status, says) => {
    const problem = await refused(named(name, spec));
    expect(problem.status).toBe(status);
    expect(problem.text).toMatch(says);
  });

  it('an app that exists', async () => {
    expect(await refused(named('taken', {}))).toMatchObject({status: 409});
  });

  it('malformed JSON names line and column', async () => {
    const problem = await refused('{\n  "name": "a",\n  "spec": {"image": }\n}');
    expect(problem).toMatchObject({status: 400});
    expect(problem.text).toMatch(/line 3[^]*column/);
  });

  it('a body over 1 MiB', async () => {
    expect(await refused(named('a', {env: {BIG: 'x'.repeat(1_100_000)}}))).toMatchObject({status: 413});
  });

  it('no token, and a wrong one', async () => {
    for (const headers of [{authorization: ''}, {authorization: 'Bearer wrong'}]) {
      expect(await refused(named('a', {}), headers)).toMatchObject({status: 401});
    }
  });

  it('If-Match of a version that was left behind', async () => {
    const answer = await fixture.hivemind.call('PUT', '/apps/taken', named('taken', {}), {'if-match': '"1"'});
    expect(Problem.parse(answer.body)).toMatchObject({status: 412});
  });

  it('a rollback to a revision that never was', async () => {
    const answer = await fixture.hivemind.call('POST', '/apps/taken/rollback', {revision: 99});
    expect(answer.status).toBeGreaterThanOrEqual(404);
    expect(answer.status).toBeLessThan(500);
    expect(Problem.parse(answer.body).detail).toContain('99');
  });

  it('an image that does not exist is known when it is pulled: the app says which and why', async () => {
    const missing = `127.0.0.1:${await freePort()}/nothing:1`;
    await createApp(fixture.hivemind, 'no-image', {image: missing});
    const said = await waitFor(async () => (await app(fixture.hivemind, 'no-image')).status.conditions.find(({type}) => type === 'Failing'), {what: 'the app to say that it fails', deadlineMs: 30_000});
    expect(said).toMatchObject({status: 'true', reason: expect.stringMatching(/^Image/), message: expect.stringContaining(missing)});
  }, 60_000);

  describe('to the command', () => {
    function hivemind(server: string, ...words: string[]) {
      const main = resolve(import.meta.dirname, '../../../cli/src/main.ts');
      const env = {...process.env, NODE_OPTIONS: '', HIVEMIND_SERVER: server, HIVEMIND_TOKEN: fixture.hivemind.token};
      const {status, stderr} = spawnSync(process.execPath, [main, ...words], {env, encoding: 'utf8', timeout: 60_000});
      return {status, stderr};
    }

    it('a server that is not there: one line that says so, and how to start one', async () => {
      const server = `http://127.0.0.1:${await freePort()}`;
      expect(hivemind(server, 'app', 'ls')).toEqual({status: 1, stderr: `hivemind: Hivemind does not answer at ${server}. Start it with: hivemind up (or say where it is with --server URL)\n`});
    }, 60_000);

    it.each([
      ['malformed YAML names line and column', 'kind: App\nname: web\nspec: {image: busybox\n', /^hivemind: .*bad\.yaml:4:1 .*sufficiently indented and end with a \}/],
      ['an unknown field names itself, the nearest right one, line and column', 'kind: App\nname: web\nspec:\n  image: busybox\n  replica: 2\n', /spec\.replica is not a known field; did you mean replicas\? \(.*bad\.yaml:5:\d+\)/],
    ])('%s', (_title, text, says) => {
      const file = join(fixture.hivemind.dir, 'bad.yaml');
      writeFileSync(file, text);
      const {status, stderr} = hivemind(fixture.hivemind.url, 'apply', '-f', file);
      expect(stderr).toMatch(says);
      expect(status).toBe(1);
    }, 60_000);
  });
});
