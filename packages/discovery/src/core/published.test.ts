import {AppSpec, type AppSpecInput} from '@hivemind/contracts';
import {FREE_PORTS, publish, type PublishInput} from './published.ts';

const portsOf = (...ports: NonNullable<AppSpecInput['ports']>) => AppSpec.parse({image: 'x', ports}).ports;
const nobody = (): undefined => undefined;
const asked = (ports: PublishInput['ports'], fields: Partial<PublishInput> = {}) => publish({key: 'shop/web', ports, before: [], holder: nobody, claimant: nobody, ...fields});
const numbers = (result: ReturnType<typeof publish>): readonly number[] => result.published.map(({port}) => port);

describe('ports of the machines that lead to a service', () => {
  it('are those that are asked for by number; what asks for none has none', () => {
    expect(asked(portsOf({name: 'http', container: 80, host: 8080}, {container: 81}, {container: 53, protocol: 'udp', host: 53, address: '127.0.0.1'}, {container: 82, host: 82, address: '0.0.0.0'}))).toEqual({
      published: [{name: 'http', port: 8080, targetPort: 80, protocol: 'tcp'}, {port: 53, targetPort: 53, protocol: 'udp', address: '127.0.0.1'}, {port: 82, targetPort: 82, protocol: 'tcp'}],
      problems: [],
    });
  });

  it('are any free ones where any will do: the same again for the same app, none twice, and not what others ask for by number', () => {
    const ports = portsOf({container: 80, host: 0}, {container: 80, host: 0}, {container: 81, host: 0});
    const given = numbers(asked(ports));
    expect(new Set(given).size).toBe(3);
    for (const port of given) expect(port >= FREE_PORTS.first && port <= FREE_PORTS.last).toBe(true);
    expect(numbers(asked(ports))).toEqual(given);
    expect(numbers(asked(ports, {claimant: ({host}) => (host === given[0] ? 'shop/other' : undefined)}))).not.toContain(given[0]);
  });

  it('are the first of a range that is free', () => {
    expect(numbers(asked(portsOf({container: 80, host: '8081-8083'}), {holder: ({host}) => (host === 8081 ? 'shop/other' : undefined)}))).toEqual([8082]);
    expect(asked(portsOf({container: 80, host: '8081-8082'}), {holder: () => 'shop/other'})).toMatchObject({published: [], problems: [{reason: 'PortTaken', message: expect.stringContaining('8081-8082')}]});
  });

  it('are kept, also when somebody asks for them by number later, or the spec is otherwise', () => {
    const before = [{port: 30_500, targetPort: 80, protocol: 'tcp' as const}, {port: 8085, targetPort: 81, protocol: 'tcp' as const}];
    const late = {before, claimant: () => 'shop/late'};
    expect(numbers(asked(portsOf({container: 81, host: '8080-8090'}, {container: 80, host: 0}), late))).toEqual([8085, 30_500]);
    expect(numbers(asked(portsOf({container: 80, host: 8080}), {before}))).toEqual([8080]);
  });

  it('go to who has them, then to who asked sooner; who does not get one is told whose it is', () => {
    const port = portsOf({container: 80, host: 8080});
    expect(asked(port, {holder: () => 'shop/first'})).toEqual({published: [], problems: [{reason: 'PortTaken', message: expect.stringContaining('8080/tcp belongs to app shop/first')}]});
    expect(asked(port, {claimant: (_port, sooner) => (sooner ? 'shop/older' : 'shop/any')}).problems[0]?.message).toContain('shop/older');
  });

  it('have addresses of IPv4', () => {
    expect(asked(portsOf({container: 80, host: 80, address: '::1'}))).toMatchObject({published: [], problems: [{reason: 'AddressUnsupported'}]});
    expect(numbers(asked(portsOf({container: 80, host: 80, address: '::'})))).toEqual([80]);
  });
});
