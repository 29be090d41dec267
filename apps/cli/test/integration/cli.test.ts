/** The command against a whole Hivemind whose engine is in memory. */
import {waitFor} from '@hivemind/testkit';
import {ApiClient} from '../../src/api/client.ts';
import {serverEvents} from '../../src/api/streams.ts';
import {Command} from '../command.ts';
import {startServer} from '../server.ts';

let server: Awaited<ReturnType<typeof startServer>>;
beforeAll(async () => {
  server = await startServer();
  await waitFor(async () => (await server.run('node ls')).out.includes('ready'), {what: 'the node to be ready', deadlineMs: 10_000});
});
afterAll(async () => server?.[Symbol.asyncDispose]());
afterEach(async () => void (await server.run('down')));

/** Fails with what was printed. */
async function ok(words: string | readonly string[], options = {}): Promise<string> {
  const {status, out, err} = await server.run(words, options);
  if (status !== 0) throw new Error(`${String(words)}: status ${status}\n${out}${err}`);
  return out;
}
const json = async (words: string): Promise<unknown> => JSON.parse(await ok(`${words} -o json`));

const compose = `
services:
  web:
    image: busybox
    command: sh -c 'echo hello from web; sleep 1000'
    init: true
    ports: ["80"]
    deploy: {replicas: 2, update_config: {order: start-first, monitor: 100ms}}
    secrets: [password]
    configs: [{source: site, target: /etc/site.conf}]
    depends_on: [db_main]
    security_opt: [no-new-privileges:true]
  db_main:
    image: busybox
    command: sleep 1000
    init: true
    volumes: [data:/data]
volumes: {data: {}}
secrets: {password: {file: ./password.txt}}
configs: {site: {content: "port=\${PORT:-80}"}}
`;

