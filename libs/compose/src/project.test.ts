import {notices, project, refusal} from './testing/project.ts';

const one = 'services: {web: {image: nginx}}';

describe('the project', () => {
  it.each([
    ['the directory', one, {}, 'shop'],
    ['a directory that is no name', one, {projectDirectory: '/work/My Shop_2.0'}, 'myshop-20'],
    ['the file', `name: from-file\n${one}`, {}, 'from-file'],
    ['the file, with a variable', `name: \${N:-fallback}\n${one}`, {}, 'fallback'],
    ['COMPOSE_PROJECT_NAME', `name: from-file\n${one}`, {env: {COMPOSE_PROJECT_NAME: 'from_env'}}, 'from-env'],
    ['.env', one, {tree: {'.env': 'COMPOSE_PROJECT_NAME=dotenv'}}, 'dotenv'],
    ['-p', `name: from-file\n${one}`, {projectName: 'asked', env: {COMPOSE_PROJECT_NAME: 'env'}}, 'asked'],
  ])('is named after %s', async (_what, text, fixture, name) => {
    const read = await project(text, fixture);
    expect(read.name).toBe(name);
    expect(read.apps[0]).toMatchObject({name: 'web', namespace: name, labels: {'hivemind.io/project': name}});
  });

  it('refuses a name that was asked for and cannot be one', async () => {
    expect(await refusal(project(one, {projectName: 'My Shop'}))).toMatchObject({code: 'compose-invalid', message: expect.stringContaining('"My Shop" is not a project name')});
  });

  it('is known to the file as COMPOSE_PROJECT_NAME', async () => {
    const read = await project('services: {web: {image: "x:${COMPOSE_PROJECT_NAME}"}}');
    expect(read.apps[0]?.spec.image).toBe('x:shop');
  });

  it('takes variables from .env, and those of the process before them', async () => {
    const text = 'services: {web: {image: "nginx:${TAG:?}", environment: {A: $A}}}';
    const read = await project(text, {env: {TAG: 'process'}, tree: {'.env': 'TAG=file\nA=${TAG}-a'}});
    expect(read.apps[0]?.spec).toMatchObject({image: 'nginx:process', env: {A: 'process-a'}});
    expect(await refusal(project(text))).toMatchObject({errors: [{path: 'services.web.image', message: expect.stringContaining('TAG must be set')}]});
  });

  it('takes other files of variables when told so', async () => {
    const read = await project('services: {web: {image: "nginx:$TAG"}}', {envFiles: ['prod.env'], tree: {'.env': 'TAG=no', 'prod.env': 'TAG=yes'}});
    expect(read.apps[0]?.spec.image).toBe('nginx:yes');
    expect(await refusal(project(one, {envFiles: ['gone.env']}))).toMatchObject({code: 'file-missing'});
  });

  it('says once that a variable is missing', async () => {
    const read = await project('services: {web: {image: nginx, environment: {A: "$GONE", B: "$GONE"}}}');
    expect(notices(read, 'info')).toEqual(['services.web.environment.A: the variable GONE is not set: it counts as empty']);
  });

  it('names of resources become DNS labels, and services answer to their own names where they can', async () => {
    const read = await project('services: {My_Web.1: {image: nginx, volumes: ["db_data:/d"]}}\nvolumes: {db_data: {labels: {a: b}}}');
    expect(read.apps[0]).toMatchObject({name: 'my-web-1', spec: {volumes: [{name: 'db-data', mount: '/d'}]}});
    expect(read.volumes).toEqual([{name: 'db-data', namespace: 'shop', labels: {a: 'b', 'hivemind.io/project': 'shop'}, annotations: {}, spec: {}}]);
    expect(notices(read, 'info')).toEqual(expect.arrayContaining(['services.My_Web.1: is named my-web-1 here', 'volumes.db_data: is named db-data here']));
    expect(await refusal(project('services: {a_b: {image: x}, a-b: {image: x}}'))).toMatchObject({message: expect.stringContaining('would both be named a-b')});
  });

  it('reaches a service whose name has underscores by both names', async () => {
    const read = await project('services: {my_db: {image: x}}');
    expect(read.apps.map(({name, spec}) => [name, spec.aliases])).toEqual([['my-db', ['my_db']]]);
    expect(read.notices.filter(({level}) => level === 'unsupported')).toEqual([]);
  });

  it('reaches services by aliases, container names and links', async () => {
    const read = await project('services: {web: {image: x, links: ["db:database"]}, db: {image: y, container_name: postgres, networks: {default: {aliases: [sql]}}}}');
    expect(read.apps.map(({name, spec}) => [name, spec.aliases])).toEqual([['web', undefined], ['db', ['postgres', 'sql', 'database']]]);
  });

  it('a named default network is one for all', async () => {
    const read = await project('services: {a: {image: x, networks: [default, back]}, b: {image: x}, c: {image: x, networks: [back]}}\nnetworks: {back: {}}');
    expect(read.apps.map(({spec}) => spec.networks)).toEqual([['default', 'back'], ['default'], ['back']]);
  });

  it('keeps to the profiles that are asked for', async () => {
    const text = 'services: {web: {image: x}, debug: {image: x, profiles: [debug, dev]}, seed: {image: x, profiles: [seed]}}';
    const names = async (fixture: Parameters<typeof project>[1]): Promise<readonly string[]> => (await project(text, fixture)).apps.map(({name}) => name);
    expect(await names({})).toEqual(['web']);
    expect(await names({profiles: ['dev']})).toEqual(['web', 'debug']);
    expect(await names({env: {COMPOSE_PROFILES: 'seed,debug'}})).toEqual(['web', 'debug', 'seed']);
    expect(await names({profiles: ['*']})).toEqual(['web', 'debug', 'seed']);
  });

  it('waits for what services depend on', async () => {
    const read = await project(`
services:
  web: {image: x, depends_on: {db: {condition: service_healthy}, migrate: {condition: service_completed_successfully}, extra: {condition: service_started, required: false}}}
  db: {image: x, healthcheck: {test: "true"}}
  migrate: {image: x, depends_on: [db]}
  extra: {image: x, profiles: [extra]}
`);
    expect(read.apps.map(({name, spec}) => [name, spec.dependsOn, spec.mode, spec.restart])).toEqual([
      ['web', {db: 'healthy', migrate: 'completed'}, undefined, undefined],
      ['db', undefined, undefined, undefined],
      ['migrate', {db: 'started'}, 'job', {policy: 'never'}],
    ]);
    expect(notices(read, 'info')).toEqual(['services.web.depends_on.extra: extra is not part of what is applied: it is not waited for']);
  });

  it.each([
    ['services: {a: {image: x, depends_on: [b]}, b: {image: x, depends_on: [c]}, c: {image: x, depends_on: [a]}}', /waits for itself: a → b → c → a/],
    ['services: {a: {image: x, depends_on: [b]}, b: {image: x, profiles: [p]}}', /ask for its profile with --profile p/],
    ['services: {a: {}}', /needs an image, or a build/],
    ['services: {}', /there is no service/],
    ['{}', /there is no service/],
    ['servces: {}', /did you mean services\?/],
    ['- a', /is a mapping/],
  ])('%s is refused', async (text, message) => {
    const error = await refusal(project(text));
    expect([error.message, ...error.errors.map((one) => one.message)].join('\n')).toMatch(message);
  });

  it('says where a file is missing or is no YAML', async () => {
    expect(await refusal(project(one, {files: ['gone.yml']}))).toMatchObject({code: 'file-missing', message: 'There is no file gone.yml'});
    expect(await refusal(project('services:\n  web: [\n'))).toMatchObject({code: 'yaml-malformed', message: expect.stringContaining('docker-compose.yml:')});
  });
});

