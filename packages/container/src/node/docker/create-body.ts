/** A container as the Engine API takes it, from the runtime port's spec. Pure. */
import {cpuMillicores, durationMs, engineLabels, memoryBytes, type Memory, type PortBinding, ulimitsOf} from '@hivemind/contracts';
import type {RuntimeMount, RuntimeSpec} from '@hivemind/runtime';
import type Docker from 'dockerode';

type Body = Docker.ContainerCreateOptions;
type HostConfig = NonNullable<Body['HostConfig']>;

/** Of the engine's own default; a busy container otherwise fills the disk. */
const LOG_SIZE = '10m';
const LOG_FILES = '3';

/** @param endpoints how many networks may be named at once: engines before API 1.44 take one, the rest is connected afterwards */
export function createBody(spec: RuntimeSpec, cluster: string, endpoints: number): Body {
  const {record, env, labels, networks, network} = spec;
  const {template} = record;
  return {
    name: spec.name,
    Image: template.image,
    Entrypoint: template.command === undefined ? undefined : [...template.command],
    // An entrypoint of one's own makes the engine forget the image's CMD, as with Kubernetes' command and args.
    Cmd: template.args === undefined ? undefined : [...template.args],
    WorkingDir: template.workdir,
    User: template.user,
    Hostname: template.hostname ?? record.id,
    Tty: template.tty ?? false,
    OpenStdin: false,
    Env: Object.entries(env).map(([name, value]) => `${name}=${value}`),
    Labels: {...template.containerLabels, ...labels, [engineLabels.cluster]: cluster, [engineLabels.container]: record.id},
    ExposedPorts: Object.fromEntries(record.ports.map((port) => [portKey(port), {}])),
    StopSignal: template.stop.signal,
    StopTimeout: Math.ceil(durationMs(template.stop.grace) / 1000),
    // Health is probed by the node, with the app's own probes.
    Healthcheck: {Test: ['NONE']},
    HostConfig: hostConfig(spec),
    NetworkingConfig: {
      EndpointsConfig: Object.fromEntries(networks.slice(0, endpoints).map(({name, aliases}) => [name, {Aliases: [...aliases], ...(network ? {IPAMConfig: {IPv4Address: network.address}} : {})}])),
    },
  };
}

/** The engine refuses to reserve less; so little is promised by the scheduler alone. */
const LEAST_RESERVATION = 6 * 2 ** 20;

function hostConfig({record, mounts, networks, network}: RuntimeSpec): HostConfig {
  const {template, ports} = record;
  const {resources, capabilities} = template;
  const memory = resources.memoryLimit === undefined ? undefined : memoryBytes(resources.memoryLimit);
  return {
    NetworkMode: networks[0]?.name ?? 'none',
    PortBindings: Object.fromEntries(
      ports.flatMap((port) => (port.host === undefined ? [] : [[portKey(port), [{HostIp: port.address ?? '', HostPort: port.host === 0 ? '' : String(port.host)}]]])),
    ),
    RestartPolicy: {Name: 'no'},
    LogConfig: {Type: 'json-file', Config: {'max-size': LOG_SIZE, 'max-file': LOG_FILES}},
    NanoCpus: resources.cpuLimit === undefined ? undefined : cpuMillicores(resources.cpuLimit) * 1e6,
    // The kernel's least weight is 2.
    CpuShares: resources.cpu === undefined ? undefined : Math.max(2, Math.round((cpuMillicores(resources.cpu) * 1024) / 1000)),
    Memory: memory,
    // Without it the engine allows as much swap again, and a limit would not be one.
    MemorySwap: memory,
    MemoryReservation: reservation(resources.memory),
    PidsLimit: resources.pids,
    Init: template.init,
    Privileged: template.privileged,
    ReadonlyRootfs: template.readOnlyRoot,
    CapAdd: capabilities?.add,
    CapDrop: capabilities?.drop,
    Sysctls: template.sysctls,
    Ulimits: template.ulimits && ulimitsOf(template.ulimits).map(({name, soft, hard}) => ({Name: name, Soft: soft, Hard: hard})),
    ShmSize: template.shmSize === undefined ? undefined : memoryBytes(template.shmSize),
    Devices: template.devices?.map(({host, mount: path = host, permissions}) => ({PathOnHost: host, PathInContainer: path, CgroupPermissions: permissions})),
    GroupAdd: template.groups,
    Dns: template.dns ?? (network && network.dns.servers.length > 0 ? [...network.dns.servers] : undefined),
    DnsSearch: network && [...network.dns.search],
    DnsOptions: network && [...network.dns.options],
    ExtraHosts: template.extraHosts === undefined ? undefined : Object.entries(template.extraHosts).map(([host, address]) => `${host}:${address}`),
    Mounts: mounts.map(mount),
  };
}

function mount(from: RuntimeMount): Docker.MountSettings {
  switch (from.type) {
    case 'volume':
      return {Type: 'volume', Source: from.source, Target: from.target, ReadOnly: from.readOnly, VolumeOptions: {NoCopy: false, Labels: {...from.labels}, DriverConfig: {Name: 'local', Options: {}}}};
    case 'bind':
      return {Type: 'bind', Source: from.source, Target: from.target, ReadOnly: from.readOnly};
    case 'tmpfs':
      return {Type: 'tmpfs', Source: '', Target: from.target, TmpfsOptions: {SizeBytes: from.size ?? 0, Mode: 0o1777}};
  }
}

function portKey({container, protocol}: PortBinding): string {
  return `${container}/${protocol}`;
}

function reservation(memory: Memory | undefined): number | undefined {
  const bytes = memory === undefined ? 0 : memoryBytes(memory);
  return bytes < LEAST_RESERVATION ? undefined : bytes;
}