describe('apply, with a Compose file', () => {
  beforeEach(() => {
    server.file('docker-compose.yml', compose);
    server.file('password.txt', 'hunter2');
  });

  it('makes it so, says what is not supported, waits, and does nothing the second time', async () => {
    const first = await server.run('apply -f docker-compose.yml --wait --timeout 20s');
    expect(first).toMatchObject({status: 0});
    expect(first.out.split('\n')).toEqual(['namespace/shop created', 'config/site created', 'secret/password created', 'volume/data created', 'app/web created', 'app/db-main created', '']);
    expect(first.err).toContain('not supported: services.web.security_opt is not acted upon');
    expect(first.err).toContain('(docker-compose.yml:12:19)');
    expect(first.err).toContain('web: running, 2 of 2 ready');
    expect(first.err + first.out).not.toContain('hunter2');

    const again = await ok('apply -f docker-compose.yml');
    expect(again.split('\n')).toEqual(['config/site unchanged', 'secret/password unchanged', 'volume/data unchanged', 'app/web unchanged', 'app/db-main unchanged', '']);
    expect(await json('app ls -n shop')).toEqual([expect.objectContaining({name: 'db-main'}), expect.objectContaining({name: 'web', status: expect.objectContaining({phase: 'running', revision: 1})})]);
  });

  it('rolls out anew when a config or secret has changed', async () => {
    await ok('apply -f docker-compose.yml --wait');
    const changed = await ok('apply -f docker-compose.yml --wait', {env: {PORT: '81'}});
    expect(changed).toContain('config/site configured');
    expect(changed).toContain('app/web configured');
    expect(await json('app info web -n shop')).toMatchObject({status: {revision: 2}});
    server.file('password.txt', 'other');
    const secret = await ok('apply -f docker-compose.yml --wait', {env: {PORT: '81'}});
    expect(secret).toContain('secret/password configured');
    expect(await json('app info web -n shop')).toMatchObject({status: {revision: 3}});
  });

  it('plan says what apply would do, before and after', async () => {
    const before = await ok('plan -f docker-compose.yml -p elsewhere');
    expect(before).toContain('+ namespace/elsewhere would be created');
    expect(before).toContain('+ app/web would be created');
    expect(before).toContain('    + container on n1');
    expect(await json('ps -n *')).toEqual([]);
    await ok('apply -f docker-compose.yml --wait');
    server.file('docker-compose.yml', compose.replace('replicas: 2', 'replicas: 3').replace('volumes: [data:/data]', 'environment: {A: b}\n    volumes: [data:/data]'));
    const after = await ok('plan -f docker-compose.yml', {env: {PORT: '90'}});
    expect(after).toContain('~ config/site would be changed');
    expect(after).toContain('~ app/web would be scaled');
    expect(after).toContain('~ app/db-main would be changed, stop-first (volume data is written by one revision at a time)');
    expect(after).toMatch(/spec\.env.*b/);
  });

  it('--prune deletes what left the file, and keeps volumes and what others made', async () => {
    await ok('apply -f docker-compose.yml --wait');
    await ok('app deploy --name mine --image busybox -n shop');
    server.file('docker-compose.yml', 'services: {web: {image: busybox}}');
    expect(await ok('plan -f docker-compose.yml')).toContain('- app/db-main is not in the file: apply --prune would delete it');
    const pruned = await ok('apply -f docker-compose.yml --prune');
    expect(pruned.split('\n').filter((line) => line.endsWith('deleted')).sort()).toEqual(['app/db-main deleted', 'config/site deleted', 'secret/password deleted']);
    await waitFor(async () => JSON.stringify(await json('app ls -n shop')).includes('db-main') === false, {what: 'the app to go'});
    expect(await ok('app ls -n shop')).toContain('mine');
    expect(await ok('volume ls -n shop')).toContain('data');
  });

  it('delete removes it, and volumes stay', async () => {
    await ok('apply -f docker-compose.yml --wait');
    const {status, out, err} = await server.run('delete -f docker-compose.yml --wait');
    expect([status, out.split('\n')]).toEqual([0, ['app/db-main deleted', 'app/web deleted', 'secret/password deleted', 'config/site deleted', '']]);
    expect(err).toContain('volume/data stays');
    expect(await json('ps -n shop')).toEqual([]);
    expect(await ok('delete -f docker-compose.yml')).toContain('app/web is not there');
  });

  it('names the line of what is wrong, and sends nothing', async () => {
    server.file('docker-compose.yml', 'services:\n  web:\n    image: busybox\n    ports: [x]\n  db:\n    image: y\n    imge: y\n');
    const {status, err} = await server.run('apply -f docker-compose.yml -p broken');
    expect(status).toBe(1);
    expect(err).toContain('services.web.ports[0]: "x" is not a port');
    expect(err).toContain('(docker-compose.yml:4:13)');
    expect(err).toContain('did you mean image?');
    expect(await ok('namespace ls')).not.toContain('broken');
    expect(await server.run('apply -f gone.yml')).toMatchObject({status: 1, err: expect.stringMatching(/^hivemind: There is no file .*gone\.yml\n$/)});
  });

  it('takes a directory, several files, an override file, and standard input', async () => {
    server.file('docker-compose.yml', 'services: {web: {image: busybox}}');
    server.file('docker-compose.override.yml', 'services: {web: {environment: {FROM: override}}}');
    server.file('more.yml', 'services: {web: {environment: {MORE: "yes"}}}');
    await ok('apply -f . -f more.yml');
    expect(await json('app info web -n shop')).toMatchObject({spec: {env: {FROM: 'override', MORE: 'yes'}}});
    await ok('apply -f - -p piped', {input: 'services: {in: {image: busybox}}'});
    expect(await ok('app ls -n piped')).toContain('in');
  });
});

