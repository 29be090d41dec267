import {containerSpec} from '../../testing/builders.ts';
import {createBody} from './create-body.ts';

const body = (...spec: Parameters<typeof containerSpec>) => createBody(containerSpec(...spec), 'c1', 1);

describe('createBody', () => {
  it('limits what it takes of the machine', () => {
    const {HostConfig} = body({template: {resources: {cpu: 0.25, cpuLimit: '1500m', memory: '64Mi', memoryLimit: '128Mi', pids: 100}}});
    expect(HostConfig).toMatchObject({CpuShares: 256, NanoCpus: 1_500_000_000, MemoryReservation: 67_108_864, Memory: 134_217_728, MemorySwap: 134_217_728, PidsLimit: 100});
  });

  it('asks for no limit that nobody wrote', () => {
    const {HostConfig} = body();
    expect(JSON.parse(JSON.stringify(HostConfig))).toEqual({
      NetworkMode: 'none', PortBindings: {}, RestartPolicy: {Name: 'no'}, Mounts: [],
      LogConfig: {Type: 'json-file', Config: {'max-size': '10m', 'max-file': '3'}},
    });
    expect(body({template: {resources: {cpu: 0}}}).HostConfig?.CpuShares).toBe(2);
  });

  it('publishes the ports that have one on the machine', () => {
    const {ExposedPorts, HostConfig} = body({ports: [
      {container: 80, protocol: 'tcp', host: 8080, address: '127.0.0.1'},
      {container: 53, protocol: 'udp', host: 0},
      {container: 9000, protocol: 'tcp'},
    ]});
    expect(ExposedPorts).toEqual({'80/tcp': {}, '53/udp': {}, '9000/tcp': {}});
    expect(HostConfig?.PortBindings).toEqual({'80/tcp': [{HostIp: '127.0.0.1', HostPort: '8080'}], '53/udp': [{HostIp: '', HostPort: ''}]});
  });

  it('puts it on the machine\'s network at its own address, and asks for names there unless it says where itself, or nobody answers there', () => {
    const network = {bridge: 'hm0', subnet: '10.244.3.0/24', gateway: '10.244.3.1', others: '10.244.3.252/30', mtu: 1450, address: '10.244.3.7', dns: {servers: ['10.244.3.1'], search: ['shop.svc.hive', 'svc.hive'], options: ['ndots:1']}};
    const made = body({}, {network, networks: [{name: 'hivemind-c1', aliases: []}]});
    expect(made).toMatchObject({HostConfig: {NetworkMode: 'hivemind-c1', Dns: ['10.244.3.1'], DnsSearch: ['shop.svc.hive', 'svc.hive'], DnsOptions: ['ndots:1']}, NetworkingConfig: {EndpointsConfig: {'hivemind-c1': {Aliases: [], IPAMConfig: {IPv4Address: '10.244.3.7'}}}}});
    expect(body({template: {dns: ['1.1.1.1']}}, {network}).HostConfig).toMatchObject({Dns: ['1.1.1.1'], DnsSearch: ['shop.svc.hive', 'svc.hive']});
    expect(body({}, {network: {...network, dns: {...network.dns, servers: []}}}).HostConfig).toMatchObject({Dns: undefined, DnsSearch: ['shop.svc.hive', 'svc.hive']});
  });

  it('labels it as the cluster\'s, whatever the template says', () => {
    const {Labels} = body({id: 'web-1', template: {containerLabels: {'hivemind.cluster': 'other', tier: 'front'}}}, {labels: {'hivemind.app': 'web'}});
    expect(Labels).toEqual({'hivemind.cluster': 'c1', 'hivemind.container': 'web-1', 'hivemind.app': 'web', tier: 'front'});
  });

  it('takes command, args and their surroundings as they are', () => {
    expect(body({id: 'web-1'}, {env: {A: 'x=y z'}})).toMatchObject({Hostname: 'web-1', Env: ['A=x=y z'], Tty: false, OpenStdin: false, Healthcheck: {Test: ['NONE']}});
    const made = body({template: {command: ['/bin/a'], args: [], workdir: '/w', user: '1000:1000', hostname: 'h', tty: true, init: true, readOnlyRoot: true, privileged: true,
      capabilities: {add: ['NET_ADMIN'], drop: ['ALL']}, sysctls: {'net.core.somaxconn': '1024'}, ulimits: {nofile: 1024, memlock: {soft: 1, hard: -1}}, shmSize: '1Gi', devices: [{host: '/dev/fuse', permissions: 'rwm'}, {host: '/dev/a', mount: '/dev/b', permissions: 'r'}], groups: ['video'], dns: ['1.1.1.1'], extraHosts: {db: '10.0.0.2'}, stop: {signal: 'SIGINT', grace: '1500ms'}}});
    expect(made).toMatchObject({Entrypoint: ['/bin/a'], Cmd: [], WorkingDir: '/w', User: '1000:1000', Hostname: 'h', Tty: true, StopSignal: 'SIGINT', StopTimeout: 2});
    expect(made.HostConfig).toMatchObject({Init: true, ReadonlyRootfs: true, Privileged: true, CapAdd: ['NET_ADMIN'], CapDrop: ['ALL'], Sysctls: {'net.core.somaxconn': '1024'}, Ulimits: [{Name: 'memlock', Soft: 1, Hard: -1}, {Name: 'nofile', Soft: 1024, Hard: 1024}], ShmSize: 2 ** 30,
      Devices: [{PathOnHost: '/dev/fuse', PathInContainer: '/dev/fuse', CgroupPermissions: 'rwm'}, {PathOnHost: '/dev/a', PathInContainer: '/dev/b', CgroupPermissions: 'r'}], GroupAdd: ['video'], Dns: ['1.1.1.1'], ExtraHosts: ['db:10.0.0.2']});
  });

  it('mounts volumes, directories and memory', () => {
    const {HostConfig} = body({}, {mounts: [
      {type: 'volume', source: 'v', target: '/v', readOnly: false, labels: {'hivemind.cluster': 'c1'}},
      {type: 'bind', source: '/host', target: '/b', readOnly: true},
      {type: 'tmpfs', target: '/t', size: 1024},
    ]});
    expect(HostConfig?.Mounts).toMatchObject([
      {Type: 'volume', Source: 'v', Target: '/v', ReadOnly: false, VolumeOptions: {Labels: {'hivemind.cluster': 'c1'}}},
      {Type: 'bind', Source: '/host', Target: '/b', ReadOnly: true},
      {Type: 'tmpfs', Target: '/t', TmpfsOptions: {SizeBytes: 1024}},
    ]);
  });

  it('names as many networks as the engine takes at once', () => {
    const spec = containerSpec({}, {networks: [{name: 'a', aliases: ['web']}, {name: 'b', aliases: []}]});
    expect(createBody(spec, 'c1', 1)).toMatchObject({HostConfig: {NetworkMode: 'a'}, NetworkingConfig: {EndpointsConfig: {a: {Aliases: ['web']}}}});
    expect(Object.keys(createBody(spec, 'c1', 1).NetworkingConfig?.EndpointsConfig ?? {})).toEqual(['a']);
    expect(Object.keys(createBody(spec, 'c1', Infinity).NetworkingConfig?.EndpointsConfig ?? {})).toEqual(['a', 'b']);
  });
});
