import {AppSpec, ServiceRecord} from '@hivemind/contracts';
import {anApp} from '../testing/builders.ts';
import {portClash, portErrors, portGiven} from './host-ports.ts';

const ports = (...hosts: (number | string)[]) => AppSpec.parse({image: 'x', ports: hosts.map((host) => ({container: 80, host}))}).ports;

describe('host ports of an app', () => {
  it('may not be asked for twice, nor as a range that is none', () => {
    expect(portErrors(ports(80, 81, '90-99', 0, 0))).toEqual([]);
    expect(portErrors(ports(80, 80)).map(({path}) => path)).toEqual(['spec.ports[1].host']);
    expect(portErrors(ports('99-90', '0-5', '1-70000')).map(({path}) => path)).toEqual(['spec.ports[0].host', 'spec.ports[1].host', 'spec.ports[2].host']);
  });

  it('belong to one app where there are not machines enough for both', () => {
    const mine = anApp({ports: [{container: 80, host: 8080}]}, {name: 'mine'});
    const theirs = anApp({ports: [{container: 1, host: 9}, {container: 80, host: 8080}], replicas: 2}, {name: 'theirs'});
    expect(portClash(mine, [mine, theirs], 1)).toMatchObject({index: 0, other: {name: 'theirs'}});
    expect(portClash(mine, [theirs], 2)).toBeDefined();
    expect(portClash(mine, [theirs], 3)).toBeUndefined();
    expect(portClash(mine, [{...theirs, deletedAt: 'now'}], 1)).toBeUndefined();
    expect(portClash(anApp({ports: [{container: 80, host: 8080, protocol: 'udp'}]}, {name: 'mine'}), [theirs], 1)).toBeUndefined();
  });

  it('belong to one app where all machines lead them on, also one that had asked for any', () => {
    const app = anApp({ports: [{container: 80, host: 30_123}]}, {name: 'mine'});
    const service = (name: string, port: number) => ServiceRecord.parse({...app, name, appUid: 'u', headless: false, ports: [], published: [{port, targetPort: 80, protocol: 'tcp'}]});
    expect(portGiven(app, [service('mine', 30_123), service('other', 30_124)])).toBeUndefined();
    expect(portGiven(app, [service('theirs', 30_123)])).toMatchObject({index: 0, other: {name: 'theirs'}});
  });

  it('have addresses that machines can translate, where they lead them on', () => {
    const at = (address: string) => AppSpec.parse({image: 'x', ports: [{container: 80, host: 80, address}]}).ports;
    expect(portErrors(at('::1'))).toEqual([]);
    expect(portErrors(at('::1'), true)).toMatchObject([{path: 'spec.ports[0].address'}]);
    expect([...portErrors(at('::'), true), ...portErrors(at('127.0.0.1'), true)]).toEqual([]);
  });
});
