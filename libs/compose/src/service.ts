/** One service of a Compose file to one app spec. */
import {AppSpec, type AppSpecInput, Labels} from '@hivemind/contracts';
import {defined, readMode, readPlacement, readReplicas, readResources, readRestart, readSize, readUpdate} from './deploy.ts';
import {readDevices} from './devices.ts';
import {readHealth} from './health.ts';
import {readMounts, type VolumeNames} from './mounts.ts';
import {type Port, readExposed, readPort} from './ports.ts';
import {composeDuration, durationText} from './quantity.ts';
import type {Service, Source} from './schema.ts';
import type {Scope} from './scope.ts';
import {readFiles} from './sources.ts';
import {splitWords} from './words.ts';

export type NamedSection = 'services' | 'networks' | 'configs' | 'secrets';

/** What a service is read against: the rest of its project. */
export interface ProjectView {
  readonly services: Readonly<Record<string, Service>>;
  /** Services whose profile is not asked for. */
  readonly inactive: ReadonlySet<string>;
  /** Resource name of what the file calls `written`. */
  nameOf(section: NamedSection, written: string): string;
  readonly volumes: VolumeNames;
  readonly networks: ReadonlySet<string>;
  /** Some service is on the default network and on others. */
  readonly defaultIsNamed: boolean;
  readonly configs: Readonly<Record<string, Source>>;
  readonly secrets: Readonly<Record<string, Source>>;
  /** Services that others wait for to end: they are jobs. */
  readonly awaited: ReadonlySet<string>;
  /** Further names that other services reach one by (`links`). */
  readonly linkAliases: ReadonlyMap<string, ReadonlySet<string>>;
}

export interface ServiceInput {
  readonly name: string;
  readonly service: Service;
  readonly image: string;
  /** The image is built from the file rather than pulled. */
  readonly built: boolean;
  /** With `env_file` and outside values filled in. */
  readonly environment: Readonly<Record<string, string>>;
  readonly containerLabels: Readonly<Record<string, string>>;
}

export interface ServiceApp {
  readonly name: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly annotations: Readonly<Record<string, string>>;
  readonly spec: AppSpecInput;
}

export function readService(input: ServiceInput, project: ProjectView, scope: Scope): ServiceApp {
  const {service} = input;
  const name = project.nameOf('services', input.name);
  const replicas = readReplicas(service, scope);
  const dependsOn = readDependencies(service, project, scope);
  const spec: AppSpecInput = {
    image: input.image,
    ...readProcess(service, scope),
    ...readEngineOptions(service, scope),
    ...defined({
      pull: readPull(service, input.built, scope),
      replicas,
      mode: project.awaited.has(input.name) ? 'job' as const : readMode(service.deploy, scope),
      ports: nonEmpty(readPorts(service, scope)),
      resources: readResources(service, scope),
      health: service.healthcheck ? readHealth(service.healthcheck, scope.at('healthcheck')) : undefined,
      volumes: nonEmpty(readMounts(name, service, project.volumes, scope)),
      files: nonEmpty([
        ...readFiles('config', service.configs ?? [], project.configs, (name) => project.nameOf('configs', name), scope),
        ...readFiles('secret', service.secrets ?? [], project.secrets, (name) => project.nameOf('secrets', name), scope),
      ]),
      aliases: nonEmpty(readAliases(input.name, name, service, project, scope)),
      networks: nonEmpty(readNetworks(service, project, scope)),
      env: nonEmptyObject(input.environment),
      containerLabels: nonEmptyObject(ownLabels(input.containerLabels, scope)),
      dependsOn: nonEmptyObject(dependsOn),
      restart: readJobRestart(project.awaited.has(input.name), service, scope),
      update: readUpdate(service.deploy, replicas ?? 1, scope),
      placement: readPlacement(service.deploy, scope),
      stop: readStop(service, scope),
    }),
  };
  return {name, ...readServiceLabels(service), spec};
}

/** A job that nobody limited is not repeated for ever: a failure is what its dependants are to hear of. */
function readJobRestart(awaited: boolean, service: Service, scope: Scope): AppSpecInput['restart'] {
  const restart = readRestart(service, scope);
  return awaited && (restart === undefined || restart.policy === 'always') ? {policy: 'never'} : restart;
}

