import {type NodeBrake, NodeSettings, type NodeVerdict} from '@hivemind/contracts';
import fc from 'fast-check';
import {type ObservedNode, rule} from './rulings.ts';

/** Machines that go and come back by a generated schedule, ruled on every 100 ms; what is ruled is what is stored. */
class Sight {
  readonly settings = NodeSettings.parse({});
  now = 0;
  brake: NodeBrake | undefined;
  engagedAt: number | undefined;
  readonly silentSince = new Map<string, number>();
  readonly verdicts = new Map<string, NodeVerdict>();
  /** Machines that were declared dead while nothing paused replacement: what they ran has moved. */
  readonly replaced: {readonly name: string; readonly at: number}[] = [];
  readonly names: readonly string[];

  constructor(machines: number) {
    this.names = Array.from({length: machines}, (_, index) => `n${index}`);
  }

  look(gossip: (name: string) => ObservedNode['gossip'] = () => 'unknown', grace = false): void {
    this.engagedAt = this.brake?.engaged === true ? (this.engagedAt ?? this.now) : undefined;
    const nodes = this.names.map((name): ObservedNode => ({name, silentSince: this.silentSince.get(name), verdict: this.verdicts.get(name), gossip: gossip(name), confirmedDead: false, grace}));
    const {verdicts, brake} = rule({nodes, settings: this.settings, brake: this.brake, engagedAt: this.engagedAt, watchingSince: 0, now: this.now, at: new Date(this.now).toISOString()});
    for (const verdict of verdicts) this.verdicts.set(verdict.name, verdict);
    this.brake = brake ?? this.brake;
    for (const [name, {state}] of this.verdicts) {
      if (state === 'dead' && this.now - (this.silentSince.get(name) ?? this.now) < 4_000) throw new Error(`${name} was declared dead before its time`);
      if (state === 'dead' && this.brake?.engaged !== true && !this.replaced.some((each) => each.name === name)) this.replaced.push({name, at: this.now});
    }
  }

  pass(ms: number): void {
    const stepMs = ms > 10_000 ? 1_000 : 100;
    for (const end = this.now + ms; this.now < end; this.now += stepMs) this.look();
  }

  go(...names: string[]): void {
    for (const name of names) this.silentSince.set(name, this.now);
  }

  back(...names: string[]): void {
    for (const name of names) this.silentSince.delete(name);
    this.look();
  }

  states(): Record<string, string> {
    return Object.fromEntries([...this.verdicts].map(([name, {state}]) => [name, state]));
  }
}

describe('the brake', () => {
  it('leaves one machine of three to be replaced', () => {
    const sight = new Sight(3);
    sight.pass(1_000);
    sight.go('n0');
    sight.pass(5_000);
    expect(sight.states()).toEqual({n0: 'dead', n1: 'ready', n2: 'ready'});
    expect(sight.replaced).toEqual([{name: 'n0', at: 5_000}]);
  });

  it('holds where two of three go, ends when half are back, and then lets the other be replaced', () => {
    const sight = new Sight(3);
    sight.pass(1_000);
    sight.go('n0', 'n1');
    sight.pass(60_000);
    expect(sight.brake).toMatchObject({engaged: true, nodes: ['n0', 'n1'], message: expect.stringContaining('2 of 3')});
    expect(sight.replaced).toEqual([]);
    sight.back('n0');
    sight.pass(1_000);
    expect(sight.brake).toMatchObject({engaged: false});
    expect(sight.replaced.map(({name}) => name)).toEqual(['n1']);
  });

  it('ends after five minutes, whoever is back', () => {
    const sight = new Sight(4);
    sight.pass(1_000);
    sight.go('n0', 'n1');
    sight.pass(299_000);
    expect(sight.replaced).toEqual([]);
    sight.pass(10_000);
    expect(sight.brake).toMatchObject({engaged: false, message: '300 s have passed'});
    expect(sight.replaced.map(({name}) => name)).toEqual(['n0', 'n1']);
  });

  it('is not engaged again for the machines that a person released', () => {
    const sight = new Sight(3);
    sight.pass(1_000);
    sight.go('n0', 'n1');
    sight.pass(1_000);
    sight.brake = {engaged: false, released: true, nodes: ['n0', 'n1'], message: 'a person said so', since: ''};
    sight.pass(10_000);
    expect(sight.replaced.map(({name}) => name)).toEqual(['n0', 'n1']);
    sight.back('n0', 'n1');
    expect(sight.brake).toMatchObject({released: false, nodes: []});
  });

  it('is for two machines and more: one alone has nowhere to go', () => {
    const alone = new Sight(1);
    alone.go('n0');
    alone.pass(10_000);
    expect(alone.brake).toBeUndefined();
    const two = new Sight(2);
    two.pass(100);
    two.go('n0');
    two.pass(10_000);
    expect(two.brake).toMatchObject({engaged: true});
  });

  it('does not count machines that gossip sees, nor silence that proves nothing', () => {
    const sight = new Sight(3);
    sight.look();
    sight.go('n0', 'n1', 'n2');
    sight.look(() => 'alive');
    sight.now += 1_000;
    sight.look(() => 'alive');
    expect(sight.states()).toEqual({n0: 'unreachable', n1: 'unreachable', n2: 'unreachable'});
    sight.look(() => 'gone', true);
    expect(sight.brake).toBeUndefined();
  });

  it('whatever the schedule: declares nobody dead before its time, and in the end everybody that stays away', () => {
    const step = fc.record({machine: fc.nat({max: 5}), away: fc.boolean(), afterMs: fc.integer({min: 0, max: 40_000})});
    fc.assert(
      fc.property(fc.integer({min: 2, max: 6}), fc.array(step, {maxLength: 8}), (machines, steps) => {
        const sight = new Sight(machines);
        sight.pass(200);
        const awaySince = new Map<string, number>();
        for (const {machine, away, afterMs} of steps) {
          const name = `n${machine % machines}`;
          if (away && !sight.silentSince.has(name)) {
            sight.go(name);
            awaySince.set(name, sight.now);
          } else if (!away) {
            sight.back(name);
            awaySince.delete(name);
          }
          sight.pass(afterMs);
        }
        sight.pass(400_000);
        for (const name of sight.names) expect(sight.verdicts.get(name)?.state).toBe(awaySince.has(name) ? 'dead' : 'ready');
        expect(sight.brake?.engaged ?? false).toBe(false);
      }),
      {numRuns: 40},
    );
  });
});
