import {containerRecord, type ContainerOverrides} from '../../../testing/builders.ts';
import {capabilitiesOf} from './capabilities.ts';
import {execProcess, type MachineFacts, ociSpec} from './oci-spec.ts';
import {seccompProfile} from './seccomp.ts';

const all = 0x1ffffffffffn;
const machine: MachineFacts = {arch: 'x64', capabilities: all, swapLimit: true, raisesLimits: true};
const image = {config: {Env: ['PATH=/bin', 'A=image'], Cmd: ['serve'], Entrypoint: ['/entry'], WorkingDir: '/app'}, rootfs: {diff_ids: []}};
const root = {uid: 0, gid: 0, additionalGids: [], home: '/root'};

interface Spec {
  readonly process: Readonly<Record<string, unknown>> & {readonly args: readonly string[]; readonly env: readonly string[]};
  readonly mounts: readonly {readonly destination: string}[];
  readonly linux: Readonly<Record<string, unknown>>;
}

function specOf(template: NonNullable<ContainerOverrides['template']>, input: Partial<Parameters<typeof ociSpec>[0]> = {}): Spec {
  return ociSpec({record: containerRecord({template}), image, env: {}, user: root, mounts: [], cgroupsPath: '/hivemind/x', devices: [], given: [], machine, ...input}) as unknown as Spec;
}

describe('what runc is told', () => {
  it.each([
    [{}, ['/entry', 'serve']],
    [{args: ['other']}, ['/entry', 'other']],
    [{command: ['sh']}, ['sh']],
    [{command: ['sh'], args: ['-c', 'x']}, ['sh', '-c', 'x']],
  ])('of %j: run %j', (template, args) => {
    expect(specOf(template).process.args).toEqual(args);
  });

  it('wants something to run', () => {
    expect(() => specOf({}, {image: {rootfs: {diff_ids: []}}})).toThrow('give it a command');
  });

  it('puts the app\'s environment above the image\'s', () => {
    expect(specOf({}, {env: {A: 'app', B: '1=2'}}).process.env).toEqual(['PATH=/bin', 'HOSTNAME=web-1', 'HOME=/root', 'A=app', 'B=1=2']);
  });

  it('limits what is limited, swap with memory where the machine counts it', () => {
    const resources = {cpu: 0.25, cpuLimit: 0.5, memory: '16Mi' as const, memoryLimit: '32Mi' as const, pids: 20};
    expect(specOf({resources}).linux).toMatchObject({resources: {cpu: {shares: 256, quota: 50_000, period: 100_000}, memory: {limit: 33_554_432, swap: 33_554_432, reservation: 16_777_216}, pids: {limit: 20}}});
    expect(specOf({resources}, {machine: {...machine, swapLimit: false}}).linux).toMatchObject({resources: {memory: {limit: 33_554_432, reservation: 16_777_216}}});
  });

  it('mounts what lies in another after it', () => {
    const mount = (destination: string) => ({destination, type: 'bind', source: '/x', options: []});
    expect(specOf({}, {mounts: [mount('/a/b/c'), mount('/a')]}).mounts.slice(-2).map(({destination}) => destination)).toEqual(['/a', '/a/b/c']);
  });

  it('hides the machine, unless the container is privileged', () => {
    expect(specOf({}).linux).toMatchObject({maskedPaths: expect.arrayContaining(['/proc/kcore']), seccomp: {defaultAction: 'SCMP_ACT_ERRNO'}, resources: {devices: [{allow: false, access: 'rwm'}]}});
    const {linux} = specOf({privileged: true}, {devices: [{path: '/dev/kvm', type: 'c', major: 10, minor: 232}]});
    expect(linux).toMatchObject({devices: [{path: '/dev/kvm'}], resources: {devices: [{allow: true}]}});
    expect(linux['seccomp'] ?? linux['maskedPaths']).toBeUndefined();
  });

  it('passes devices in that the app asks for, and lets it do with them no more than that', () => {
    const given = [{path: '/dev/modem', type: 'c' as const, major: 188, minor: 0, fileMode: 0o660, uid: 0, gid: 20, access: 'rw'}];
    expect(specOf({}, {given}).linux).toMatchObject({devices: [{path: '/dev/modem', major: 188, minor: 0, fileMode: 0o660, gid: 20}], resources: {devices: [{allow: false, access: 'rwm'}, {allow: true, type: 'c', major: 188, minor: 0, access: 'rw'}]}});
    expect(specOf({privileged: true}, {given, devices: [{path: '/dev/modem', type: 'c', major: 1, minor: 1}, {path: '/dev/kvm', type: 'c', major: 10, minor: 232}]}).linux['devices']).toMatchObject([{path: '/dev/kvm'}, {path: '/dev/modem', major: 188}]);
  });

  it('limits processes and shared memory as it is told, and files as usual', () => {
    const {process, mounts} = specOf({ulimits: {memlock: -1, nproc: {soft: 10, hard: 20}}, shmSize: '1Gi'});
    expect(process['rlimits']).toEqual([{type: 'RLIMIT_NOFILE', soft: 65_536, hard: 1_048_576}, {type: 'RLIMIT_MEMLOCK', soft: -1, hard: -1}, {type: 'RLIMIT_NPROC', soft: 10, hard: 20}]);
    expect(mounts.find(({destination}) => destination === '/dev/shm')).toMatchObject({options: expect.arrayContaining(['size=1073741824'])});
    expect(specOf({ulimits: {nofile: 99}}, {machine: {...machine, raisesLimits: false}}).process['rlimits']).toEqual([{type: 'RLIMIT_NOFILE', soft: 99, hard: 99}]);
  });

  it('asks for nothing that the machine forbids', () => {
    expect(specOf({}).process).toMatchObject({oomScoreAdj: 0, rlimits: [{type: 'RLIMIT_NOFILE'}]});
    const {process} = specOf({}, {machine: {...machine, raisesLimits: false}});
    expect(process['oomScoreAdj'] ?? process['rlimits']).toBeUndefined();
  });

  it('runs commands as the main process, with their own on top', () => {
    expect(execProcess({env: ['A=1', 'B=2'], cwd: '/app', user: {uid: 5}}, {command: ['x'], tty: true, env: {B: '3'}, columns: 80, rows: 24})).toEqual({
      env: ['A=1', 'TERM=xterm', 'B=3'], cwd: '/app', user: {uid: 5}, args: ['x'], terminal: true, consoleSize: {width: 80, height: 24},
    });
  });
});

