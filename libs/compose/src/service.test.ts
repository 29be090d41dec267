import {notices, paths, project, refusal, service} from './testing/project.ts';

describe('a service as an app', () => {
  it.each([
    ['image alone', '', {}],
    ['command as text', 'command: nginx -g "daemon off;"', {args: ['nginx', '-g', 'daemon off;']}],
    ['command as list', 'command: [nginx, -p, 80]', {args: ['nginx', '-p', '80']}],
    ['entrypoint', 'entrypoint: /bin/sh -c\ncommand: ["echo hi"]', {command: ['/bin/sh', '-c'], args: ['echo hi']}],
    ['no entrypoint', 'entrypoint: []', {command: []}],
    ['command left to the image', 'command: null', {}],
    ['user, working_dir, hostname', 'user: 1000:1000\nworking_dir: /srv\nhostname: w', {user: '1000:1000', workdir: '/srv', hostname: 'w'}],
    ['numeric user', 'user: 1000', {user: '1000'}],
    ['switches', 'init: true\ntty: true\nread_only: true\nprivileged: true', {init: true, tty: true, readOnlyRoot: true, privileged: true}],
    ['capabilities', 'cap_add: [NET_ADMIN]\ncap_drop: [ALL]', {capabilities: {add: ['NET_ADMIN'], drop: ['ALL']}}],
    ['sysctls as a list', 'sysctls: [net.core.somaxconn=1024]', {sysctls: {'net.core.somaxconn': '1024'}}],
    ['sysctls as a map', 'sysctls: {net.core.somaxconn: 1024}', {sysctls: {'net.core.somaxconn': '1024'}}],
    ['extra_hosts as a list', 'extra_hosts: ["a:1.2.3.4", "b=host-gateway", "c:[::1]"]', {extraHosts: {a: '1.2.3.4', b: 'host-gateway', c: '::1'}}],
    ['extra_hosts as a map', 'extra_hosts: {a: 1.2.3.4}', {extraHosts: {a: '1.2.3.4'}}],
    ['dns', 'dns: 8.8.8.8', {dns: ['8.8.8.8']}],
    ['ulimits', 'ulimits: {nofile: {soft: 1024, hard: "4096"}, memlock: -1, core: "0"}', {ulimits: {nofile: {soft: 1024, hard: 4096}, memlock: -1, core: 0}}],
    ['shm_size', 'shm_size: 1gb', {shmSize: '1Gi'}],
    ['devices', 'devices: [/dev/fuse, "/dev/ttyUSB0:/dev/modem", "/dev/sda:/dev/xvda:mr", "/dev/kvm:r", {source: /dev/dri, target: /dev/gpu, permissions: rw}]', {devices: [{host: '/dev/fuse'}, {host: '/dev/ttyUSB0', mount: '/dev/modem'}, {host: '/dev/sda', mount: '/dev/xvda', permissions: 'rm'}, {host: '/dev/kvm', permissions: 'r'}, {host: '/dev/dri', mount: '/dev/gpu', permissions: 'rw'}]}],
    ['group_add', 'group_add: [video, 998]', {groups: ['video', '998']}],
    ['stop', 'stop_grace_period: 1m30s\nstop_signal: SIGQUIT', {stop: {grace: '90s', signal: 'SIGQUIT'}}],
    ['stop signal without SIG', 'stop_signal: quit', {stop: {signal: 'SIGQUIT'}}],
    ['environment as a map', 'environment: {A: 1, B: true, C: "x", D: 1.5}', {env: {A: '1', B: 'true', C: 'x', D: '1.5'}}],
    ['environment as a list', 'environment: [A=1, B=x=y, C=]', {env: {A: '1', B: 'x=y', C: ''}}],
    ['expose', 'expose: [6379, "7000-7001"]', {ports: [6379, 7000, 7001].map((container) => ({container, protocol: 'tcp'}))}],
    ['expose of what is published', 'ports: ["8080:80"]\nexpose: [80]', {ports: [{container: 80, host: 8080, protocol: 'tcp'}]}],
    ['labels', 'labels: [a=1, b]', {containerLabels: {a: '1', b: ''}}],
    ['restart always', 'restart: always', {restart: {policy: 'always'}}],
    ['restart unless-stopped', 'restart: unless-stopped', {restart: {policy: 'always'}}],
    ['restart no', 'restart: "no"', {restart: {policy: 'never'}}],
    ['restart no, unquoted', 'restart: no', {restart: {policy: 'never'}}],
    ['restart on-failure', 'restart: on-failure:3', {restart: {policy: 'on-failure', attempts: 3}}],
    ['restart_policy wins', 'restart: always\ndeploy: {restart_policy: {condition: on-failure, delay: 5s, max_attempts: 2}}', {restart: {policy: 'on-failure', attempts: 2, backoff: {initial: '5s'}}}],
    ['pull_policy', 'pull_policy: always', {pull: {policy: 'always'}}],
    ['replicas', 'deploy: {replicas: 3}', {replicas: 3}],
    ['replicas as text', 'deploy: {replicas: "3"}', {replicas: 3}],
    ['scale', 'scale: 2', {replicas: 2}],
    ['one a machine', 'deploy: {mode: global}', {mode: 'global'}],
    ['legacy limits', 'cpus: 0.5\nmem_limit: 64m\nmem_reservation: 32mb\npids_limit: 100', {resources: {cpuLimit: 0.5, memoryLimit: '64Mi', memory: '32Mi', pids: 100}}],
    ['no limit', 'pids_limit: -1\nmem_limit: 0', {}],
    [
      'deploy.resources', 'deploy: {resources: {limits: {cpus: "0.50", memory: 50M, pids: 10}, reservations: {cpus: "0.25", memory: 20M}}}',
      {resources: {cpuLimit: 0.5, memoryLimit: '50Mi', pids: 10, cpu: 0.25, memory: '20Mi'}},
    ],
    ['update start-first', 'deploy: {replicas: 4, update_config: {parallelism: 2, order: start-first, failure_action: rollback, monitor: 10s}}', {replicas: 4, update: {maxSurge: 2, maxUnavailable: 0, autoRollback: true, healthyFor: '10s'}}],
    ['update stop-first', 'deploy: {update_config: {}}', {update: {maxSurge: 0, maxUnavailable: 1, autoRollback: false}}],
    ['update all at once', 'deploy: {replicas: 4, update_config: {parallelism: 0}}', {replicas: 4, update: {maxSurge: 0, maxUnavailable: 4, autoRollback: false}}],
    ['placement', 'deploy: {placement: {constraints: ["node.labels.disk == ssd", node.hostname==n1, node.platform.arch!=arm64]}}', {placement: {nodes: ['n1'], constraints: [{label: 'disk', in: ['ssd']}, {label: 'hivemind.io/arch', notIn: ['arm64']}]}}],
    ['tmpfs', 'tmpfs: [/run, "/tmp:size=64m"]', {volumes: [{tmpfs: true, mount: '/run'}, {tmpfs: true, mount: '/tmp', size: '64Mi'}]}],
    ['tmpfs as text', 'tmpfs: /run', {volumes: [{tmpfs: true, mount: '/run'}]}],
    [
      'bind mounts', 'volumes: [./src:/app, ../up:/up:ro, ~/data:/d, /etc/hosts:/h:ro]',
      {volumes: [{host: '/work/shop/src', mount: '/app'}, {host: '/work/up', mount: '/up', readOnly: true}, {host: '/home/me/data', mount: '/d'}, {host: '/etc/hosts', mount: '/h', readOnly: true}]},
    ],
    [
      'long mounts', 'volumes: [{type: bind, source: ./src, target: /app, read_only: true}, {type: tmpfs, target: /t, tmpfs: {size: 1048576}}]',
      {volumes: [{host: '/work/shop/src', mount: '/app', readOnly: true}, {tmpfs: true, mount: '/t', size: '1Mi'}]},
    ],
  ])('%s', async (_what, body, expected) => {
    expect(await service(body)).toEqual({image: 'nginx', ...expected});
  });

  it.each([
    ['healthcheck with CMD', 'test: [CMD, curl, -f, localhost]', ['curl', '-f', 'localhost']],
    ['healthcheck with CMD-SHELL', 'test: [CMD-SHELL, curl localhost || exit 1]', ['/bin/sh', '-c', 'curl localhost || exit 1']],
    ['healthcheck as text', 'test: curl localhost', ['/bin/sh', '-c', 'curl localhost']],
  ])('%s is readiness and startup, never liveness', async (_what, test, exec) => {
    const {health} = await service(`healthcheck:\n  ${test}\n  interval: 1m\n  timeout: 10s\n  retries: 5\n  start_period: 40s\n  start_interval: 2s`);
    expect(health).toEqual({
      readiness: {exec, interval: '60s', timeout: '10s', failures: 5},
      startup: {exec, interval: '2s', timeout: '10s', failures: 1000},
    });
  });

  it('has the defaults of Compose, and patience for a long start_period', async () => {
    expect((await service('healthcheck: {test: "true"}')).health).toMatchObject({readiness: {interval: '30s', timeout: '30s', failures: 3}, startup: {interval: '5s'}});
    expect((await service('healthcheck: {test: "true", start_period: 3h}')).health).toMatchObject({startup: {interval: '10800ms', failures: 1000}});
  });

  it.each(['disable: true', 'test: [NONE]', 'test: []'])('healthcheck %s is none', async (body) => {
    expect(await service(`healthcheck: {${body}}`)).toEqual({image: 'nginx'});
  });

  it('reads env_file before environment, and takes what has no value from outside', async () => {
    const {env} = await service('env_file: [a.env, {path: gone.env, required: false}, {path: raw.env, format: raw}]\nenvironment: [B=own, OUTSIDE, UNSET, C]', {
      env: {OUTSIDE: 'o'},
      tree: {'a.env': 'A=1\nB=file\nC=gone\nD=${OUTSIDE}!', 'raw.env': 'E=$A'},
    });
    expect(env).toEqual({A: '1', B: 'own', D: 'o!', E: '$A', OUTSIDE: 'o'});
  });

  it('reads labels from files, and keeps those of Hivemind to itself', async () => {
    const read = await project('services: {web: {image: nginx, label_file: l, labels: {b: own, hivemind.app: x}, deploy: {labels: {tier: front, "not/a/label": y}}}}', {tree: {l: 'a=1\nb=2'}});
    expect(read.apps[0]).toMatchObject({labels: {tier: 'front', 'hivemind.io/project': 'shop'}, annotations: {'not/a/label': 'y'}, spec: {containerLabels: {a: '1', b: 'own'}}});
    expect(notices(read, 'unsupported')).toEqual([expect.stringContaining('services.web.labels.hivemind.app: ')]);
  });

  it.each([
    ['ports: [web]', 'services.web.ports[0]', /is not a port/],
    ['command: \'a "b\'', 'services.web.command', /quote/],
    ['restart: sometimes', 'services.web.restart', /unless-stopped/],
    ['mem_limit: lots', 'services.web.mem_limit', /is not a size/],
    ['stop_grace_period: 10', 'services.web.stop_grace_period', /as in 10s/],
    ['healthcheck: {test: [curl, x]}', 'services.web.healthcheck.test', /CMD-SHELL/],
    ['healthcheck: {test: x, interval: soon}', 'services.web.healthcheck.interval', /is not a duration/],
    ['scale: 2\ndeploy: {replicas: 3}', 'services.web.scale', /keep one/],
    ['deploy: {replicas: many}', 'services.web.deploy.replicas', /whole number/],
    ['deploy: {placement: {constraints: [ssd]}}', 'services.web.deploy.placement.constraints[0]', /node\.labels/],
    ['volumes: [data:/data]', 'services.web.volumes[0]', /no volume data/],
    ['volumes: [./x:relative]', 'services.web.volumes[0]', /absolute path/],
    ['networks: [back]', 'services.web.networks.back', /no network back/],
    ['configs: [c]', 'services.web.configs[0]', /no config c/],
    ['secrets: [s]', 'services.web.secrets[0]', /no secret s/],
    ['depends_on: [db]', 'services.web.depends_on.db', /no service db/],
    ['env_file: gone.env', 'services.web.env_file[0]', /no file \/work\/shop\/gone.env/],
    ['imge: x', 'services.web.imge', /did you mean image\?/],
    ['healthcheck: {test: x, retrys: 3}', 'services.web.healthcheck.retrys', /did you mean retries\?/],
    ['deploy: {resource: {}}', 'services.web.deploy.resource', /did you mean resources\?/],
    ['ports: {a: b}', 'services.web.ports', /./],
  ])('%s is refused', async (body, path, message) => {
    const error = await refusal(service(body));
    expect(error).toMatchObject({code: 'compose-invalid', status: 422});
    expect(error.errors).toContainEqual({path, message: expect.stringMatching(message)});
    expect(error.errors[0]?.message).toMatch(/\(docker-compose\.yml:\d+:\d+\)$/);
  });

  it('names everything wrong at once, each with its line', async () => {
    const error = await refusal(project('services:\n  a:\n    image: x\n    ports: [bad]\n  b:\n    restart: maybe\n'));
    expect(error.errors.map(({path, message}) => [path, /:(\d+):\d+\)$/.exec(message)?.[1]])).toEqual([['services.a.ports[0]', '4'], ['services.b', '6'], ['services.b.restart', '6']]);
  });
});

