/** Compose files as people have them, and that the contract takes what is made of them. */
import {AppBody, ConfigBody, parseInput, SecretBody, unsupportedFields, VolumeBody} from '@hivemind/contracts';
import type {ComposeProject} from './project.ts';
import {notices, paths, project} from './testing/project.ts';

/** Every resource parses against the contract, and nothing of it is refused as not acted upon. */
function accepted(read: ComposeProject): readonly string[] {
  for (const body of read.volumes) parseInput(VolumeBody, body, body.name);
  for (const body of read.configs) parseInput(ConfigBody, body, body.name);
  for (const body of read.secrets) parseInput(SecretBody, body, body.name);
  return read.apps.map((body) => {
    expect(unsupportedFields(parseInput(AppBody, body, body.name).spec)).toEqual([]);
    return body.name;
  });
}

const votingApp = `
# version is now using "compose spec"
services:
  vote:
    build:
      context: ./vote
      target: dev
    depends_on:
      redis:
        condition: service_healthy
    healthcheck:
      test: ["CMD", "curl", "-f", "http://localhost"]
      interval: 15s
      timeout: 5s
      retries: 3
      start_period: 10s
    volumes:
     - ./vote:/usr/local/app
    ports:
      - "8080:80"
    networks:
      - front-tier
      - back-tier
  result:
    build: ./result
    entrypoint: nodemon --inspect=0.0.0.0 server.js
    depends_on:
      db:
        condition: service_healthy
    volumes:
      - ./result:/usr/local/app
    ports:
      - "8081:80"
      - "127.0.0.1:9229:9229"
    networks:
      - front-tier
      - back-tier
  worker:
    build:
      context: ./worker
    depends_on:
      redis:
        condition: service_healthy
      db:
        condition: service_healthy
    networks:
      - back-tier
  redis:
    image: redis:alpine
    volumes:
      - "./healthchecks:/healthchecks"
    healthcheck:
      test: /healthchecks/redis.sh
      interval: "5s"
    networks:
      - back-tier
  db:
    image: postgres:15-alpine
    environment:
      POSTGRES_USER: "postgres"
      POSTGRES_PASSWORD: "postgres"
    volumes:
      - "db-data:/var/lib/postgresql/data"
      - "./healthchecks:/healthchecks"
    healthcheck:
      test: /healthchecks/postgres.sh
      interval: "5s"
    networks:
      - back-tier
  seed:
    build: ./seed-data
    profiles: ["seed"]
    depends_on:
      vote:
        condition: service_healthy
    networks:
      - front-tier
    restart: "no"
volumes:
  db-data:
networks:
  front-tier:
  back-tier:
`;

const wordpress = `
version: "3.9"
services:
  db:
    # We use a mariadb image which supports both amd64 & arm64 architecture
    image: mariadb:10.6.4-focal
    command: '--default-authentication-plugin=mysql_native_password'
    volumes:
      - db_data:/var/lib/mysql
    restart: always
    environment:
      - MYSQL_ROOT_PASSWORD=somewordpress
      - MYSQL_DATABASE=wordpress
      - MYSQL_USER=wordpress
      - MYSQL_PASSWORD_FILE=/run/secrets/db_password
    secrets:
      - db_password
    expose:
      - 3306
      - 33060
  wordpress:
    image: wordpress:\${WORDPRESS_VERSION:-latest}
    ports:
      - 80:80
    restart: always
    depends_on: [db]
    environment:
      - WORDPRESS_DB_HOST=db
      - WORDPRESS_DB_USER=wordpress
      - WORDPRESS_DB_PASSWORD=\${DB_PASSWORD}
      - WORDPRESS_DB_NAME=wordpress
    volumes:
      - wp_data:/var/www/html
      - type: bind
        source: ./uploads.ini
        target: /usr/local/etc/php/conf.d/uploads.ini
        read_only: true
volumes:
  db_data:
  wp_data:
    name: wordpress-files
secrets:
  db_password:
    file: db/password.txt
`;

