import {IngressSpec, type MachineIngress} from '@hivemind/contracts';
import type {ServiceView} from '../../model.ts';
import {compile, type CompileInput, serversOf} from './compile.ts';
import {planText, readPlan} from './plan.ts';

const ingress = (spec: object, name = 'site'): MachineIngress => ({namespace: 'shop', name, spec: IngressSpec.parse(spec)});
const view = (addresses: readonly string[], ports: ServiceView['ports'] = [{port: 80, protocol: 'tcp'}]): ServiceView =>
  ({namespace: 'shop', name: 'web', headless: false, addresses, ports, endpoints: addresses.map((address) => ({container: `web-${address}`, node: 'n1', address, ports, weight: 100}))});
const compiled = (ingresses: readonly MachineIngress[], more: Partial<CompileInput> = {}) =>
  compile({version: 'v', ingresses, service: () => view(['10.0.0.1', '10.0.0.2']), before: {}, dir: '/run/x', user: undefined, certificates: new Map(), files: [], problem: '', ...more});
/** Lines of one section, trimmed. */
const section = (config: string, head: string): readonly string[] => {
  const lines = config.split('\n');
  const start = lines.indexOf(head);
  const rest = lines.slice(start + 1);
  const end = rest.findIndex((line) => !line.startsWith(' '));
  return start < 0 ? [] : rest.slice(0, end).map((line) => line.trim());
};

describe('ingress as HAProxy is told it', () => {
  it('asks the most specific rule first, whichever ingress it is of', () => {
    const {config} = compiled([
      ingress({rules: [{app: 'web'}, {app: 'web', host: '*.example', path: '/a'}, {app: 'web', host: 'shop.example'}]}),
      ingress({rules: [{app: 'web', host: 'shop.example', path: '/api/v1'}, {app: 'web', host: 'shop.example', path: '/api/', headers: {'x-c': '1'}}, {app: 'web', host: 'shop.example', path: '/api'}, {app: 'web', host: 'shop.example', path: '/a', match: 'exact', cookies: {b: 'x y'}}, {app: 'web', host: '*.shop.example'}]}, 'more'),
    ]);
    expect(section(config, 'frontend http.80').filter((line) => /backend/.test(line))).toEqual([
      'use_backend hivemind.next-80 if { stopping }',
      "use_backend shop.more.3 if { var(txn.host) -m str 'shop.example' } { req.cook(b) -m str 'x y' } { path -m str '/a' }",
      "use_backend shop.more.0 if { var(txn.host) -m str 'shop.example' } { path -m str '/api/v1' }",
      "use_backend shop.more.0 if { var(txn.host) -m str 'shop.example' } { path -m beg '/api/v1/' }",
      "use_backend shop.more.1 if { var(txn.host) -m str 'shop.example' } { req.hdr(x-c) -m str '1' } { path -m str '/api' }",
      "use_backend shop.more.1 if { var(txn.host) -m str 'shop.example' } { req.hdr(x-c) -m str '1' } { path -m beg '/api/' }",
      "use_backend shop.more.2 if { var(txn.host) -m str 'shop.example' } { path -m str '/api' }",
      "use_backend shop.more.2 if { var(txn.host) -m str 'shop.example' } { path -m beg '/api/' }",
      "use_backend shop.site.2 if { var(txn.host) -m str 'shop.example' }",
      "use_backend shop.more.4 if { var(txn.host) -m end '.shop.example' }",
      "use_backend shop.site.1 if { var(txn.host) -m end '.example' } { path -m str '/a' }",
      "use_backend shop.site.1 if { var(txn.host) -m end '.example' } { path -m beg '/a/' }",
      'use_backend shop.site.0',
      'default_backend hivemind.nowhere',
    ]);
  });

  it('has another structure only where a reload is needed: containers and weights come and go without one', () => {
    const site = ingress({rules: [{app: 'web'}]});
    const before = compiled([site]);
    const later = compiled([site], {service: () => view(['10.0.0.2', '10.0.0.3', '10.0.0.4']), before: before.places});
    expect(later.structure).toBe(before.structure);
    expect(later.config).not.toBe(before.config);
    expect(section(later.config, 'backend shop.site.0').filter((line) => line.startsWith('server'))).toEqual([
      'server web.1 10.0.0.2:80 weight 100', 'server web.2 10.0.0.3:80 weight 100', 'server web.3 10.0.0.4:80 weight 100',
      ...[4, 5, 6, 7, 8].map((place) => `server web.${place} 0.0.0.0:1 disabled`),
    ]);
    expect(compiled([ingress({rules: [{app: 'web'}], balance: 'round-robin'})]).structure).not.toBe(before.structure);
    expect(later.config).toContain(`description ${later.structure}`);
  });

  it('is nothing where nothing is taken, or where no certificate can be had for the only port', () => {
    expect(compiled([])).toMatchObject({config: '', ports: []});
    const secure = ingress({rules: [{app: 'web'}], tls: [{file: 'a.pem'}], listen: {http: false, https: 8443}});
    expect(compiled([secure], {problem: 'a.pem: is not there'})).toMatchObject({config: '', problem: 'a.pem: is not there'});
    const {config, ports} = compiled([secure], {certificates: new Map([[8443, '/c/list']])});
    expect(ports).toEqual([8443]);
    expect(section(config, 'frontend https.8443')).toEqual(expect.arrayContaining(['bind *:8443 ssl crt-list /c/list alpn h2,http/1.1', 'bind unix@/run/x/8443.sock accept-proxy mode 600']));
  });

  it('leads to the port that the rule asks for, by number or name, or to the only one', () => {
    const two = view(['10.0.0.1'], [{name: 'http', port: 80, protocol: 'tcp'}, {name: 'admin', port: 81, protocol: 'tcp'}, {name: 'dns', port: 53, protocol: 'udp'}]);
    const portOf = (port: string | number | undefined, of: ServiceView = two) => serversOf({port}, of).map((server) => server.port);
    expect([portOf('admin'), portOf(80), portOf(undefined), portOf('dns'), portOf(9), portOf(undefined, view(['10.0.0.1']))]).toEqual([[81], [80], [], [], [], [80]]);
    expect(serversOf({port: 80}, undefined)).toEqual([]);
  });

  it('travels as a file, and what is none is none', () => {
    const plan = compiled([ingress({rules: [{app: 'web'}]})]);
    expect(readPlan(planText(plan))).toEqual(plan);
    for (const text of ['', 'null', '{}', planText(plan).replace('"format":2', '"format":1'), planText(plan).replace('"weight":100', '"weight":"x"')]) expect(readPlan(text)).toBeUndefined();
  });
});
