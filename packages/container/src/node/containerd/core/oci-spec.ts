/** What runc is told: the OCI runtime spec of one container. Pure. */
import {cpuMillicores, memoryBytes, type ContainerRecord, type ContainerTemplate, ulimitsOf} from '@hivemind/contracts';
import {capabilitiesOf} from './capabilities.ts';
import type {ImageConfig} from './manifest.ts';
import {seccompProfile} from './seccomp.ts';
import type {User} from './users.ts';

/** What the machine allows. */
export interface MachineFacts {
  /** By Node's name. */
  readonly arch: string;
  /** `CapBnd` of /proc. */
  readonly capabilities: bigint;
  /** Swap is accounted for, so that a limit of memory can include it. */
  readonly swapLimit: boolean;
  /** Limits of processes may be raised, and their OOM score lowered: where not, they have containerd's own. */
  readonly raisesLimits: boolean;
}

export interface Mount {
  readonly destination: string;
  readonly type: string;
  readonly source: string;
  readonly options: readonly string[];
}

export interface Device {
  readonly path: string;
  readonly type: 'c' | 'b';
  readonly major: number;
  readonly minor: number;
}

/** One that the app asked for. */
export interface GivenDevice extends Device {
  /** As on the machine: permissions, and whose it is. */
  readonly fileMode: number;
  readonly uid: number;
  readonly gid: number;
  /** `rwm` or less. */
  readonly access: string;
}

export interface SpecInput {
  readonly record: ContainerRecord;
  readonly image: ImageConfig;
  readonly env: Readonly<Record<string, string>>;
  readonly user: User;
  /** Binds and tmpfs, sources resolved. */
  readonly mounts: readonly Mount[];
  readonly cgroupsPath: string;
  /** A static init program on the machine, where one is wanted. */
  readonly init?: string;
  /** The machine's, for privileged ones. */
  readonly devices: readonly Device[];
  readonly given: readonly GivenDevice[];
  readonly machine: MachineFacts;
}

const PATH = '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin';
const INIT = '/dev/init';
const PERIOD_US = 100_000;
/** The kernel takes no less. */
const LEAST_QUOTA_US = 1_000;
const LEAST_SHARES = 2;
/** Few programs need more than the first at once, and some walk through all that they may have. */
const OPEN_FILES = {soft: 65_536, hard: 1_048_576};
/** Of /dev/shm, bytes. */
const USUAL_SHARED_MEMORY = 64 * 2 ** 20;

const masked = ['asound', 'acpi', 'kcore', 'keys', 'latency_stats', 'timer_list', 'timer_stats', 'sched_debug', 'scsi', 'interrupts'].map((name) => `/proc/${name}`).concat('/sys/firmware', '/sys/devices/virtual/powercap');
const readonly = ['bus', 'fs', 'irq', 'sys', 'sysrq-trigger'].map((name) => `/proc/${name}`);

/** @throws TypeError in words, where it cannot be: no command, an unknown capability */
export function ociSpec(input: SpecInput): Readonly<Record<string, unknown>> {
  const {record, machine, devices, given} = input;
  const places = new Set(given.map(({path}) => path));
  const {template} = record;
  const privileged = template.privileged ?? false;
  const capabilities = capabilitiesOf(template.capabilities ?? {}, privileged, machine.capabilities);
  return {
    ociVersion: '1.0.2',
    process: {...processOf(input), capabilities: {bounding: capabilities, effective: capabilities, permitted: capabilities}},
    root: {path: 'rootfs', readonly: template.readOnlyRoot ?? false},
    hostname: template.hostname ?? record.id,
    mounts: [...systemMounts(template), ...(input.init === undefined ? [] : [{destination: INIT, type: 'bind', source: input.init, options: ['bind', 'ro']}]), ...byDepth(input.mounts)],
    linux: {
      namespaces: [{type: 'pid'}, {type: 'ipc'}, {type: 'uts'}, {type: 'mount'}, {type: 'network'}],
      cgroupsPath: input.cgroupsPath,
      resources: resourcesOf(record, machine, given),
      ...(template.sysctls === undefined ? {} : {sysctl: template.sysctls}),
      devices: [
        ...devices.filter(({path}) => !places.has(path)).map(({path, type, major, minor}) => ({path, type, major, minor})),
        ...given.map(({path, type, major, minor, fileMode, uid, gid}) => ({path, type, major, minor, fileMode, uid, gid})),
      ],
      ...(privileged ? {} : {seccomp: seccompProfile(capabilities, machine.arch), maskedPaths: masked, readonlyPaths: readonly}),
    },
  };
}

/** A command in a running container, as its main process would run it. */
export function execProcess(main: Readonly<Record<string, unknown>>, options: {readonly command: readonly string[]; readonly tty: boolean; readonly env: Readonly<Record<string, string>>; readonly user?: User; readonly workdir?: string; readonly columns?: number; readonly rows?: number}): Readonly<Record<string, unknown>> {
  const {command, tty, env, user, workdir, columns, rows} = options;
  const given = Array.isArray(main['env']) ? main['env'].filter((entry) => typeof entry === 'string') : [];
  const added = {...(tty && !given.some((entry) => entry.startsWith('TERM=')) ? {TERM: 'xterm'} : {}), ...env};
  return {
    ...main,
    args: [...command],
    terminal: tty,
    env: [...given.filter((entry) => !(entry.slice(0, entry.indexOf('=')) in added)), ...pairs(added)],
    ...(user === undefined ? {} : {user: {uid: user.uid, gid: user.gid, additionalGids: user.additionalGids}}),
    ...(workdir === undefined ? {} : {cwd: workdir}),
    ...(tty && columns !== undefined && rows !== undefined ? {consoleSize: {width: columns, height: rows}} : {}),
  };
}

