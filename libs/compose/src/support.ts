/**
 * Every key of the Compose specification that is not acted upon, with why, and what to do. Anything in neither this table
 * nor schema.ts is not a Compose key and refused, with the nearest right name; `x-` keys are anyone's.
 */
import {nearestName} from '@hivemind/contracts';
import type {Findings} from './findings.ts';
import * as schema from './schema.ts';
import {locate, type Tree, toPlain} from './tree.ts';

type Reasons = Readonly<Record<string, string>>;

interface Section {
  /** `*`: any name or index. */
  readonly at: readonly string[];
  /** Keys that are read. */
  readonly read: readonly string[];
  /** Keys that ask for something that will not happen. */
  readonly unsupported?: Reasons;
  /** Keys that lose nothing. */
  readonly harmless?: Reasons;
}

const engineOnly = 'Hivemind does not set it; the engine\'s default applies';
const noIsolation = 'it would change what the container can reach, and is not applied';
const builder = 'the builder is not told of it';
const oneEngine = 'networks are made by Hivemind as bridges of the engine';

const service: Section = {
  at: ['services', '*'],
  read: [...Object.keys(schema.Service.shape), 'extends'],
  unsupported: {
    blkio_config: engineOnly, cgroup: engineOnly, cgroup_parent: engineOnly, cpu_count: engineOnly, cpu_percent: engineOnly, cpu_period: 'use cpus',
    cpu_quota: 'use cpus', cpu_rt_period: engineOnly, cpu_rt_runtime: engineOnly, cpu_shares: 'use deploy.resources.reservations.cpus', cpuset: engineOnly,
    credential_spec: 'it is for Windows containers', device_cgroup_rules: noIsolation,  dns_opt: engineOnly,
    dns_search: engineOnly, domainname: 'set hostname', external_links: 'only services of the project are reached by name', gpus: 'devices of the machine are not passed in',
    ipc: noIsolation, isolation: 'it is for Windows containers', logging: 'logs are kept by the engine with its default driver, read with hivemind logs',
    mac_address: engineOnly, mem_swappiness: engineOnly, memswap_limit: engineOnly, models: 'models are not run', oom_kill_disable: engineOnly, oom_score_adj: engineOnly,
    pid: noIsolation, platform: 'the engine takes the image for its own platform', post_start: 'hooks are not run', pre_stop: 'hooks are not run',
    provider: 'outside providers are not called', runtime: engineOnly, security_opt: noIsolation, stdin_open: 'standard input is closed; use hivemind exec',
    storage_opt: engineOnly, use_api_socket: noIsolation, userns_mode: noIsolation, uts: noIsolation, volumes_from: 'mount the same named volume in both services',
    pull_refresh_after: 'use pull_policy: always', annotations: 'annotations of the engine are not set; use labels',
  },
  harmless: {attach: 'it concerns docker compose up alone', develop: 'it concerns docker compose watch alone'},
};

const deploy = ['services', '*', 'deploy'] as const;

