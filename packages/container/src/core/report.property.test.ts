import fc from 'fast-check';
import {ContainerPhase, type ContainerRecord, type ContainerStatus, type ContainerStatusRecord} from '@hivemind/contracts';
import {containerRecord} from '../testing/builders.ts';
import {acceptReport} from './report.ts';

const ids = ['a', 'b', 'c', 'd'];
const status = fc.record({phase: fc.constantFrom(...ContainerPhase.options), ready: fc.boolean(), restarts: fc.nat({max: 3})})
  .map((some): ContainerStatus => ({ports: [], reason: '', message: '', ...some}));
const record = fc.record({node: fc.constantFrom('n1', 'n2'), removed: fc.boolean()});
const stored = fc.record({node: fc.constantFrom('n1', 'n2'), status});
/** Each id may or may not be there. */
const some = <T>(value: fc.Arbitrary<T>) => fc.tuple(...ids.map(() => fc.option(value, {nil: undefined})));

function entries<T>(values: readonly (T | undefined)[]): [string, T][] {
  return values.flatMap((value, index): [string, T][] => (value === undefined ? [] : [[ids[index] ?? '', value]]));
}

const situation = fc.record({records: some(record), statuses: some(stored), reported: some(status), full: fc.boolean()}).map(({records, statuses, reported, full}) => ({
  node: 'n1',
  now: '2026-01-01T00:00:00Z',
  report: {session: 7, full, events: [], containers: entries(reported).map(([id, one]) => ({id, namespace: 'default', app: 'web', status: one}))},
  records: new Map(entries(records).map(([id, {node, removed}]): [string, ContainerRecord] => [id, containerRecord({id, node, ...(removed ? {removedAt: '2026-01-01T00:00:00Z'} : {})})])),
  statuses: new Map(entries(statuses).map(([id, one]): [string, ContainerStatusRecord] => [id, {id, namespace: 'default', app: 'web', session: 1, reportedAt: '', ...one}])),
}));

describe('acceptReport', () => {
  it('writes only of what is placed on the node, each once', () => {
    fc.assert(fc.property(situation, (input) => {
      const {writes, refused} = acceptReport(input);
      expect(new Set(writes.map(({id}) => id)).size).toBe(writes.length);
      for (const {id, node, session} of writes) {
        expect(input.records.get(id)?.node).toBe('n1');
        expect({node, session}).toEqual({node: 'n1', session: 7});
      }
      for (const id of refused) expect(input.records.get(id)?.node).not.toBe('n1');
    }));
  });

  it('believes what the node says of its own', () => {
    fc.assert(fc.property(situation, (input) => {
      const {writes} = acceptReport(input);
      const after = new Map([...input.statuses, ...writes.map((one): [string, ContainerStatusRecord] => [one.id, one])]);
      for (const {id, status: said} of input.report.containers) {
        if (input.records.get(id)?.node === 'n1') expect(after.get(id)).toMatchObject({node: 'n1', status: said});
      }
    }));
  });

  it('says of nothing that it is gone, unless the report is full and does not name it', () => {
    fc.assert(fc.property(situation, (input) => {
      const named = new Set(input.report.containers.map(({id}) => id));
      for (const {id} of acceptReport(input).writes) if (!named.has(id)) expect(input.report.full).toBe(true);
    }));
  });

  it('lets nothing older undo what is newer, and hides nothing newer', () => {
    fc.assert(fc.property(situation, fc.nat({max: 9}), fc.nat({max: 9}), (input, known, sequence) => {
      const statuses = new Map([...input.statuses].map(([id, one]): [string, ContainerStatusRecord] => [id, {...one, session: 7, sequence: known}]));
      const counted = {...input, statuses, report: {...input.report, sequence}};
      const writes = acceptReport(counted).writes.filter(({id}) => statuses.get(id)?.node === 'n1');
      if (sequence < known) expect(writes).toEqual([]);
      else expect(writes.map(({id, status: said}) => [id, said])).toEqual(acceptReport({...input, statuses}).writes.filter(({id}) => statuses.get(id)?.node === 'n1').map(({id, status: said}) => [id, said]));
    }));
  });

  it('has nothing to write the second time', () => {
    fc.assert(fc.property(situation.filter(({report}) => report.full), (input) => {
      const {writes} = acceptReport(input);
      const statuses = new Map([...input.statuses, ...writes.map((one): [string, ContainerStatusRecord] => [one.id, one])]);
      expect(acceptReport({...input, statuses}).writes).toEqual([]);
    }));
  });
});