describe('capabilities', () => {
  it('are the usual ones, with what is added and dropped', () => {
    expect(capabilitiesOf({}, false, all)).toHaveLength(14);
    expect(capabilitiesOf({add: ['net_admin']}, false, all)).toContain('CAP_NET_ADMIN');
    expect(capabilitiesOf({drop: ['ALL'], add: ['CAP_CHOWN']}, false, all)).toEqual(['CAP_CHOWN']);
    expect(capabilitiesOf({add: ['ALL'], drop: ['SYS_ADMIN']}, false, all)).not.toContain('CAP_SYS_ADMIN');
    expect(capabilitiesOf({}, true, all)).toHaveLength(41);
  });

  it('that are not known, or that the machine has not, are named', () => {
    expect(() => capabilitiesOf({add: ['FLY']}, false, all)).toThrow('FLY is not a capability');
    expect(() => capabilitiesOf({add: ['SYS_ADMIN']}, false, 1n)).toThrow('cannot give the capability CAP_SYS_ADMIN');
    expect(capabilitiesOf({}, false, 1n)).toEqual(['CAP_CHOWN']);
  });
});

describe('system calls', () => {
  const allowed = (capabilities: readonly string[]) => seccompProfile(capabilities, 'x64').syscalls.filter(({action, args}) => action === 'SCMP_ACT_ALLOW' && !args).flatMap(({names}) => names);

  it('that manage the machine need their capability', () => {
    for (const name of ['mount', 'reboot', 'init_module', 'bpf', 'unshare', 'keyctl', 'kexec_load', 'io_uring_setup']) expect(allowed([])).not.toContain(name);
    for (const name of ['read', 'execve', 'futex', 'openat', 'epoll_wait', 'rseq']) expect(allowed([])).toContain(name);
    expect(allowed(['CAP_SYS_ADMIN'])).toEqual(expect.arrayContaining(['mount', 'unshare', 'clone', 'clone3']));
    expect(allowed(['CAP_SYS_BOOT'])).toContain('reboot');
  });

  it('are those of programs that a processor runs: of 32 bits too, and not of x32, of which there are none', () => {
    expect(seccompProfile([], 'x64').architectures).toEqual(['SCMP_ARCH_X86_64', 'SCMP_ARCH_X86']);
    expect(seccompProfile([], 'arm64').architectures).toEqual(['SCMP_ARCH_AARCH64', 'SCMP_ARCH_ARM']);
  });
});
