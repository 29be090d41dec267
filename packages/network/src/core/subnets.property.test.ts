import fc from 'fast-check';
import type {SubnetsRecord} from '@hivemind/contracts';
import {overlaps, parseCidr} from './cidr.ts';
import {capacityOf, noSubnets, outside, unusable, withLease, withoutGone} from './subnets.ts';

const now = '2026-01-01T00:00:00Z';
const spec = {cidr: '10.244.0.0/21', nodePrefix: 24};
const nodes = ['a', 'b', 'c', 'd', 'e', 'f', 'g', 'h', 'i', 'j'];
const step = fc.oneof(
  fc.record({kind: fc.constant('ask' as const), node: fc.constantFrom(...nodes), holds: fc.option(fc.constantFrom('10.244.0.0/24', '10.244.3.0/24', '10.244.9.0/24', '10.244.2.0/25', 'nonsense'), {nil: undefined})}),
  fc.record({kind: fc.constant('go' as const), node: fc.constantFrom(...nodes)}),
  fc.record({kind: fc.constant('grow' as const)}),
);

const ranges = (record: SubnetsRecord) => Object.values(record.leases).map(({cidr}) => parseCidr(cidr)!);

describe('parts of the cluster\'s addresses', () => {
  it('are never two machines\' at once, stay while a machine stays, and run out only when all are taken', () => {
    fc.assert(fc.property(fc.array(step, {maxLength: 60}), (steps) => {
      let record = noSubnets;
      let current = spec;
      const present = new Set<string>();
      for (const each of steps) {
        if (each.kind === 'grow') {
          current = {cidr: '10.244.0.0/20', nodePrefix: 24};
          expect(outside(record, current)).toEqual([]);
        } else if (each.kind === 'go') {
          present.delete(each.node);
          record = withoutGone(record, present);
          expect(record.leases[each.node]).toBeUndefined();
        } else {
          const before = record.leases[each.node];
          const after = withLease(record, {node: each.node, spec: current, now, holds: each.holds});
          if (after === undefined) {
            expect(Object.keys(record.leases)).toHaveLength(capacityOf(current));
            continue;
          }
          present.add(each.node);
          if (before) expect(after).toBe(record);
          record = after;
        }
        const all = ranges(record);
        for (const [index, range] of all.entries()) {
          expect(range.prefix).toBe(24);
          expect(overlaps(range, parseCidr(current.cidr)!)).toBe(true);
          for (const other of all.slice(index + 1)) expect(overlaps(range, other)).toBe(false);
        }
        expect(new Set(Object.keys(record.leases))).toEqual(present);
      }
    }));
  });

  it('are given back to who had them, where nobody else has them by now', () => {
    const first = withLease(noSubnets, {node: 'a', spec, now, holds: '10.244.5.0/24'})!;
    expect(first.leases.a?.cidr).toBe('10.244.5.0/24');
    const second = withLease(first, {node: 'b', spec, now, holds: '10.244.5.0/24'})!;
    expect(second.leases.b?.cidr).toBe('10.244.6.0/24');
  });

  it('rest after they were released', () => {
    const one = withLease(noSubnets, {node: 'a', spec, now})!;
    const two = withLease(withoutGone(one, new Set()), {node: 'b', spec, now})!;
    expect([one.leases.a?.cidr, two.leases.b?.cidr]).toEqual(['10.244.0.0/24', '10.244.1.0/24']);
  });
});

describe('a range for containers', () => {
  it.each([
    ['10.244.0.1/16', 'bits past'],
    ['10.0.0.0/7', 'too large'],
    ['8.0.0.0/5', 'too large'],
    ['10.244.0.0/25', 'smaller than'],
    ['10.96.0.0/12', 'virtual IPs'],
    ['127.0.0.0/8', 'reserved'],
    ['224.0.0.0/8', 'reserved'],
    ['10.200.0.0/16', 'the machine m1'],
  ])('is not %s', (cidr, why) => {
    expect(unusable({cidr, nodePrefix: 24}, [{node: 'm1', address: '10.200.7.11'}, {node: 'm2', address: 'fd00::1'}], '10.96.0.0/16')).toContain(why);
  });

  it('is the default one', () => {
    expect(unusable({cidr: '10.244.0.0/16', nodePrefix: 24}, [{node: 'm1', address: '10.200.7.11'}], '10.96.0.0/16')).toBeUndefined();
  });
});
