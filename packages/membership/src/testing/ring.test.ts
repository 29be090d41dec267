/** The faults that a ring must survive, each on a network in memory. A failure prints the seed that shows it. */
import {defaultConfig} from '../core/config.ts';
import {DeathWatch, pauseAtRandom, stallAtRandom} from './faults.ts';
import {disagreements, InvariantWatch} from './invariants.ts';
import {memberlistAtRest} from './memberlist.ts';
import {type RingOptions, SimulatedRing} from './ring.ts';

/** After the last fault, all views are one within this many ms: two exchanges of views of each member. */
const convergence = 120_000;

interface Told {
  readonly ring: SimulatedRing;
  /** `observer: member event`, of all but joins. */
  readonly told: string[];
}

function aRing(options: Partial<RingOptions> = {}): Told {
  const told: string[] = [];
  const invariants = new InvariantWatch(options.seed ?? 1);
  const ring = new SimulatedRing({
    seed: 1, members: 16, ...options,
    onEvent: (observer, event, now) => {
      invariants.saw(observer, event, now);
      if ('member' in event && event.type !== 'joined') told.push(`${observer.name}: ${event.member.name} ${event.type}`);
      if (event.type === 'name-conflict') told.push(`${observer.name}: ${event.name} ${event.type}`);
    },
  });
  return {ring, told};
}

const deaths = (told: readonly string[]): string[] => told.filter((line) => line.endsWith('died'));

function expectConvergence(ring: SimulatedRing, limit = convergence): void {
  const took = ring.runUntil(() => disagreements(ring).length === 0, limit, 100);
  if (took === undefined) throw new Error(`not converged after ${limit} ms (seed ${ring.seed}): ${disagreements(ring).slice(0, 5).join('; ')}`);
}

test('members that know one address only come to know each other', () => {
  const {ring} = aRing({acquainted: false, members: 32});
  expectConvergence(ring, 5000);
});

test('one that dies is noticed within 3 s and known to all within 4 s, among 100', () => {
  for (const seed of [1, 2, 3, 4]) {
    const {ring, told} = aRing({seed, members: 100});
    ring.run(2000);
    ring.kill(seed);
    ring.run(3000);
    expect(deaths(told)).not.toHaveLength(0);
    ring.run(1000);
    expect(deaths(told)).toHaveLength(99);
    expect(told.filter((line) => !line.includes(`machine-${seed} `))).toEqual([]);
  }
});

test('one that leaves is not missed: nobody suspects it', () => {
  const {ring, told} = aRing();
  ring.run(1000);
  ring.act(3, (core, now) => core.leave(now));
  ring.run(3000);
  expect(new Set(told.map((line) => line.replace(/^.*: /, '')))).toEqual(new Set(['machine-3 left']));
  expect(told).toHaveLength(15);
  expect(ring.host(3).core.leaveSpread).toBe(true);
});

test.each([5000, 60_000])('two halves that were apart for %i ms are one ring again', (apart) => {
  const {ring, told} = aRing({members: 24});
  ring.run(1000);
  ring.reaches = (from, to) => from.index % 2 === to.index % 2;
  ring.run(apart);
  expect(deaths(told)).toHaveLength(24 * 12);
  ring.reaches = undefined;
  expectConvergence(ring, 20_000);
});

test('one-way reachability kills nobody', () => {
  const {ring, told} = aRing();
  ring.reaches = (from, to) => !(from.index === 0 && to.index === 1) && !(from.index < 5 && to.index === 7);
  ring.run(120_000);
  expect(deaths(told)).toEqual([]);
});

test.each([1, 2, 3, 4])('a member that answers only indirect pings lives (seed %i)', (seed) => {
  const {ring, told} = aRing({seed});
  // A quarter of the ring cannot exchange a byte with it.
  ring.reaches = (from, to) => !(from.index === 3 && to.index >= 12) && !(to.index === 3 && from.index >= 12);
  ring.run(120_000);
  expect(deaths(told)).toEqual([]);
});

