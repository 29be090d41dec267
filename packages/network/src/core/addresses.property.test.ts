import fc from 'fast-check';
import {nextAddress, rangeOfOthers, roomIn} from './addresses.ts';
import {contains, parseAddress, parseCidr} from './cidr.ts';

describe('addresses of a machine\'s containers', () => {
  it('are never two containers\', never the gateway\'s or the engine\'s, and run out only when all are taken', () => {
    fc.assert(fc.property(fc.constantFrom('10.244.3.0/24', '10.244.3.16/28', '10.244.0.0/20'), fc.array(fc.oneof(fc.constant('take' as const), fc.nat(300)), {maxLength: 80}), (cidr, steps) => {
      const subnet = parseCidr(cidr)!;
      const taken: string[] = [];
      let last: string | undefined;
      for (const step of steps) {
        if (step !== 'take') {
          if (taken.length > 0) taken.splice(step % taken.length, 1);
          continue;
        }
        const address = nextAddress(subnet, new Set(taken), last);
        if (address === undefined) {
          expect(taken).toHaveLength(roomIn(subnet));
          continue;
        }
        const value = parseAddress(address)!;
        expect(taken).not.toContain(address);
        expect(contains(subnet, value) && value > subnet.base + 1 && !contains(rangeOfOthers(subnet), value)).toBe(true);
        taken.push(address);
        last = address;
      }
    }));
  });

  it('rest after they were freed', () => {
    expect(nextAddress(parseCidr('10.244.3.0/24')!, new Set(), '10.244.3.2')).toBe('10.244.3.3');
    expect(nextAddress(parseCidr('10.244.3.0/24')!, new Set(), '10.244.3.251')).toBe('10.244.3.2');
    expect(nextAddress(parseCidr('10.244.3.0/24')!, new Set(), '10.99.0.1')).toBe('10.244.3.2');
  });
});
