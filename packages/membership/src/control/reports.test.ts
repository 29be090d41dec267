import type {MemberSighting, MembershipReport} from '@hivemind/contracts';
import {FRESH_MS, Reports} from './reports.ts';

const sighting = (name: string, state: MemberSighting['state'] = 'alive'): MemberSighting => ({name, state, address: '10.0.0.1:7946', incarnation: 1, since: 0, tags: {}});
const report = (fields: Partial<MembershipReport> = {}): MembershipReport => ({boot: 'b1', seq: 1, full: false, members: [], gone: [], ...fields});
const seen = (reports: Reports, now = 0) => Object.fromEntries([...(reports.fresh(now).get('n1')?.values() ?? [])].map(({name, state}) => [name, state]));

describe('what a sidecar reports', () => {
  let reports: Reports;
  beforeEach(() => {
    reports = new Reports();
    expect(reports.take('n1', report({full: true, members: [sighting('a'), sighting('b')]}), 0)).toBe('changed');
  });

  it('is the whole, and then what changed', () => {
    expect(reports.take('n1', report({seq: 2, members: [sighting('b', 'dead'), sighting('c')], gone: ['a']}), 0)).toBe('changed');
    expect(reports.take('n1', report({seq: 3}), 0)).toBe('same');
    expect(seen(reports)).toEqual({b: 'dead', c: 'alive'});
  });

  it('changes nothing when it comes twice, or late', () => {
    reports.take('n1', report({seq: 2, members: [sighting('b', 'dead')]}), 0);
    expect(reports.take('n1', report({seq: 2, members: [sighting('b')]}), 0)).toBe('stale');
    expect(reports.take('n1', report({seq: 1, full: true, members: [sighting('b')]}), 0)).toBe('stale');
    expect(seen(reports)).toEqual({a: 'alive', b: 'dead'});
  });

  it('is wanted whole after one was missed, and until then nothing more is believed', () => {
    expect(reports.take('n1', report({seq: 3, members: [sighting('a', 'dead')]}), 0)).toBe('wanted');
    // It would follow what was taken, but comes after the gap.
    expect(reports.take('n1', report({seq: 2, members: [sighting('a', 'dead')]}), 0)).toBe('wanted');
    expect(seen(reports)).toEqual({a: 'alive', b: 'alive'});
    expect(reports.take('n1', report({seq: 4, full: true, members: [sighting('a', 'dead')]}), 0)).toBe('changed');
    expect(seen(reports)).toEqual({a: 'dead'});
  });

  it('counts no more once its machine was away, until the whole is told anew', () => {
    reports.keepOnly(new Set(['n1']));
    expect(seen(reports)).toEqual({a: 'alive', b: 'alive'});
    reports.keepOnly(new Set());
    expect(reports.fresh(0).has('n1')).toBe(false);
    expect(reports.take('n1', report({seq: 2, members: [sighting('b', 'dead')]}), 1)).toBe('wanted');
    expect(reports.fresh(1).has('n1')).toBe(false);
    expect(reports.take('n1', report({seq: 3, full: true, members: [sighting('a')]}), 1)).toBe('changed');
    expect(seen(reports, 1)).toEqual({a: 'alive'});
  });

  it('is wanted whole of who was never heard', () => {
    expect(reports.take('n2', report({seq: 7, members: [sighting('a')]}), 0)).toBe('wanted');
    expect(reports.fresh(0).has('n2')).toBe(false);
  });

  it('begins anew with another start, and the one before is never heard again', () => {
    expect(reports.take('n1', report({boot: 'b2', seq: 1}), 0)).toBe('wanted');
    expect(reports.take('n1', report({boot: 'b2', seq: 2, full: true, members: [sighting('a', 'suspect')]}), 0)).toBe('changed');
    expect(reports.take('n1', report({boot: 'b1', seq: 99, full: true, members: [sighting('x')]}), 0)).toBe('stale');
    expect(seen(reports)).toEqual({a: 'suspect'});
  });

  it('counts for as long as its sidecar is heard', () => {
    reports.take('n1', report({seq: 2}), 20_000);
    expect(reports.fresh(20_000 + FRESH_MS - 1).has('n1')).toBe(true);
    expect(reports.fresh(20_000 + FRESH_MS).has('n1')).toBe(false);
  });
});
