import {IngressSpec, type MachineIngress} from '@hivemind/contracts';
import type {ServiceView} from '../../model.ts';
import {compile, type CompileInput, serversOf} from './compile.ts';
import {planText, readPlan} from './plan.ts';

const ingress = (spec: object, name = 'site'): MachineIngress => ({namespace: 'shop', name, spec: IngressSpec.parse(spec)});
const view = (addresses: readonly string[], ports: ServiceView['ports'] = [{port: 80, protocol: 'tcp'}]): ServiceView =>
  ({namespace: 'shop', name: 'web', headless: false, addresses, ports, endpoints: addresses.map((address) => ({container: `web-${address}`, node: 'n1', address, ports, weight: 100}))});
const input: Omit<CompileInput, 'ingresses'> = {version: 'v', service: () => view(['10.0.0.1', '10.0.0.2']), before: {}, dir: '/run/x', user: undefined, certificates: new Map(), files: [], folder: '/maps', problem: ''};
const compiled = (ingresses: readonly MachineIngress[], more: Partial<CompileInput> = {}) => compile({...input, ingresses, ...more}).plan;
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

  it('looks hosts up in maps where there are many, but for those that are asked for more than a path, or stand for many', () => {
    const many = ingress({rules: [
      ...Array.from({length: 15}, (_, index) => ({app: 'web', host: `h${index}.example`})),
      {app: 'web', host: 'h0.example', path: '/a/'}, {app: 'web', host: 'h0.example', path: '/a/', match: 'exact'},
      {app: 'web', host: 'x.example'}, {app: 'web', host: 'x.example', headers: {a: 'b'}}, {app: 'web', host: '*.example'}, {app: 'web'},
    ]});
    const {plan: {config, files}, texts} = compile({...input, ingresses: [many]});
    expect([...texts.values()].map((text) => text.trim().split('\n').toSorted())).toEqual([
      ['h0.example/ shop.site.0', 'h0.example/a/ shop.site.15', ...Array.from({length: 14}, (_, index) => `h${index + 1}.example/ shop.site.${index + 1}`)].toSorted(), ['h0.example/a/ shop.site.16'],
    ]);
    const [prefix, exact] = [...texts.keys()];
    expect(files).toEqual([prefix, exact]);
    expect(prefix).toMatch(/^\/maps\/\w+\.map$/);
    expect(section(config, 'frontend http.80').filter((line) => /backend|txn.to|txn.path\) path/.test(line))).toEqual([
      'http-request set-var(txn.path) path',
      `http-request set-var(txn.to) var(txn.host),concat(,txn.path,/),map_beg(${prefix}) if !{ var(txn.host) -m sub / }`,
      `http-request set-var(txn.to) var(txn.host),concat(,txn.path),map_str(${exact}) if !{ var(txn.host) -m sub / }`,
      'use_backend hivemind.next-80 if { stopping }',
      "use_backend shop.site.18 if { var(txn.host) -m str 'x.example' } { req.hdr(a) -m str 'b' }",
      "use_backend shop.site.17 if { var(txn.host) -m str 'x.example' }",
      'use_backend %[var(txn.to)] if { var(txn.to) -m found }',
      "use_backend shop.site.19 if { var(txn.host) -m end '.example' }",
      'use_backend shop.site.20',
      'default_backend hivemind.nowhere',
    ]);
    const others = compile({...input, ingresses: [ingress({rules: [...many.spec.rules.slice(1), {app: 'web', host: 'h99.example'}]})]});
    expect(others.plan.structure).not.toBe(compile({...input, ingresses: [many]}).plan.structure);
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