describe('configs and secrets', () => {
  const text = `
services:
  web:
    image: nginx
    configs: [site.conf, {source: inline, target: /etc/i, mode: 0440, uid: "101", gid: "101"}]
    secrets: [db_password, {source: tls, target: server.key, mode: "0400"}, {source: outside}]
configs:
  site.conf: {file: ./nginx.conf}
  inline: {content: "port=\${PORT}"}
  unused: {file: ./gone}
secrets:
  db_password: {environment: DB_PASSWORD}
  tls: {file: ./tls.key}
  outside: {external: true, name: shared-token}
`;
  const fixture = {env: {PORT: '80', DB_PASSWORD: 'hunter2'}, tree: {'nginx.conf': 'server {}', 'tls.key': Uint8Array.of(0, 255, 254)}};

  it('become Configs and Secrets, mounted as files', async () => {
    const read = await project(text, fixture);
    expect(read.configs.map(({name, spec}) => ({name, spec}))).toEqual([{name: 'site-conf', spec: {data: {value: 'server {}'}}}, {name: 'inline', spec: {data: {value: 'port=80'}}}]);
    expect(read.secrets.map(({name, spec}) => ({name, spec}))).toEqual([{name: 'db-password', spec: {data: {value: 'hunter2'}}}, {name: 'tls', spec: {data: {value: 'AP/+'}, encoding: 'base64'}}]);
    expect(read.apps[0]?.spec.files).toEqual([
      {mount: '/site.conf', config: 'site-conf', key: 'value'},
      {mount: '/etc/i', config: 'inline', key: 'value', mode: '0440', uid: 101, gid: 101},
      {mount: '/run/secrets/db_password', secret: 'db-password', key: 'value'},
      {mount: '/run/secrets/server.key', secret: 'tls', key: 'value', mode: '0400'},
      {mount: '/run/secrets/outside', secret: 'shared-token', key: 'value'},
    ]);
    expect(JSON.stringify(read.notices)).not.toContain('hunter2');
  });

  it.each([
    ['services: {web: {image: x, secrets: [s]}}\nsecrets: {s: {file: ./gone}}', 'secrets.s.file', /there is no file \/work\/shop\/gone/],
    ['services: {web: {image: x, secrets: [s]}}\nsecrets: {s: {environment: GONE}}', 'secrets.s.environment', /GONE is not set/],
    ['services: {web: {image: x, configs: [c]}}\nconfigs: {c: {}}', 'configs.c', /exactly one of/],
    ['services: {web: {image: x, configs: [c]}}\nconfigs: {c: {file: a, content: b}}', 'configs.c', /exactly one of/],
  ])('%s is refused', async (written, path, message) => {
    expect((await refusal(project(written))).errors).toContainEqual({path, message: expect.stringMatching(message)});
  });
});