function processOf({record, image, env, user, init, machine}: SpecInput): Readonly<Record<string, unknown>> {
  const {template} = record;
  const {config} = image;
  const entrypoint = template.command ?? config?.Entrypoint ?? [];
  // An entrypoint of one's own makes the image's CMD moot, as with Docker.
  const args = [...entrypoint, ...(template.args ?? (template.command === undefined ? config?.Cmd : undefined) ?? [])];
  if (args.length === 0) throw new TypeError('neither the app nor the image says what to run: give it a command');
  const tty = template.tty ?? false;
  const workdir = template.workdir ?? (config?.WorkingDir || '/');
  const fromImage = Object.fromEntries((config?.Env ?? []).map((entry) => [entry.split('=', 1)[0] ?? '', entry.slice(entry.indexOf('=') + 1)]));
  return {
    terminal: tty,
    user: {uid: user.uid, gid: user.gid, additionalGids: user.additionalGids},
    args: init === undefined ? args : [INIT, '--', ...args],
    env: pairs({PATH, HOSTNAME: template.hostname ?? record.id, ...(tty ? {TERM: 'xterm'} : {}), HOME: user.home, ...fromImage, ...env}),
    cwd: workdir.startsWith('/') ? workdir : `/${workdir}`,
    noNewPrivileges: false,
    ...rlimitsOf(template, machine),
    ...(machine.raisesLimits ? {oomScoreAdj: 0} : {}),
  };
}

/** What the app asks for is asked of the kernel, which may refuse; the usual limit is left out where it would. */
function rlimitsOf({ulimits = {}}: ContainerTemplate, {raisesLimits}: MachineFacts): Readonly<Record<string, unknown>> {
  const limits = ulimitsOf({...(raisesLimits ? {nofile: OPEN_FILES} : {}), ...ulimits});
  return limits.length === 0 ? {} : {rlimits: limits.map(({name, soft, hard}) => ({type: `RLIMIT_${name.toUpperCase()}`, soft, hard}))};
}

function systemMounts({privileged = false, shmSize = USUAL_SHARED_MEMORY}: ContainerTemplate): readonly Mount[] {
  const access = privileged ? 'rw' : 'ro';
  return [
    {destination: '/proc', type: 'proc', source: 'proc', options: ['nosuid', 'noexec', 'nodev']},
    {destination: '/dev', type: 'tmpfs', source: 'tmpfs', options: ['nosuid', 'strictatime', 'mode=755', 'size=65536k']},
    {destination: '/dev/pts', type: 'devpts', source: 'devpts', options: ['nosuid', 'noexec', 'newinstance', 'ptmxmode=0666', 'mode=0620', 'gid=5']},
    {destination: '/sys', type: 'sysfs', source: 'sysfs', options: ['nosuid', 'noexec', 'nodev', access]},
    {destination: '/sys/fs/cgroup', type: 'cgroup', source: 'cgroup', options: ['nosuid', 'noexec', 'nodev', 'relatime', access]},
    {destination: '/dev/mqueue', type: 'mqueue', source: 'mqueue', options: ['nosuid', 'noexec', 'nodev']},
    {destination: '/dev/shm', type: 'tmpfs', source: 'shm', options: ['nosuid', 'noexec', 'nodev', 'mode=1777', `size=${memoryBytes(shmSize)}`]},
  ];
}

/** What lies in another comes after it. */
function byDepth(mounts: readonly Mount[]): readonly Mount[] {
  const depth = ({destination}: Mount): number => destination.split('/').filter(Boolean).length;
  return mounts.toSorted((a, b) => depth(a) - depth(b));
}

function resourcesOf({template: {resources, privileged = false}}: ContainerRecord, {swapLimit}: MachineFacts, given: readonly GivenDevice[]): Readonly<Record<string, unknown>> {
  const {cpu, cpuLimit, memory, memoryLimit, pids} = resources;
  const limit = memoryLimit === undefined ? undefined : memoryBytes(memoryLimit);
  return {
    devices: [{allow: privileged, access: 'rwm'}, ...given.map(({type, major, minor, access}) => ({allow: true, type, major, minor, access}))],
    cpu: {
      ...(cpu === undefined ? {} : {shares: Math.max(LEAST_SHARES, Math.round((cpuMillicores(cpu) * 1024) / 1000))}),
      ...(cpuLimit === undefined ? {} : {quota: Math.max(LEAST_QUOTA_US, Math.round((cpuMillicores(cpuLimit) * PERIOD_US) / 1000)), period: PERIOD_US}),
    },
    memory: {
      // Without the second, as much swap again could be used, and the limit would not be one.
      ...(limit === undefined ? {} : {limit, ...(swapLimit ? {swap: limit} : {})}),
      ...(memory === undefined || memoryBytes(memory) === 0 ? {} : {reservation: memoryBytes(memory)}),
    },
    ...(pids === undefined ? {} : {pids: {limit: pids}}),
  };
}

function pairs(env: Readonly<Record<string, string>>): readonly string[] {
  return Object.entries(env).map(([name, value]) => `${name}=${value}`);
}
