import {NetworkPolicySpec} from '@hivemind/contracts';
import {findings} from './check.ts';

const found = (spec: Partial<Record<'ingress' | 'egress', unknown>>) => findings(NetworkPolicySpec.parse({target: {all: true}, ...spec})).map(({path}) => path);

describe('what a policy can never do', () => {
  it('is said of a range with bits past its prefix, with what was meant', () => {
    expect(findings(NetworkPolicySpec.parse({target: {all: true}, egress: [{action: 'deny', to: {cidr: '10.1.2.3/16'}}]}))).toEqual([{path: 'spec.egress[0].to.cidr', message: '10.1.2.3/16 has bits past its prefix: did you mean 10.1.0.0/16?'}]);
  });

  it('is said of a rule behind one that matches all that it does', () => {
    expect(found({ingress: [{action: 'deny', from: {all: true}}, {action: 'allow', from: {app: 'web'}}]})).toEqual(['spec.ingress[1]']);
    expect(found({egress: [{action: 'allow', to: {cidr: '10.0.0.0/8'}, ports: [{port: 1, endPort: 99}]}, {action: 'deny', to: {cidr: '10.1.0.0/16'}, ports: [{port: 80}]}]})).toEqual(['spec.egress[1]']);
    expect(found({ingress: [{action: 'allow', from: {namespace: 'a'}}, {action: 'deny', from: {app: 'web', namespace: 'a'}}]})).toEqual(['spec.ingress[1]']);
  });

  it('is not said where some of it is left', () => {
    expect(found({ingress: [{action: 'allow', from: {app: 'web'}}, {action: 'deny', from: {all: true}}]})).toEqual([]);
    expect(found({ingress: [{action: 'deny', from: {all: true}, ports: [{port: 80}]}, {action: 'allow', from: {all: true}, ports: [{port: 80, protocol: 'udp'}]}]})).toEqual([]);
    expect(found({ingress: [{action: 'allow', from: {app: 'web'}}, {action: 'deny', from: {app: 'web', namespace: 'b'}}]})).toEqual([]);
    expect(found({egress: [{action: 'allow', to: {cidr: '10.0.0.0/16'}}, {action: 'deny', to: {cidr: '10.0.0.0/8'}}]})).toEqual([]);
  });
});