function readProcess(service: Service, scope: Scope): Partial<AppSpecInput> {
  const words = (key: 'command' | 'entrypoint'): string[] | undefined => {
    const written = service[key];
    if (written === undefined || written === null) return undefined;
    if (typeof written !== 'string') return [...written];
    const split = splitWords(written);
    if (split === undefined) scope.at(key).error('a quote in it is not closed');
    return split === undefined ? undefined : [...split];
  };
  return defined({
    command: words('entrypoint'),
    args: words('command'),
    workdir: service.working_dir ?? undefined,
    user: service.user ?? undefined,
  });
}

function readEngineOptions(service: Service, scope: Scope): Partial<AppSpecInput> {
  const hosts: Record<string, string> = {};
  for (const [host, address] of Object.entries(service.extra_hosts ?? {})) {
    const [first, ...more] = Array.isArray(address) ? address : [address];
    if (first === null || first === undefined || first === '') scope.at('extra_hosts', host).error('needs an address: write name=address');
    else hosts[host] = first;
    if (more.length > 0) scope.at('extra_hosts', host).unsupported(`a name has one address here: ${more.join(', ')} is left out`);
  }
  return defined({
    hostname: service.hostname ?? undefined,
    init: service.init ?? undefined,
    tty: service.tty ?? undefined,
    readOnlyRoot: service.read_only ?? undefined,
    privileged: service.privileged ?? undefined,
    capabilities: service.cap_add || service.cap_drop ? defined({add: service.cap_add ?? undefined, drop: service.cap_drop ?? undefined}) : undefined,
    sysctls: service.sysctls ? Object.fromEntries(Object.entries(service.sysctls).map(([name, value]) => [name, value ?? ''])) : undefined,
    extraHosts: nonEmptyObject(hosts),
    dns: nonEmpty(service.dns ?? []),
    ulimits: nonEmptyObject(service.ulimits ?? {}),
    shmSize: readSize(service.shm_size, scope.at('shm_size')),
    devices: nonEmpty(readDevices(service, scope)),
    groups: nonEmpty(service.group_add ?? []),
  });
}

/** An image built here is not looked for in a registry: someone else's may carry that name there. */
function readPull(service: Service, built: boolean, scope: Scope): AppSpecInput['pull'] {
  switch (service.pull_policy) {
    case undefined:
    case null:
      return built ? {policy: 'never'} : undefined;
    case 'always':
    case 'never':
      return {policy: built ? 'never' : service.pull_policy};
    case 'missing':
    case 'if_not_present':
      return {policy: built ? 'never' : 'missing'};
    case 'build':
      return {policy: 'never'};
    default:
      scope.at('pull_policy').unsupported(`${service.pull_policy} is not known here; use always, missing, never or build`);
      return undefined;
  }
}

function readPorts(service: Service, scope: Scope): Port[] {
  const published = (service.ports ?? []).flatMap((port, index) => {
    const result = readPort(port);
    if ('problem' in result) scope.at('ports', index).error(result.problem);
    return 'problem' in result ? [] : result.ports;
  });
  const taken = new Set(published.map((port) => `${port.container}/${port.protocol ?? 'tcp'}`));
  const exposed = (service.expose ?? []).flatMap((port, index) => {
    const result = readExposed(port);
    if ('problem' in result) scope.at('expose', index).error(result.problem);
    return 'problem' in result ? [] : result.ports.filter((one) => !taken.has(`${one.container}/${one.protocol ?? 'tcp'}`));
  });
  return [...published, ...exposed];
}

function readDependencies(service: Service, project: ProjectView, scope: Scope): Record<string, 'started' | 'healthy' | 'completed'> {
  const result: Record<string, 'started' | 'healthy' | 'completed'> = {};
  for (const [name, {condition, required}] of Object.entries(service.depends_on ?? {})) {
    const place = scope.at('depends_on', name);
    const dependency = project.services[name];
    if (dependency === undefined || project.inactive.has(name)) {
      if (!required) place.info(`${name} is not part of what is applied: it is not waited for`);
      else if (dependency === undefined) place.error(`there is no service ${name}`);
      else place.error(`the service ${name} is not active: ask for its profile with --profile ${dependency.profiles?.[0] ?? name}`);
      continue;
    }
    if (condition === 'service_healthy' && !dependency.healthcheck) place.info(`${name} has no healthcheck in the file: it counts as healthy when it runs`);
    result[project.nameOf('services', name)] = condition === 'service_healthy' ? 'healthy' : condition === 'service_completed_successfully' ? 'completed' : 'started';
  }
  return result;
}

