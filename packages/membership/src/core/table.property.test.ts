import fc from 'fast-check';
import {seeded} from '../testing/random.ts';
import type {MemberClaim} from './messages.ts';
import {Roster} from './roster.ts';
import {ALIVE, DEAD, LEFT, MemberTable, type StateCode, SUSPECT} from './table.ts';

/** What the table is, without its tricks. */
interface Row {
  state: StateCode;
  incarnation: number;
  port: number;
  since: number;
  rtt?: number;
}

const claim = (name: string, incarnation: number, port: number): MemberClaim => ({
  name, incarnation, address: {host: '10.0.0.1', port}, meta: Uint8Array.of(port), versions: [1, 5, 5, 0, 0, 0],
});

type Step =
  | {readonly do: 'claim'; readonly name: string; readonly incarnation: number; readonly port: number}
  | {readonly do: 'state'; readonly name: string; readonly state: StateCode; readonly incarnation: number}
  | {readonly do: 'rtt'; readonly name: string; readonly ms: number}
  | {readonly do: 'round'};

const name = fc.integer({min: 0, max: 40}).map((n) => `m${n}`);
const incarnation = fc.nat({max: 5});
const step: fc.Arbitrary<Step> = fc.oneof(
  fc.record({do: fc.constant('claim' as const), name, incarnation, port: fc.integer({min: 1, max: 3})}),
  fc.record({do: fc.constant('state' as const), name, state: fc.constantFrom<StateCode>(ALIVE, SUSPECT, DEAD, LEFT), incarnation}),
  fc.record({do: fc.constant('rtt' as const), name, ms: fc.integer({min: 1, max: 1000})}),
  fc.record({do: fc.constant('round' as const)}),
);

function apply(table: MemberTable, twin: Map<string, Row>, at: Step, now: number, random: () => number): void {
  if (at.do === 'round') {
    probeOneRound(table, twin, random);
    return;
  }
  const id = table.find(at.name);
  const row = twin.get(at.name);
  expect(id === undefined).toBe(row === undefined);
  if (at.do === 'claim' && id === undefined) {
    table.add(claim(at.name, at.incarnation, at.port), now);
    twin.set(at.name, {state: ALIVE, incarnation: at.incarnation, port: at.port, since: now});
  }
  if (id === undefined || !row) return;
  if (at.do === 'claim') {
    expect(table.renew(id, claim(at.name, at.incarnation, at.port))).toBe(row.port !== at.port);
    Object.assign(row, {port: at.port, incarnation: Math.max(row.incarnation, at.incarnation)});
  } else if (at.do === 'state') {
    table.setState(id, at.state, at.incarnation, now);
    if (row.state !== at.state) row.since = now;
    Object.assign(row, {state: at.state, incarnation: Math.max(row.incarnation, at.incarnation)});
  } else {
    table.setRtt(id, at.ms);
    row.rtt = at.ms;
  }
}

/** A whole round probes each living member once; those that left are forgotten before the next. */
function probeOneRound(table: MemberTable, twin: Map<string, Row>, random: () => number): void {
  const stale = (id: number): boolean => table.state(id) === LEFT;
  // The round in progress ends when somebody comes up who came up before.
  const living = [...twin.values()].filter(({state}) => state === ALIVE || state === SUSPECT).length;
  for (let i = 0; i < living; i++) table.nextToProbe(random, stale);
  const probed: (number | undefined)[] = [];
  for (let i = 0; i < living; i++) probed.push(table.nextToProbe(random, stale));
  for (const id of probed) expect(id !== undefined && table.isLiving(id)).toBe(true);
  for (const known of [...twin.keys()]) if (table.find(known) === undefined && twin.get(known)?.state === LEFT) twin.delete(known);
}

test('the table is what a plain map of rows is', () => {
  fc.assert(
    fc.property(fc.array(step, {maxLength: 120}), fc.nat(), (steps, seed) => {
      const table = new MemberTable(new Roster());
      const twin = new Map<string, Row>();
      const random = seeded(seed);
      steps.forEach((at, n) => apply(table, twin, at, n * 100, random));
      expect(table.size).toBe(twin.size);
      for (const code of [ALIVE, SUSPECT, DEAD, LEFT] as const) expect(table.count(code)).toBe([...twin.values()].filter(({state}) => state === code).length);
      for (const [known, row] of twin) {
        const id = table.find(known) ?? -1;
        expect({state: table.state(id), incarnation: table.incarnation(id), port: table.profile(id).address.port, since: table.since(id)}).toEqual({
          state: row.state, incarnation: row.incarnation, port: row.port, since: row.since,
        });
        if (row.rtt === undefined) expect(table.rtt(id)).toBeUndefined();
        else expect(table.rtt(id)).toBeCloseTo(row.rtt);
      }
    }),
  );
});

test('each member is probed once a round, in an order that differs from round to round', () => {
  const table = new MemberTable(new Roster());
  for (let i = 0; i < 50; i++) table.add(claim(`m${i}`, 1, 1), 0);
  const random = seeded(1);
  const rounds = Array.from({length: 4}, () => Array.from({length: 50}, () => table.nextToProbe(random, () => false)));
  for (const round of rounds) expect(new Set(round).size).toBe(50);
  expect(new Set(rounds.map(String)).size).toBe(4);
});

test('who joins during a round takes part in it', () => {
  const table = new MemberTable(new Roster());
  for (let i = 0; i < 10; i++) table.add(claim(`m${i}`, 1, 1), 0);
  const random = seeded(2);
  for (let i = 0; i < 5; i++) table.nextToProbe(random, () => false);
  const late = table.add(claim('late', 1, 1), 0);
  expect(Array.from({length: 6}, () => table.nextToProbe(random, () => false))).toContain(late);
});

test('draws are different rows that fit, and all that there are when few fit', () => {
  const table = new MemberTable(new Roster());
  const ids = Array.from({length: 60}, (_, i) => table.add(claim(`m${i}`, 1, 1), 0));
  const random = seeded(3);
  expect(new Set(table.draw(3, random, () => true)).size).toBe(3);
  expect(table.draw(3, random, (id) => id === ids[17])).toEqual([ids[17]]);
});

test('a name that nobody holds any more gives its number to the next', () => {
  const roster = new Roster();
  const table = new MemberTable(roster);
  for (let i = 0; i < 1000; i++) {
    const id = table.add(claim(`m${i}`, 1, 1), 0);
    table.setState(id, LEFT, 1, 0);
    table.nextToProbe(() => 0, (row) => table.state(row) === LEFT);
  }
  expect(roster.size).toBe(1);
});