test('one that hears nobody is dead to all, and takes nobody with it', () => {
  const {ring, told} = aRing();
  ring.reaches = (_, to) => to.index !== 5;
  ring.run(60_000);
  expect(deaths(told).filter((line) => !line.startsWith('machine-5:') && !line.includes(': machine-5 '))).toEqual([]);
  expect(ring.hosts.filter(({core, index}) => index !== 5 && core.member('machine-5')?.state === 'dead')).toHaveLength(15);
  ring.reaches = undefined;
  expectConvergence(ring, 20_000);
});

test.each([3_600_000, -3_600_000, 86_400_000 * 50])('a clock that jumps by %i ms kills nobody', (ms) => {
  const {ring, told} = aRing();
  ring.run(2500);
  ring.jumpClock(4, ms);
  ring.run(30_000);
  expect(deaths(told)).toEqual([]);
  expect(disagreements(ring)).toEqual([]);
});

test('a name that is taken stays with who has it, and both sides hear of the conflict', () => {
  const {ring, told} = aRing();
  ring.run(1000);
  const second = ring.add('machine-2');
  ring.join(second.index, 0);
  ring.run(10_000);
  expect(told).toContain('machine-0: machine-2 name-conflict');
  expect(told.filter((line) => line.endsWith('died'))).toEqual([]);
  expect(ring.host(9).core.member('machine-2')?.address).toEqual(ring.host(2).address);
});

test('once its holder is dead for a time, the name goes to who claims it at another address', () => {
  const {ring} = aRing({config: {pushPullInterval: 5000}});
  ring.run(1000);
  ring.kill(2);
  ring.run(3000);
  const second = ring.add('machine-2');
  ring.join(second.index, 0);
  expectConvergence(ring, defaultConfig.reclaimAfter + 30_000);
  expect(ring.host(9).core.member('machine-2')?.address).toEqual(second.address);
});

test('the whole ring restarted at once is a ring again', () => {
  const {ring} = aRing();
  ring.run(1000);
  const fresh = new SimulatedRing({seed: 2, members: 16});
  fresh.run(1000);
  for (const {index} of fresh.hosts) fresh.kill(index);
  for (const {index} of fresh.hosts) fresh.restart(index, index === 0 ? [] : [0]);
  expectConvergence(fresh, 5000);
});

test('a process that is started again before its death was noticed is taken for what it is', () => {
  const ring = new SimulatedRing({seed: 3, members: 16});
  ring.run(1000);
  ring.act(3, (core, now) => core.setMetadata(now, Uint8Array.of(1)));
  ring.run(1000);
  ring.restart(3, [0]);
  expectConvergence(ring, 5000);
  expect(ring.host(0).core.member('machine-3')?.incarnation).toBeGreaterThan(2);
});

test('an hour away, cut off or stopped, ends with coming back', () => {
  const ring = new SimulatedRing({seed: 4, members: 8, config: {probeInterval: 2000}});
  ring.reaches = (from, to) => (from.index === 1) === (to.index === 1);
  ring.run(10_000);
  ring.kill(2);
  ring.run(3_600_000);
  ring.reaches = undefined;
  ring.restart(2, [0]);
  expectConvergence(ring, 30_000);
});

test('old messages said again change nothing', () => {
  const heard: Parameters<SimulatedRing['inject']>[] = [];
  const {ring, told} = aRing({members: 8, tap: (from, to, messages) => heard.push([from, to, messages])});
  ring.run(2000);
  ring.pause(3, 4000);
  ring.run(3000);
  ring.act(5, (core, now) => core.setMetadata(now, Uint8Array.of(7)));
  ring.run(5000);
  expectConvergence(ring, 5000);
  const rows = (): unknown => ring.hosts.map(({core}) => core.members().map(({name, state, incarnation, meta}) => [name, state, incarnation, ...meta].join()).toSorted());
  const before = rows();
  told.length = 0;
  for (const message of heard.splice(0)) ring.inject(...message);
  ring.run(5000);
  expect(told).toEqual([]);
  expect(rows()).toEqual(before);
});

