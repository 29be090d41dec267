import {type Bus, createEmbeddedBus, emit, listen} from '@hivemind/bus';
import {lossy} from '@hivemind/bus/testing';
import {leaderChanged, meetMembers, type MembershipReport, membershipReport, reportWhole} from '@hivemind/contracts';
import {FakeClock} from '@hivemind/controller/testing';
import type {MemberInfo} from '@hivemind/membership/model';
import {waitFor} from '@hivemind/testkit';
import {linkToBus} from './bus-link.ts';
import type {MemberListener} from './membership/listen.ts';
import {reportsOf} from './report.ts';

const info = (name: string, state: MemberInfo['state'] = 'alive', since = 0): MemberInfo => ({name, state, address: {host: '10.0.0.1', port: 7946}, incarnation: 1, since});
const quiet = {debug: () => undefined, warn: () => undefined};

describe('what is reported', () => {
  it('is the whole at first, then what changed and who is gone', () => {
    const first = reportsOf(undefined, [info('a'), info('b')], 1, 10);
    expect(first.messages).toMatchObject([{seq: 1, full: true, members: [{name: 'a'}, {name: 'b'}], gone: []}]);
    const second = reportsOf(first.told, [info('a', 'dead')], 2, 10);
    expect(second.messages).toMatchObject([{seq: 2, full: false, members: [{name: 'a', state: 'dead'}], gone: ['b']}]);
    expect(reportsOf(second.told, [info('a', 'dead')], 3, 10).messages).toEqual([{seq: 3, full: false, members: [], gone: []}]);
  });

  it('is cut into messages: the first replaces all, the others add to it', () => {
    const ring = Array.from({length: 25}, (_, index) => info(`m${index}`));
    const {messages} = reportsOf(undefined, ring, 5, 10);
    expect(messages.map(({seq, full, members}) => [seq, full, members.length])).toEqual([[5, true, 10], [6, false, 10], [7, false, 5]]);
    expect(reportsOf(undefined, [], 1, 10).messages).toEqual([{seq: 1, full: true, members: [], gone: []}]);
  });
});

describe('a sidecar on the bus', () => {
  let bus: Bus;
  let clock: FakeClock;
  let ring: MemberInfo[];
  let listener: MemberListener | undefined;
  let leaders: string[];
  let met: string[];
  let stop: () => Promise<void>;
  let reports: MembershipReport[];

  const start = async (on: Bus) => {
    clock = new FakeClock();
    [ring, leaders, reports, met] = [[info('a')], [], [], []];
    await listen(bus, membershipReport, {}, (report) => void reports.push(report));
    const member = {name: 'a', members: async () => ring, listen: (given: MemberListener) => ((listener = given), given.whole(ring), () => undefined), meet: async (addresses: readonly string[]) => met.push(...addresses)};
    const link = await linkToBus({bus: on, member, leader: {heardOnBus: ({name}) => void leaders.push(name)}, boot: 'b1', setTimer: (callback, ms) => clock.setTimer(callback, ms), logger: quiet});
    stop = () => link.stop();
  };
  const change = (member: MemberInfo) => {
    ring = [...ring.filter(({name}) => name !== member.name), member];
    listener?.changed({type: 'updated', member});
  };
  afterEach(async () => {
    await stop();
    await bus.close();
  });

  it('reports changes together, and every ten seconds all the same', async () => {
    await start((bus = createEmbeddedBus()));
    await clock.advance(50);
    change(info('b'));
    change(info('c'));
    await clock.advance(50);
    await clock.advance(10_000);
    expect(reports.map(({seq, full, members}) => [seq, full, members.map(({name}) => name)])).toEqual([[1, true, ['a']], [2, false, ['b', 'c']], [3, false, []]]);
  });

  it('reports the whole when it is asked, passes on who leads, and joins whom it is told of', async () => {
    await start((bus = createEmbeddedBus()));
    await clock.advance(50);
    await emit(bus, reportWhole, {node: 'a'}, {});
    await emit(bus, reportWhole, {node: 'another'}, {});
    await emit(bus, meetMembers, {node: 'a'}, {addresses: ['10.0.0.2:7946']});
    await emit(bus, leaderChanged, {}, {name: 'm1', since: '', revision: {epoch: 'e', n: 1}, renewal: 0, leaseMs: 1});
    await clock.advance(0);
    await clock.advance(50);
    expect(reports.map(({seq, full}) => [seq, full])).toEqual([[1, true], [2, true]]);
    expect(leaders).toEqual(['m1']);
    expect(met).toEqual(['10.0.0.2:7946']);
  });

  it('reports the whole once a report could not be sent', async () => {
    const inner = createEmbeddedBus();
    let away = true;
    bus = inner;
    await start(new Proxy<Bus>(inner, {get: (target, name: keyof Bus) => (name === 'publish' && away ? () => Promise.reject(new Error('away')) : target[name].bind(target))}));
    await clock.advance(50);
    change(info('b'));
    await clock.advance(50);
    expect(reports).toEqual([]);
    away = false;
    await clock.advance(10_000);
    expect(reports).toMatchObject([{full: true, members: [{name: 'a'}, {name: 'b'}]}]);
  });

  it.each([1, 2, 3, 4, 5])('is understood in the end, however badly the bus behaves (seed %i)', async (seed) => {
    const plain = (bus = createEmbeddedBus());
    const bad = lossy(plain, {seed});
    const seen = new Map<string, string>();
    await start(bad);
    // As the manager reads them: only in their place, and the whole where one was missed.
    let last = 0;
    await listen(plain, membershipReport, {}, async ({seq, full, members, gone}) => {
      if (seq <= last) return;
      if (seq !== last + 1 && !full) return emit(bad, reportWhole, {node: 'a'}, {});
      if (full) seen.clear();
      for (const name of gone) seen.delete(name);
      for (const {name, state} of members) seen.set(name, state);
      last = seq;
    });
    for (let step = 0; step < 40; step++) {
      change(info(`m${step % 7}`, (['alive', 'suspect', 'dead', 'left'] as const)[(step * seed) % 4], step));
      if (step % 11 === 0) ring = ring.filter(({name}) => name !== 'm3');
      await clock.advance(60);
    }
    bad.heal();
    await waitFor(async () => {
      await clock.advance(10_000);
      expect(Object.fromEntries(seen)).toEqual(Object.fromEntries(ring.map(({name, state}) => [name, state])));
      return true;
    }, {what: 'the same ring at both ends'});
  });
});