describe('several files', () => {
  const base = `
services:
  web:
    image: nginx:1
    command: [a, b]
    environment: {A: base, B: base}
    ports: ["8080:80", "443:443"]
    volumes: ["./one:/data", "./two:/two"]
    dns: [1.1.1.1]
    healthcheck: {test: [CMD, a], retries: 2}
    labels: [x=1]
    depends_on: [db]
  db: {image: db}
`;

  it('merge by the rules of the specification', async () => {
    const override = `
services:
  web:
    image: nginx:2
    command: [c]
    environment: [B=over, C=over]
    ports: ["8080:80", "9090:90"]
    volumes: ["./other:/data:ro"]
    dns: [8.8.8.8]
    healthcheck: {test: [CMD, b]}
    labels: {y: 2}
    depends_on: {db: {condition: service_healthy}}
`;
    const read = await project(base, {files: ['docker-compose.yml', 'over.yml'], tree: {'over.yml': override}});
    expect(read.apps[0]?.spec).toMatchObject({
      image: 'nginx:2', args: ['c'], env: {A: 'base', B: 'over', C: 'over'}, dns: ['1.1.1.1', '8.8.8.8'], containerLabels: {x: '1', y: '2'}, dependsOn: {db: 'healthy'},
      volumes: [{host: '/work/shop/other', mount: '/data', readOnly: true}, {host: '/work/shop/two', mount: '/two'}],
      health: {readiness: {exec: ['b'], failures: 2}},
    });
    expect(read.apps[0]?.spec.ports?.map(({host}) => host)).toEqual([8080, 443, 9090]);
  });

  it('!reset removes and !override replaces', async () => {
    const override = 'services:\n  web:\n    ports: !override ["1:1"]\n    environment: !reset null\n    volumes: !reset []\n  db: !reset null\n    \n';
    const read = await project(base.replace('depends_on: [db]', ''), {files: ['docker-compose.yml', 'over.yml'], tree: {'over.yml': override}});
    expect(read.apps).toHaveLength(1);
    expect(read.apps[0]?.spec).toMatchObject({ports: [{container: 1, host: 1}]});
    expect(read.apps[0]?.spec).not.toHaveProperty('env');
    expect(read.apps[0]?.spec).not.toHaveProperty('volumes');
  });

  it('an error in the second names the second', async () => {
    const error = await refusal(project(base, {files: ['docker-compose.yml', 'over.yml'], tree: {'over.yml': 'services:\n  web:\n    restart: maybe\n'}}));
    expect(error.errors[0]?.message).toContain('(over.yml:3:14)');
  });
});

