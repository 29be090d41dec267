import {IngressSpec} from '@hivemind/contracts';
import {conflictsOf, repeated, settle} from './claims.ts';

const at = (second: number): string => `2026-01-01T00:00:0${second}Z`;
const ingress = (name: string, spec: object, {namespace = 'shop', createdAt = at(0)} = {}) =>
  ({name, namespace, spec: IngressSpec.parse(spec), meta: {uid: name, generation: 1, createdAt, updatedAt: createdAt}});
const rules = (...list: object[]) => ({rules: list.map((rule) => ({app: 'web', ...rule}))});

describe('what ingresses claim', () => {
  it('is the same where the same requests match, however it is written', () => {
    const first = ingress('a', rules({host: 'shop.example', path: '/api', headers: {'X-Canary': '1'}}));
    const same = ingress('b', rules({path: '/'}, {host: 'shop.example', path: '/api/', headers: {'x-canary': '1'}}));
    expect(conflictsOf(same, [first])).toEqual([{path: 'spec.rules[1]', what: 'shop.example/api/', owner: first}]);
    for (const other of [{host: 'shop.example', path: '/api', match: 'exact', headers: {'x-canary': '1'}}, {host: '*.shop.example', path: '/api'}, {path: '/api', headers: {'x-canary': '1'}}, {host: 'shop.example', path: '/api', cookies: {beta: '1'}}]) {
      expect(conflictsOf(ingress('b', rules(other)), [first])).toEqual([]);
    }
    expect(conflictsOf(first, [first])).toEqual([]);
  });

  it('is apart on other ports, and on machines that are named and others', () => {
    const first = ingress('a', {...rules({}), nodes: {names: ['n1', 'n2']}});
    expect(conflictsOf(ingress('b', {...rules({}), listen: {http: 8080}}), [first])).toEqual([]);
    expect(conflictsOf(ingress('b', {...rules({}), nodes: {names: ['n3']}}), [first])).toEqual([]);
    expect(conflictsOf(ingress('b', {...rules({}), nodes: {names: ['n2']}}), [first])).toHaveLength(1);
    expect(conflictsOf(ingress('b', rules({})), [first])).toHaveLength(1);
  });

  it('a port is HTTP or HTTPS, for all', () => {
    const first = ingress('a', {...rules({host: 'a.example'}), tls: [{file: 'a.pem'}], listen: {http: false, https: 8443}});
    expect(conflictsOf(ingress('b', {...rules({host: 'b.example'}), listen: {http: 8443}}), [first])).toEqual([{path: 'spec.listen.http', what: 'port 8443', owner: first}]);
    expect(conflictsOf(ingress('b', {...rules({host: 'b.example'}), tls: [{secret: 'b'}], listen: {https: 8443}}), [first])).toEqual([]);
  });

  it('of one ingress is said once', () => {
    expect(repeated(IngressSpec.parse(rules({path: '/a'}, {path: '/b'}, {path: '/a/'})))).toEqual([{path: 'spec.rules[2]', message: 'claims */a/, as spec.rules[0] does'}]);
  });

  it('by two that were written at the same moment belongs to the older; the other keeps the rest', () => {
    const young = ingress('a', rules({path: '/x'}, {path: '/y'}), {createdAt: at(2)});
    const old = ingress('z', rules({path: '/y'}), {createdAt: at(1)});
    const other = ingress('p', {...rules({}), listen: {http: false, https: 80}, tls: [{file: 'x.pem'}]}, {createdAt: at(3)});
    expect(settle([young, other, old]).map(({ingress: {name}, rules: kept}) => [name, kept.map(({path}) => path)])).toEqual([['z', ['/y']], ['a', ['/x']], ['p', []]]);
  });
});