test('the death of a healthy member, said by one that errs, is refuted', () => {
  const {ring} = aRing();
  ring.run(1000);
  for (let to = 0; to < 16; to++) if (to !== 6) ring.inject(1, to, [{type: 'dead', name: 'machine-6', from: 'machine-1', incarnation: 1}]);
  ring.run(1);
  expect(ring.host(0).core.member('machine-6')?.state).toBe('dead');
  expectConvergence(ring, 15_000);
  expect(ring.host(6).core.incarnation).toBe(2);
});

test('what is announced reaches all, the greatest version wins, and who joins later learns it', () => {
  const {ring} = aRing();
  ring.run(1000);
  const announce = (index: number, version: number): void => ring.act(index, (core, now) => core.announce(now, {topic: 'leader', version, payload: Uint8Array.of(version)}));
  announce(1, 5);
  announce(2, 4);
  ring.run(2000);
  const late = ring.add();
  ring.join(late.index, 0);
  ring.run(2000);
  expect(new Set(ring.hosts.map(({core}) => core.announcements()[0]?.version))).toEqual(new Set([5]));
});

test.each([11, 12, 13, 14, 15, 16])('after every kind of trouble all views are one again (seed %i)', (seed) => {
  const invariants = new InvariantWatch(seed);
  const ring = new SimulatedRing({
    seed, members: 16, network: {loss: 0.1, duplication: 0.1, latency: [0.5, 60]},
    onEvent: (observer, event, now) => invariants.saw(observer, event, now),
  });
  const any = (): number => Math.floor(ring.random() * 16);
  for (let trouble = 0; trouble < 30; trouble++) {
    ring.run(ring.random() * 3000);
    const index = any();
    const kind = Math.floor(ring.random() * 6);
    if (kind === 0) ring.kill(index);
    else if (kind === 1) {
      ring.restart(index, [any(), any()]);
      invariants.restarted(ring.host(index));
    } else if (kind === 2) ring.pause(index, ring.random() * 20_000);
    else if (kind === 3) ring.jumpClock(index, (ring.random() - 0.5) * 1e6);
    else if (kind === 4) {
      const border = any();
      ring.reaches = (from, to) => from.index < border === to.index < border;
    } else ring.reaches = (from, to) => from.index !== index || to.index % 3 !== 0;
  }
  ring.run(20_000);
  ring.reaches = undefined;
  ring.network = {...ring.network, loss: 0};
  // One that restarted while it could reach nobody has to be told of somebody.
  for (const host of ring.hosts) if (host.up && host.core.members().length === 1) ring.join(host.index, ring.hosts.find(({up, index}) => up && index !== host.index)?.index ?? 0);
  expectConvergence(ring);
});

test('while 8 % stand still for 0.2 to 30 s, no healthy member is declared dead', () => {
  const seed = 1;
  const watch = new DeathWatch(defaultConfig, 128);
  const ring: SimulatedRing = new SimulatedRing({seed, members: 128, onEvent: (observer, event, now) => watch.saw(observer, event, now, ring.hosts)});
  pauseAtRandom(ring, {share: 0.08, shortest: 200, longest: 30_000});
  ring.run(40_000);
  expect(watch.deaths).toBeGreaterThan(1000);
  expect(watch.false).toEqual([]);
});

test('busy hosts that lag by 50 to 200 ms, on a network that loses 5 %, live', () => {
  const {ring, told} = aRing({members: 64, network: {loss: 0.05}});
  stallAtRandom(ring, 1000);
  ring.run(20_000);
  expect(deaths(told)).toEqual([]);
});

test('at rest it sends at most twice the bytes of memberlist', () => {
  const ring = new SimulatedRing({seed: 1, members: 100, measureBytes: true});
  const seconds = 60;
  ring.run(seconds * 1000);
  const theirs = memberlistAtRest(100, 0);
  expect((ring.sent.bytes + ring.sent.streamBytes) / 100 / seconds).toBeLessThan(2 * (theirs.packets + theirs.streams));
});

test('the same seed is the same run', () => {
  const run = (): unknown => {
    const {ring, told} = aRing({seed: 9, network: {loss: 0.2, duplication: 0.2}});
    pauseAtRandom(ring, {share: 0.1, shortest: 200, longest: 3000});
    ring.run(20_000);
    return [told, ring.sent];
  };
  expect(run()).toEqual(run());
});