describe('extends and include', () => {
  it('a service extends another, of this file or another one, whose paths are its own', async () => {
    const read = await project('services: {web: {extends: {file: common/base.yml, service: base}, environment: {B: web}}, more: {extends: web, image: other}}', {
      tree: {'/work/shop/common/base.yml': 'services: {base: {extends: root, build: ./app, environment: {A: base, B: base}, volumes: ["./data:/d"]}, root: {image: "root", restart: always}}'},
    });
    expect(read.apps.map(({spec}) => [spec.image, spec.env, spec.restart, spec.volumes])).toEqual([
      ['root', {A: 'base', B: 'web'}, {policy: 'always'}, [{host: '/work/shop/common/data', mount: '/d'}]],
      ['other', {A: 'base', B: 'web'}, {policy: 'always'}, [{host: '/work/shop/common/data', mount: '/d'}]],
    ]);
    expect(read.builds[0]?.context).toBe('/work/shop/common/app');
  });

  it.each([
    ['services: {a: {image: x, extends: b}, b: {image: x, extends: a}}', /extends itself/],
    ['services: {a: {image: x, extends: gone}}', /no service gone/],
    ['include: [gone.yml]\nservices: {}', /no file gone.yml/],
    ['include: [docker-compose.yml]\nservices: {a: {image: x}}', /includes itself/],
  ])('%s is refused', async (text, message) => {
    expect((await refusal(project(text))).message).toMatch(message);
  });

  it('another file is included with its own directory and variables', async () => {
    const read = await project('include: [db/compose.yml]\nservices: {web: {image: "web:$TAG", depends_on: [db]}}', {
      tree: {'db/compose.yml': 'services: {db: {image: "db:$TAG", volumes: ["data:/d", "./init:/init"]}}\nvolumes: {data: {}}', 'db/.env': 'TAG=included', '.env': 'TAG=main'},
    });
    expect(read.apps.map(({name, spec}) => [name, spec.image])).toEqual([['web', 'web:main'], ['db', 'db:main']]);
    expect(read.apps[1]?.spec.volumes).toContainEqual({host: '/work/shop/db/init', mount: '/init'});
    expect(await refusal(project('include: [b.yml]\nservices: {web: {image: x}}', {tree: {'b.yml': 'services: {web: {image: y}}'}}))).toMatchObject({message: expect.stringContaining('services.web is defined in docker-compose.yml:')});
  });
});

describe('builds', () => {
  it('short and long', async () => {
    const read = await project('services: {a: {build: ./a}, b: {image: shop/b:1, build: {context: b, dockerfile: Dockerfile.prod, args: [V=1, FROM_ENV, GONE], target: prod, labels: {l: x}, no_cache: true, extra_hosts: ["h:1.2.3.4"]}}}', {env: {FROM_ENV: 'e'}});
    expect(read.builds).toEqual([
      {app: 'a', image: 'shop-a', context: '/work/shop/a', dockerfile: 'Dockerfile', args: {}, labels: {}, noCache: false, extraHosts: []},
      {app: 'b', image: 'shop/b:1', context: '/work/shop/b', dockerfile: 'Dockerfile.prod', args: {V: '1', FROM_ENV: 'e'}, target: 'prod', labels: {l: 'x'}, noCache: true, extraHosts: ['h:1.2.3.4']},
    ]);
    // Not looked for in a registry, where anyone may have taken the name.
    expect(read.apps.map(({spec}) => spec.pull)).toEqual([{policy: 'never'}, {policy: 'never'}]);
  });

  it('inline, and from afar', async () => {
    const read = await project('services: {a: {build: {dockerfile_inline: "FROM x"}}, b: {image: b, build: "https://git.example/repo.git"}}');
    expect(read.builds).toEqual([expect.objectContaining({app: 'a', context: '/work/shop', dockerfileInline: 'FROM x'})]);
    expect(notices(read, 'unsupported')).toEqual([expect.stringContaining('services.b.build.context: ')]);
  });
});