describe('apply, with manifests', () => {
  it('makes everything in the right order, in its namespace', async () => {
    server.file('all.yaml', 'kind: App\nname: web\nimage: busybox\nfiles: [{mount: /c, config: c, key: k}]\n---\nkind: Config\nname: c\ndata: {k: v}\n---\nkind: App\nname: other\nnamespace: elsewhere\nspec: {image: busybox}\n');
    expect((await ok('apply -f all.yaml --wait')).split('\n')).toEqual(['namespace/elsewhere created', 'config/c created', 'app/web created', 'app/other created', '']);
    // What was read can be written back.
    server.file('back.yaml', await ok('app info web -o yaml'));
    expect(await ok('apply -f back.yaml -p shop')).toBe('app/web unchanged\n');
  });

  it('takes ingresses, after the apps that they lead to, and says what a plan would change', async () => {
    const text = 'kind: Ingress\nname: shop\nrules: [{host: shop.example, app: web}]\n---\nkind: App\nname: web\nimage: busybox\nports: [{container: 80}]\n';
    server.file('shop.yaml', text);
    expect(await ok('plan -f shop.yaml -p front')).toMatch(/^\+ app\/web [^]*\n\+ ingress\/shop would be created\n$/);
    expect(await ok('apply -f shop.yaml -p front')).toBe('app/web created\ningress/shop created\n');
    expect(await ok('apply -f shop.yaml -p front')).toBe('app/web unchanged\ningress/shop unchanged\n');
    expect(await ok('plan -f shop.yaml -p front')).toMatch(/\n= ingress\/shop stays as it is\n$/);
    server.file('shop.yaml', text.replace('shop.example', 'www.example'));
    expect(await ok('plan -f shop.yaml -p front')).toMatch(/\n~ ingress\/shop would be changed\n$/);
    expect(await ok('apply -f shop.yaml -p front')).toContain('ingress/shop configured');
    expect(await json('ingress get shop')).toMatchObject({spec: {rules: [{host: 'www.example', path: '/', app: 'web'}]}});
    server.file('fewer.yaml', 'kind: App\nname: web\nimage: busybox\nports: [{container: 80}]\n');
    expect(await ok('apply -f fewer.yaml -p front --prune')).toBe('app/web unchanged\ningress/shop deleted\n');
    await ok('apply -f shop.yaml -p front');
    expect(await ok('delete -f shop.yaml -p front')).toBe('ingress/shop deleted\napp/web deleted\n');
  });

  it('takes network policies before the apps that they are about; without a network the server says why it refuses them', async () => {
    await ok('network set --backend none');
    server.file('policy.yaml', 'kind: App\nname: db\nimage: busybox\n---\nkind: NetworkPolicy\nname: only-web\ntarget: {app: db}\ningress: [{action: deny, from: {all: true}}]\n');
    expect(await ok('plan -f policy.yaml -p back')).toMatch(/^\+ networkpolicy\/only-web would be created\n\+ app\/db /);
    const {status, out, err} = await server.run('apply -f policy.yaml -p back');
    expect([status, out]).toEqual([1, 'app/db created\n']);
    expect(err).toContain('1 of 2 could not be applied:\n  networkpolicy/only-web: Containers are on networks of the engine\'s own');
    expect(await ok('delete -f policy.yaml -p back')).toBe('app/db deleted\nnetworkpolicy/only-web is not there\n');
  });

  it('names document and field of what is wrong, and does none of it; what the server refuses is told of its own', async () => {
    server.file('wrong.yaml', 'kind: App\nname: fine\nimage: busybox\n---\nkind: Ingress\nname: shop\nrules:\n  - {app: web, pth: /api}\n---\nkind: NetworkPolicy\nname: p\ntarget: {all: true}\nisolate: true\nmode: audt\n');
    const {status, out, err} = await server.run('apply -f wrong.yaml');
    expect([status, out]).toEqual([1, '']);
    expect(err).toMatch(/rules\[0\]\.pth.*did you mean path\?.*\(document 2, Ingress shop: .*wrong\.yaml:8:/);
    expect(err).toMatch(/mode.*use enforce or audit \(document 3, NetworkPolicy p: .*wrong\.yaml:14:7\)/);
    server.file('clash.yaml', 'kind: Ingress\nname: one\nrules: [{host: a.example, app: web}]\n---\nkind: Ingress\nname: two\nrules: [{host: a.example, app: api}]\n');
    const clash = await server.run('apply -f clash.yaml');
    expect(clash).toMatchObject({status: 1, out: 'ingress/one created\n', err: expect.stringMatching(/1 of 2 could not be applied:\n +ingress\/two: .*\n? *.*default\/one/)});
    await ok('ingress rm one');
  });

  it('tries everything, and names what could not be applied', async () => {
    server.file('bad.yaml', 'kind: App\nname: a\nimage: busybox\nresources: {memory: 900Ti}\n---\nkind: App\nname: b\nimage: busybox\n');
    const {status, out, err} = await server.run('apply -f bad.yaml');
    expect(status).toBe(1);
    expect(out).toBe('app/b created\n');
    expect(err).toContain('1 of 2 could not be applied:\n  app/a: ');
    expect(err).toContain('n1');
  });
});

describe('waiting', () => {
  it('fails with the reason when an image does not exist', async () => {
    const {status, err} = await server.run('app deploy --name web --image nowhere/none:1 --wait --timeout 5s');
    expect(status).toBe(1);
    expect(err).toMatch(/default\/web is failed, 0 of 1 ready/);
    expect(err).toMatch(/nowhere\/none:1/);
  });

  it('fails with the last lines of what crashes', async () => {
    server.file('crash.yaml', 'kind: App\nname: crash\nimage: busybox\ncommand: [sh, -c, "echo no database; exit 3"]\nupdate: {deadline: 1s}\n');
    const {status, err} = await server.run('apply -f crash.yaml --wait --timeout 3s');
    expect(status).toBe(1);
    expect(err).toContain('no database');
    expect(err).toMatch(/exit code 3|exited with 3|code 3/i);
  });
});

describe('apps', () => {
  const deploy = 'app deploy --name web --image busybox --replicas 2 --port 80 --env A=1 --label tier=front --memory 32Mi --wait';

  it('deploy, look at, scale, restart, roll back, stop, start, delete', async () => {
    expect(await ok(deploy)).toBe('app/web created\n');
    expect(await ok('app ls')).toMatch(/^APP +STATUS +READY .*\nweb +running +2\/2 +busybox +127\.0\.0\.1:\d+, 127\.0\.0\.1:\d+ +1 /);
    expect(await ok('app ls -l tier=back')).toBe('');
    expect(await ok('app info web')).toMatch(/Name: +web\n[^]*Labels: +tier=front\n[^]*Available +true +AllReady[^]*web-\w{5} +web +n1 +running +yes/);
    expect(await ok('app scale web 3 --wait')).toBe('app/web scaled to 3\n');
    expect(await json('ps --app web')).toHaveLength(3);
    await ok('app deploy --name web --image busybox:2 --replicas 3');
    await waitFor(async () => (await ok('app history web')).includes('2 (current)'), {what: 'a second revision'});
    expect(await ok('app rollback web --revision 1')).toBe('app/web rolling back to revision 1\n');
    expect(await json('app info web')).toMatchObject({spec: {image: 'busybox'}});
    await ok('app stop web --wait');
    expect(await ok('app ls')).toMatch(/web +(stopped|progressing) +0\/0/);
    await ok('app start web --wait');
    expect(await ok('app rm web --wait')).toBe('app/web deleted\n');
    expect(await server.run('app info web')).toMatchObject({status: 1, err: expect.stringContaining('web')});
  });

  it('logs of one container and of all', async () => {
    server.file('chatty.yaml', 'kind: App\nname: chatty\nimage: busybox\ninit: true\nreplicas: 2\ncommand: [sh, -c, "echo one; echo two; sleep 1000"]\n');
    await ok('apply -f chatty.yaml --wait');
    const all = (await ok('logs chatty')).trimEnd().split('\n');
    expect(all).toHaveLength(4);
    expect(all.every((line) => /^chatty-\w{5} \| (one|two)$/.test(line))).toBe(true);
    const [container = ''] = all[0]?.split(' ') ?? [];
    expect(await ok(`logs ${container} --tail 1`)).toBe('two\n');
    expect(await ok(`logs ${container} -t`)).toMatch(/^\d{4}-.*Z \| one\n/);
    expect(JSON.parse((await ok(`logs ${container} -o json`)).split('\n')[0] ?? '')).toMatchObject({line: 'one', container});
  });

  it('follows a log until the container is gone', async () => {
    await ok('app deploy --name web --image busybox --wait');
    const command = new Command({env: {HIVEMIND_SERVER: server.url, HIVEMIND_TOKEN: server.token}});
    const following = command.run(['app', 'logs', 'web', '-f']);
    await ok('app rm web --wait');
    expect((await following).status).toBe(0);
  });
});

describe('exec', () => {
  beforeEach(async () => void (await ok('app deploy --name web --image busybox --wait')));

  it('answers with output, errors and exit code', async () => {
    expect(await server.run(['exec', 'web', '--', 'sh', '-c', 'echo out; echo err >&2; exit 3'])).toEqual({status: 3, out: 'out\n', err: 'err\n'});
    expect(await server.run(['exec', 'web', '-e', 'A=b c', '--', 'sh', '-c', 'echo $A'])).toEqual({status: 0, out: 'b c\n', err: ''});
  });

  it('passes input on to its end', async () => {
    const input = `${'x'.repeat(100_000)}\nlast\n`;
    expect(await server.run('exec -i web -- cat', {input})).toEqual({status: 0, out: input, err: ''});
  });

  it('says what is refused', async () => {
    expect(await server.run('exec nobody -- sh')).toMatchObject({status: 1, err: expect.stringContaining('There is no container nobody')});
    expect((await server.run('exec web -- no-such-program')).status).not.toBe(0);
  });
});

describe('the rest', () => {
  it('nodes', async () => {
    expect(await ok('node ls -o wide')).toMatch(/^NODE .*\nn1 +ready /);
    expect(await ok('node info n1')).toMatch(/Engine: +fake 1\n/);
    expect(await ok('node cordon n1')).toBe('node/n1 cordoned\n');
    expect(await ok('node ls')).toContain('ready, cordoned');
    await ok('node uncordon n1');
    await ok('node label n1 disk=ssd zone=a');
    await ok('node label n1 zone-');
    expect(await json('node info n1')).toMatchObject({labels: {disk: 'ssd'}});
  });

  it('deployments', async () => {
    await ok('app deploy --name web --image busybox --wait');
    await waitFor(async () => /web +1 +completed/.test(await ok('deployment ls')), {what: 'the rollout to complete', deadlineMs: 20_000});
    expect(await ok('deployment info web')).toMatch(/Status: +completed\n/);
    expect(await server.run('deployment pause web')).toMatchObject({status: 1, err: expect.stringContaining('nothing to pause')});
  });

  it('secrets and configs', async () => {
    server.file('tls.key', 'key');
    await ok('secret create tls --from-file tls.key --set user=me');
    await ok('secret create pw --from-stdin', {input: 'hunter2'});
    const listed = await ok('secret ls -o yaml');
    expect(listed).toContain('tls.key');
    expect(listed).not.toContain('hunter2');
    expect(await ok('secret ls')).toMatch(/tls +tls\.key, user/);
    await ok('config create site --from-file site.conf=tls.key');
    expect(await ok('config info site')).toBe('--- site.conf\nkey\n');
    expect(await ok('secret rm tls pw')).toBe('secret/tls deleted\nsecret/pw deleted\n');
    await ok('config rm site');
    expect(await server.run('secret create empty')).toMatchObject({status: 2});
  });

  it('volumes, images, stats, status, namespaces', async () => {
    await ok(['app', 'deploy', '--name', 'db', '--image', 'busybox', '--volume', 'data:/data', '--wait']);
    expect(await ok('volume ls')).toMatch(/data +bound +n1 +db/);
    expect(await ok('volume usage data')).toContain('Size:');
    expect(await server.run('volume rm data')).toMatchObject({status: 1, err: expect.stringContaining('is used by db')});
    expect(await ok('image ls')).toContain('busybox');
    expect(await ok('stats')).toMatch(/^CONTAINER .*\ndb-\w{5} +n1 /);
    expect(await ok('status')).toContain('Nodes:   n1 (ready');
    await ok('namespace create team-a');
    expect(await ok('namespace ls')).toContain('team-a');
    await ok('namespace rm team-a');
    await ok('app rm db --wait');
    expect(await ok('volume rm data')).toBe('volume/data deleted\n');
    expect(await server.run('cluster adopt')).toMatchObject({status: 1, err: expect.stringContaining('Nothing is held')});
  });

  it('builds what a Compose file says, once for the same contents, and rolls changes out', async () => {
    server.file('Dockerfile', 'FROM busybox\n');
    server.file('.dockerignore', 'docker-compose.yml\ndata\n*.txt\n*.yaml\n*.yml\n*.key\n');
    server.file('docker-compose.yml', 'services: {web: {build: ., init: true}}');
    const first = await server.run('apply -f docker-compose.yml -p built --wait');
    expect(first).toMatchObject({status: 0, err: expect.stringMatching(/building built-web:[0-9a-f]{12} from/)});
    expect((await server.run('apply -f docker-compose.yml -p built')).err).not.toContain('building');
    server.file('Dockerfile', 'FROM busybox\nRUN true\n');
    expect(await server.run('apply -f docker-compose.yml -p built')).toMatchObject({out: expect.stringContaining('app/web configured'), err: expect.stringContaining('building')});
  });

  it('down removes everything but volumes', async () => {
    await ok(['app', 'deploy', '--name', 'a', '--image', 'busybox', '--volume', 'kept:/data', '--wait']);
    await ok('app deploy --name b --image busybox -n team --wait');
    expect(await ok('down')).toBe('Removed 2 containers of 2 apps (default/a, team/b). Volumes stay.\n');
    expect(await server.runtime.list()).toEqual([]);
    expect(await ok('volume ls')).toContain('kept');
    expect(await ok('down')).toBe('There is nothing to remove.\n');
  });

  it('events come as they happen', async () => {
    const stop = new AbortController();
    const response = await new ApiClient({server: server.url, token: server.token}).open('GET', '/events', {query: {kind: 'Config'}, signal: stop.signal});
    const events = serverEvents(response);
    await ok('config create seen --set a=b');
    expect((await events.next()).value).toMatchObject({type: 'created', kind: 'Config', name: 'seen', namespace: 'default'});
    stop.abort();
    await events.return(undefined);
    await ok('config rm seen');
  });
});