describe('what is not honoured is named', () => {
  it('everything of a service that asks for what will not happen', async () => {
    const read = await project(`
services:
  web:
    image: nginx
    security_opt: [no-new-privileges:true]
    group_add: []
    cpuset: "0"
    logging: {driver: syslog}
    devices: ["vendor.com/class=name"]
    network_mode: host
    build: {context: ., ssh: [default]}
    deploy: {mode: global-job, endpoint_mode: vip, update_config: {delay: 10s, failure_action: continue}, resources: {reservations: {devices: [{capabilities: [gpu]}]}}}
    volumes: ["data:/d:nocopy"]
    ports: [{target: 80, mode: host}]
    container_name: My+Web
    networks: {front: {ipv4_address: 10.0.0.5, priority: 5}}
    develop: {watch: []}
    x-mine: anything
volumes: {data: {driver: nfs, external: true}}
networks: {front: {internal: true, driver: macvlan}}
x-also-mine: {a: 1}
`);
    expect(paths(read, 'unsupported')).toEqual([
      'networks.front.driver', 'networks.front.internal',
      'services.web', // the name My+Web, which no resolver would ask for
      'services.web.build.ssh', 'services.web.cpuset', 'services.web.deploy.endpoint_mode', 'services.web.deploy.mode', 'services.web.deploy.resources.reservations.devices',
      'services.web.deploy.update_config.delay', 'services.web.deploy.update_config.failure_action', 'services.web.devices[0]', 'services.web.logging',
      'services.web.network_mode', 'services.web.networks.front.ipv4_address', 'services.web.security_opt',
      'services.web.volumes[0]', 'volumes.data.driver', 'volumes.data.external',
    ]);
    expect(paths(read, 'info')).toEqual(['services.web.container_name', 'services.web.develop', 'services.web.networks.front.priority', 'services.web.ports[0].mode']);
    expect(read.notices[0]?.at).toEqual({file: 'docker-compose.yml', line: 5, column: 19});
  });

  it('what is switched off or left empty asks for nothing', async () => {
    const read = await project('services: {web: {image: nginx, stdin_open: false, logging: null, oom_kill_disable: false}}');
    expect(read.notices).toEqual([]);
  });
});
