import {mendForwardingRules, removeForwardingRules} from './forwarding.ts';

const cidr = '10.244.0.0/16';
const rule = '-A HIVEMIND-FORWARD -s 10.244.0.0/16 -d 10.244.0.0/16 -j ACCEPT';
const published = ['-A HIVEMIND-FORWARD -d 10.244.0.0/16 -m conntrack --ctstate DNAT -j ACCEPT', '-A HIVEMIND-FORWARD -s 10.244.0.0/16 -m conntrack --ctstate DNAT -j ACCEPT'];
const rules = [rule, ...published];
const saved = (...lines: string[]) => ['*filter', ':INPUT ACCEPT [0:0]', ':FORWARD DROP [7:420]', ':OUTPUT ACCEPT [0:0]', ...lines, 'COMMIT', ''].join('\n');
const engine = [':DOCKER - [0:0]', ':DOCKER-USER - [0:0]', '-A FORWARD -j DOCKER-USER'];

describe('letting containers\' packets through', () => {
  it('is asked for before the engine\'s own rules, and after a person\'s', () => {
    expect(mendForwardingRules(saved(...engine, '-A DOCKER-USER -j RETURN'), cidr)).toEqual(['*filter', ':HIVEMIND-FORWARD - [0:0]', ...rules, '-I DOCKER-USER 1 -j HIVEMIND-FORWARD', 'COMMIT']);
    expect(mendForwardingRules(saved(...engine, '-A DOCKER-USER -s 10.244.1.9/32 -j DROP', '-A DOCKER-USER -j RETURN'), cidr)).toContain('-I DOCKER-USER 2 -j HIVEMIND-FORWARD');
    expect(mendForwardingRules(saved(...engine), cidr)).toContain('-I DOCKER-USER 1 -j HIVEMIND-FORWARD');
  });

  it('lets containers out as well where there is no engine to do so', () => {
    expect(mendForwardingRules(saved(), cidr)).toEqual(['*filter', ':HIVEMIND-FORWARD - [0:0]', ...rules, '-A HIVEMIND-FORWARD -i hm0 -j ACCEPT', '-A HIVEMIND-FORWARD -o hm0 -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT', '-I FORWARD 1 -j HIVEMIND-FORWARD', 'COMMIT']);
  });

  it('is nothing where it is there already, and is put right where it is not', () => {
    const right = saved(...engine, ':HIVEMIND-FORWARD - [0:0]', '-A DOCKER-USER -j HIVEMIND-FORWARD', '-A DOCKER-USER -j RETURN', ...rules);
    expect(mendForwardingRules(right, cidr)).toEqual([]);
    expect(mendForwardingRules(right, '10.50.0.0/16')).toEqual(['*filter', ':HIVEMIND-FORWARD - [0:0]', ...rules.map((one) => one.replaceAll('10.244', '10.50')), 'COMMIT']);
    expect(mendForwardingRules(right.replace(`${rule}\n`, ''), cidr)).toEqual(['*filter', ':HIVEMIND-FORWARD - [0:0]', ...rules, 'COMMIT']);
  });

  it('moves when an engine came', () => {
    expect(mendForwardingRules(saved(...engine, ':HIVEMIND-FORWARD - [0:0]', '-A FORWARD -j HIVEMIND-FORWARD', rule), cidr)).toEqual(expect.arrayContaining(['-D FORWARD -j HIVEMIND-FORWARD', '-I DOCKER-USER 1 -j HIVEMIND-FORWARD']));
  });

  it('ends without a trace', () => {
    expect(removeForwardingRules(saved(...engine, ':HIVEMIND-FORWARD - [0:0]', '-A DOCKER-USER -j HIVEMIND-FORWARD', rule))).toEqual(['*filter', ':HIVEMIND-FORWARD - [0:0]', '-D DOCKER-USER -j HIVEMIND-FORWARD', '-X HIVEMIND-FORWARD', 'COMMIT']);
    expect(removeForwardingRules(saved(...engine))).toEqual([]);
  });
});