function readNetworks(service: Service, project: ProjectView, scope: Scope): string[] {
  const mode = service.network_mode;
  if (typeof mode === 'string' && mode !== 'bridge' && mode !== 'default') scope.at('network_mode').unsupported(`${mode} is not acted upon: the service is on the network of the project, reached by its name`);
  const networks = Object.keys(service.networks ?? {});
  for (const network of networks) {
    if (network !== 'default' && !project.networks.has(network)) scope.at('networks', network).error(`there is no network ${network} under networks of the file`);
  }
  // An app without networks is on the namespace's own. Where a service is on `default` and others, everyone's `default` is a
  // network of that name, so that they meet there.
  if (networks.every((network) => network === 'default')) return project.defaultIsNamed ? ['default'] : [];
  return networks.map((network) => project.nameOf('networks', network));
}

/** Every other name the service answers to: its own where that is no DNS label, `container_name`, network aliases and links. */
function readAliases(written: string, name: string, service: Service, project: ProjectView, scope: Scope): string[] {
  if (typeof service.container_name === 'string') scope.at('container_name').info('containers are named by Hivemind, since there may be several; the service is reached by this name too');
  const wanted = new Set([
    written,
    ...(typeof service.container_name === 'string' ? [service.container_name] : []),
    ...Object.values(service.networks ?? {}).flatMap((network) => network?.aliases ?? []),
    ...(project.linkAliases.get(written) ?? []),
  ]);
  wanted.delete(name);
  return [...wanted].filter((alias) => {
    const accepted = AppSpec.shape.aliases.safeParse([alias]).success;
    if (!accepted) scope.unsupported(`is not reached by the name ${alias}: it has characters that no name has; use ${name}`);
    return accepted;
  });
}

function ownLabels(labels: Readonly<Record<string, string>>, scope: Scope): Record<string, string> {
  return Object.fromEntries(Object.entries(labels).filter(([key]) => {
    const reserved = key.startsWith('hivemind.');
    if (reserved) scope.at('labels', key).unsupported('labels that begin with hivemind. are set by Hivemind');
    return !reserved;
  }));
}

/** `deploy.labels` are the app's; what is no label here (too long) is an annotation. */
function readServiceLabels(service: Service): {readonly labels: Readonly<Record<string, string>>; readonly annotations: Readonly<Record<string, string>>} {
  const labels: Record<string, string> = {};
  const annotations: Record<string, string> = {};
  for (const [key, value] of Object.entries(service.deploy?.labels ?? {})) {
    const one = {[key]: value ?? ''};
    Object.assign(Labels.safeParse(one).success ? labels : annotations, one);
  }
  return {labels, annotations};
}

function readStop(service: Service, scope: Scope): AppSpecInput['stop'] {
  const written = service.stop_grace_period;
  const grace = written === undefined || written === null ? undefined : composeDuration(written);
  if (written !== undefined && written !== null && grace === undefined) scope.at('stop_grace_period').error(`${JSON.stringify(written)} is not a duration: write a number with its unit, as in 10s`);
  const name = service.stop_signal?.toUpperCase();
  const signal = name === undefined ? undefined : name.startsWith('SIG') ? name : `SIG${name}`;
  const numeric = signal !== undefined && /^SIG\d+$/.test(signal);
  if (numeric) scope.at('stop_signal').unsupported('write the name of the signal, as in SIGQUIT');
  const stop = defined({signal: numeric ? undefined : signal, grace: grace === undefined ? undefined : durationText(grace)});
  return Object.keys(stop).length === 0 ? undefined : stop;
}

function nonEmpty<T>(list: readonly T[]): T[] | undefined {
  return list.length === 0 ? undefined : [...list];
}

function nonEmptyObject<T extends object>(object: T): T | undefined {
  return Object.keys(object).length === 0 ? undefined : object;
}