const sections: readonly Section[] = [
  {at: [], read: [...Object.keys(schema.ComposeFile.shape)], unsupported: {models: 'models are not run'}, harmless: {}},
  service,
  {
    at: ['services', '*', 'build'],
    read: Object.keys(schema.Build.shape),
    unsupported: {
      additional_contexts: 'there is one context, context', cache_from: builder, cache_to: builder, entitlements: builder, isolation: builder, network: builder, platforms: 'images are built for the machine\'s own platform',
      privileged: builder, provenance: builder, pull: builder, sbom: builder, secrets: 'a build gets no secrets', shm_size: builder, ssh: builder, tags: 'the image gets one name', ulimits: builder,
    },
  },
  {at: ['services', '*', 'healthcheck'], read: Object.keys(schema.Healthcheck.shape)},
  {at: ['services', '*', 'ports', '*'], read: Object.keys(schema.LongPort.shape), harmless: {app_protocol: 'nothing here depends on it', mode: 'a port is published on the machines of its containers, or on all where containers have a network'}},
  {at: ['services', '*', 'volumes', '*'], read: Object.keys(schema.LongMount.shape), unsupported: {volume: 'nocopy, subpath and labels of a mount are not set', image: 'images are not mounted'}, harmless: {consistency: 'it is about Docker Desktop'}},
  {at: ['services', '*', 'volumes', '*', 'bind'], read: ['create_host_path'], unsupported: {propagation: engineOnly, selinux: engineOnly, recursive: engineOnly}},
  {at: ['services', '*', 'volumes', '*', 'tmpfs'], read: ['size'], unsupported: {mode: engineOnly}},
  {at: ['services', '*', 'devices', '*'], read: Object.keys(schema.LongDevice.shape)},
  {at: ['services', '*', 'ulimits', '*'], read: ['soft', 'hard']},
  {at: ['services', '*', 'depends_on', '*'], read: Object.keys(schema.Dependency.shape), unsupported: {restart: 'a service is not restarted with what it depends on'}},
  {
    at: ['services', '*', 'networks', '*'],
    read: ['aliases'],
    unsupported: {ipv4_address: 'addresses are given by the engine', ipv6_address: 'addresses are given by the engine', link_local_ips: 'addresses are given by the engine', mac_address: engineOnly, driver_opts: engineOnly, interface_name: engineOnly},
    harmless: {priority: 'the order of networks does not matter', gw_priority: 'the order of networks does not matter'},
  },
  {at: ['services', '*', 'configs', '*'], read: Object.keys(schema.FileReference.shape)},
  {at: ['services', '*', 'secrets', '*'], read: Object.keys(schema.FileReference.shape)},
  {at: ['services', '*', 'env_file', '*'], read: Object.keys(schema.EnvFile.shape)},
  {at: deploy, read: Object.keys(schema.Deploy.shape), unsupported: {endpoint_mode: 'names answer with the addresses of all containers', rollback_config: 'a rollback goes as update_config says'}},
  {at: [...deploy, 'resources'], read: ['limits', 'reservations']},
  {at: [...deploy, 'resources', 'limits'], read: Object.keys(schema.DeployLimits.shape)},
  {at: [...deploy, 'resources', 'reservations'], read: Object.keys(schema.DeployReservations.shape), unsupported: {devices: 'devices of the machine are not passed in', generic_resources: 'only CPU and memory are counted', pids: 'it is a limit, not something to reserve'}},
  {at: [...deploy, 'update_config'], read: Object.keys(schema.UpdateConfig.shape), unsupported: {delay: 'the next step follows when the one before is healthy for as long as monitor says', max_failure_ratio: 'a single failure counts'}},
  {at: [...deploy, 'restart_policy'], read: Object.keys(schema.RestartPolicy.shape), unsupported: {window: 'a container counts as steady once it ran ten times its back-off'}},
  {at: [...deploy, 'placement'], read: ['constraints'], unsupported: {max_replicas_per_node: 'replicas are spread over the nodes, without a limit'}, harmless: {preferences: 'replicas are spread over the nodes in any case'}},
  {at: ['volumes', '*'], read: Object.keys(schema.NamedVolume.shape), unsupported: {driver_opts: 'volumes are local directories'}},
  {
    at: ['networks', '*'],
    read: Object.keys(schema.Network.shape),
    unsupported: {driver_opts: oneEngine, ipam: 'addresses are given by the engine', internal: 'containers on it reach the outside: it is not cut off', enable_ipv4: oneEngine, enable_ipv6: oneEngine},
    harmless: {attachable: oneEngine, labels: oneEngine, name: 'a network belongs to its project'},
  },
  {at: ['configs', '*'], read: Object.keys(schema.Source.shape), unsupported: {template_driver: 'contents are not a template', labels: 'they are not kept'}},
  {at: ['secrets', '*'], read: Object.keys(schema.Source.shape), unsupported: {template_driver: 'contents are not a template', labels: 'they are not kept', driver: 'secrets are kept by Hivemind', driver_opts: 'secrets are kept by Hivemind'}},
];

/** Reports every key of the file that is not read. */
export function reportUnread(tree: Tree, findings: Findings): void {
  visit(toPlain(tree), [], sections, (section, path, key) => {
    const place = [...path, key];
    const at = locate(tree, place);
    const reason = section.unsupported?.[key];
    if (reason !== undefined) findings.notice('unsupported', place, at, `is not acted upon: ${reason}`);
    else if (section.harmless?.[key] !== undefined) findings.notice('info', place, at, `is not needed: ${section.harmless[key]}`);
    else {
      const known = [...section.read, ...Object.keys(section.unsupported ?? {}), ...Object.keys(section.harmless ?? {})];
      const nearest = nearestName(key, known);
      findings.error(place, at, nearest === undefined ? 'is not a key of the Compose specification' : `is not a key of the Compose specification; did you mean ${nearest}?`);
    }
  });
}

function visit(value: unknown, path: readonly PropertyKey[], candidates: readonly Section[], unread: (section: Section, path: readonly PropertyKey[], key: string) => void): void {
  if (typeof value !== 'object' || value === null) return;
  const here = candidates.find((section) => section.at.length === path.length);
  const isList = Array.isArray(value);
  for (const [key, child] of Object.entries(value)) {
    const next = candidates.filter((section) => section.at.length > path.length && (section.at[path.length] === '*' || section.at[path.length] === key));
    if (here !== undefined && !isList && !here.read.includes(key)) {
      // A key without a value, or switched off, asks for nothing; a misspelt one is wrong whatever it says.
      const known = here.unsupported?.[key] ?? here.harmless?.[key];
      if (!key.startsWith('x-') && (known === undefined || (child !== null && child !== false))) unread(here, path, key);
    } else visit(child, [...path, isList ? Number(key) : key], next, unread);
  }
}

/** The table, for the documentation's test. */
export const supportTable: readonly Section[] = sections;