const stack = `
x-logging: &logging
  logging:
    driver: json-file
    options: {max-size: "10m"}
x-service: &service
  <<: *logging
  restart: unless-stopped
  networks: [backend]
services:
  proxy:
    <<: *service
    image: nginx:1.29-alpine
    ports:
      - target: 80
        published: "\${HTTP_PORT:-8080}"
        protocol: tcp
        mode: host
    configs:
      - source: nginx
        target: /etc/nginx/conf.d/default.conf
    networks: [frontend, backend]
    depends_on:
      api: {condition: service_healthy, restart: true}
  api:
    <<: *service
    build:
      context: .
      dockerfile: Dockerfile.prod
      args: {NODE_ENV: production}
    init: true
    read_only: true
    tmpfs: /tmp
    user: "1000:1000"
    env_file: [{path: .env.api, required: false}]
    environment:
      DATABASE_URL: postgres://app:\${PG_PASSWORD:?set PG_PASSWORD}@postgres:5432/app
      REDIS_URL: redis://redis:6379/0
    healthcheck:
      test: ["CMD-SHELL", "wget -qO- http://localhost:3000/health || exit 1"]
      interval: 10s
      start_period: 20s
      start_interval: 1s
    depends_on:
      postgres: {condition: service_healthy}
      redis: {condition: service_started}
      migrate: {condition: service_completed_successfully}
    deploy:
      replicas: 3
      resources:
        limits: {cpus: "1.5", memory: 512M}
        reservations: {cpus: "0.25", memory: 128M}
      update_config: {parallelism: 1, order: start-first, failure_action: rollback, monitor: 15s}
  migrate:
    <<: *service
    build: {context: ., dockerfile: Dockerfile.prod}
    command: npm run migrate
    restart: "no"
    depends_on: {postgres: {condition: service_healthy}}
  postgres:
    <<: *service
    image: postgres:16
    shm_size: 256mb
    environment: {POSTGRES_PASSWORD: "\${PG_PASSWORD}", POSTGRES_USER: app}
    volumes: ["pg_data:/var/lib/postgresql/data", "./init.sql:/docker-entrypoint-initdb.d/init.sql:ro,Z"]
    healthcheck: {test: ["CMD-SHELL", "pg_isready -U $\${POSTGRES_USER}"], interval: 5s, timeout: 5s, retries: 10}
    stop_grace_period: 1m
    ulimits: {nofile: {soft: 65536, hard: 65536}}
  redis:
    <<: *service
    image: redis:7-alpine
    command: ["redis-server", "--appendonly", "yes"]
    volumes: [redis_data:/data]
    sysctls: {net.core.somaxconn: 511}
networks:
  frontend: {}
  backend: {driver: bridge, internal: true}
volumes:
  pg_data: {}
  redis_data: {}
configs:
  nginx:
    content: |
      server {
        listen 80;
        location / { proxy_pass http://api:3000; proxy_set_header Host $$host; }
      }
`;

describe('Compose files of the world', () => {
  it('the voting app', async () => {
    const read = await project(votingApp);
    expect(accepted(read)).toEqual(['vote', 'result', 'worker', 'redis', 'db']);
    expect(read.notices).toEqual([]);
    expect(read.builds.map(({app, target}) => [app, target])).toEqual([['vote', 'dev'], ['result', undefined], ['worker', undefined]]);
    expect(read.apps.find(({name}) => name === 'result')?.spec).toMatchObject({command: ['nodemon', '--inspect=0.0.0.0', 'server.js'], dependsOn: {db: 'healthy'}, networks: ['front-tier', 'back-tier']});
    expect(accepted(await project(votingApp, {profiles: ['seed']}))).toContain('seed');
  });

  it('WordPress and MariaDB', async () => {
    const read = await project(wordpress, {env: {DB_PASSWORD: 'pw'}, tree: {'db/password.txt': 'pw\n'}});
    expect(accepted(read)).toEqual(['db', 'wordpress']);
    expect(paths(read, 'unsupported')).toEqual([]);
    expect(read.volumes.map(({name}) => name)).toEqual(['db-data', 'wp-data']);
    expect(read.apps[1]?.spec).toMatchObject({image: 'wordpress:latest', ports: [{container: 80, host: 80}], env: {WORDPRESS_DB_PASSWORD: 'pw', WORDPRESS_DB_HOST: 'db'}, dependsOn: {db: 'started'}});
    expect(read.apps[0]?.spec.args).toEqual(['--default-authentication-plugin=mysql_native_password']);
  });

  it('nginx, an API of three, PostgreSQL, Redis and a migration', async () => {
    const read = await project(stack, {env: {PG_PASSWORD: 'pw'}});
    expect(accepted(read)).toEqual(['proxy', 'api', 'migrate', 'postgres', 'redis']);
    expect(paths(read, 'unsupported')).toEqual([
      'networks.backend.internal', 'services.api.logging', 'services.migrate.logging', 'services.postgres.logging', 'services.postgres.volumes[1]',
      'services.proxy.depends_on.api.restart', 'services.proxy.logging', 'services.redis.logging',
    ]);
    expect(notices(read, 'info')).toEqual(expect.arrayContaining(['volumes.pg_data: is named pg-data here']));
    const api = read.apps[1]?.spec;
    expect(api).toMatchObject({
      replicas: 3, init: true, readOnlyRoot: true, user: '1000:1000', volumes: [{tmpfs: true, mount: '/tmp'}],
      resources: {cpu: 0.25, memory: '128Mi', cpuLimit: 1.5, memoryLimit: '512Mi'},
      update: {maxSurge: 1, maxUnavailable: 0, autoRollback: true, healthyFor: '15s'},
      dependsOn: {postgres: 'healthy', redis: 'started', migrate: 'completed'},
      env: {DATABASE_URL: 'postgres://app:pw@postgres:5432/app'},
    });
    expect(read.apps[2]?.spec).toMatchObject({mode: 'job', args: ['npm', 'run', 'migrate'], restart: {policy: 'never'}});
    expect(read.apps[3]?.spec.health?.readiness?.exec).toEqual(['/bin/sh', '-c', 'pg_isready -U ${POSTGRES_USER}']);
    expect(read.configs[0]?.spec.data.value).toContain('proxy_set_header Host $host;');
  });
});
