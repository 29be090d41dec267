import {defaultConfig, maxIncarnation} from './config.ts';
import type {Address, MemberClaim, PacketMessage, PushPull} from './messages.ts';
import {createProtocol, type Effects, type Protocol, type ProtocolOptions} from './protocol.ts';
import {messageBytes, packetBytes} from './size.ts';

const at = (n: number): Address => ({host: `10.0.0.${n}`, port: 7946});
const claim = (n: number, more: Partial<MemberClaim> = {}): MemberClaim => ({
  name: `m${n}`, address: at(n), incarnation: 1, meta: new Uint8Array(0), versions: [1, 5, 5, 0, 0, 0], ...more,
});
const alive = (n: number, more: Partial<MemberClaim> = {}): PacketMessage => ({type: 'alive', claim: claim(n, more)});
const suspect = (n: number, from: number, incarnation = 1): PacketMessage => ({type: 'suspect', name: `m${n}`, from: `m${from}`, incarnation});
const dead = (n: number, from: number, incarnation = 1): PacketMessage => ({type: 'dead', name: `m${n}`, from: `m${from}`, incarnation});
const view = (...members: PushPull['members']): PushPull => ({type: 'push-pull', join: false, members, userState: new Uint8Array(0)});
const kinds = (effects: Effects): string[] => effects.events.map((event) => ('member' in event ? `${event.member.name} ${event.type}` : event.type));

/** m1, with no member known and chance that is none. */
function aProtocol(options: Partial<ProtocolOptions> = {}): Protocol {
  return createProtocol({self: {name: 'm1', address: at(1)}, random: () => 0.5, now: 0, ...options});
}

/** m1 that knows m2 to m5, which are heard of at 0. */
function aRing(options: Partial<ProtocolOptions> = {}): Protocol {
  const protocol = aProtocol(options);
  protocol.receive(0, at(2), [2, 3, 4, 5].map((n) => alive(n)));
  return protocol;
}

/** Ticks whenever it is asked for, up to a time. */
function tickUntil(protocol: Protocol, time: number): Effects {
  const all: {send: Effects['send'][number][]; streams: Effects['streams'][number][]; events: Effects['events'][number][]} = {send: [], streams: [], events: []};
  while (protocol.nextTick <= time) {
    const effects = protocol.tick(protocol.nextTick);
    all.send.push(...effects.send);
    all.streams.push(...effects.streams);
    all.events.push(...effects.events);
  }
  return all;
}

describe('what is heard of a member', () => {
  test('it joins, changes, is suspected, cleared, dies and comes back', () => {
    const protocol = aProtocol();
    const heard: PacketMessage[] = [
      alive(2), alive(2, {incarnation: 2, meta: Uint8Array.of(1)}), suspect(2, 3, 2), alive(2, {incarnation: 3, meta: Uint8Array.of(1)}), dead(2, 3, 3),
      alive(2, {incarnation: 4}),
    ];
    expect(heard.flatMap((message) => kinds(protocol.receive(0, at(3), [message])))).toEqual([
      'm2 joined', 'm2 updated', 'm2 suspected', 'm2 cleared', 'm2 died', 'm2 joined',
    ]);
  });

  test.each<[string, PacketMessage]>([
    ['alive of an incarnation that is known', alive(2, {meta: Uint8Array.of(9)})],
    ['a suspicion of an older incarnation', suspect(2, 3, 0)],
    ['a death of an older incarnation', dead(2, 3, 0)],
    ['a suspicion of somebody unknown', suspect(9, 3)],
    ['a death of somebody unknown', dead(9, 3)],
    ['an ack that nobody waits for', {type: 'ack', seq: 4711, payload: new Uint8Array(0)}],
    ['a nack that nobody waits for', {type: 'nack', seq: 4711}],
    ['an incarnation that was never counted', alive(2, {incarnation: maxIncarnation + 1})],
    ['an accusation that could not be refuted', suspect(2, 3, maxIncarnation)],
    ['a name that is too long', alive(6, {name: 'x'.repeat(129)})],
    ['metadata that is too large', alive(6, {meta: new Uint8Array(513)})],
    ['a port that is none', alive(6, {address: {host: '10.0.0.6', port: 0}})],
    ['an application\'s own message', {type: 'user', payload: Uint8Array.of(1, 2, 3)}],
  ])('%s changes nothing', (_, message) => {
    const protocol = aRing();
    const before = protocol.members();
    expect(protocol.receive(0, at(3), [message])).toMatchObject({events: [], send: []});
    expect(protocol.members()).toEqual(before);
  });

  test('the word of the dead against the living counts for nothing', () => {
    const protocol = aRing();
    protocol.receive(0, at(3), [dead(2, 3)]);
    expect(kinds(protocol.receive(0, at(2), [suspect(4, 2), dead(5, 2)]))).toEqual([]);
  });

  test('more members than the bound are not taken in', () => {
    const protocol = aRing({config: {maxMembers: 4}});
    protocol.receive(0, at(2), [alive(6)]);
    expect(protocol.member('m6')).toBeUndefined();
  });

  test('who says of itself that it goes has left, not died', () => {
    expect(kinds(aRing().receive(0, at(2), [dead(2, 2)]))).toEqual(['m2 left']);
  });
});

describe('what is heard of this member', () => {
  test('an accusation is refuted with a greater incarnation, to the accuser first', () => {
    const protocol = aRing();
    const effects = protocol.receive(0, at(4), [suspect(1, 4, 6)]);
    expect(protocol.incarnation).toBe(7);
    expect(effects.events).toEqual([{type: 'refuted', incarnation: 7}]);
    expect(effects.send).toEqual([{to: at(4), messages: [alive(1, {incarnation: 7, meta: new Uint8Array(0)})]}]);
    expect(tickUntil(protocol, 100).send.some(({messages}) => messages.some((message) => message.type === 'alive' && message.claim.name === 'm1'))).toBe(true);
  });

  test('who repeats an old accusation is told what is so, and nothing is raised', () => {
    const protocol = aRing();
    protocol.receive(0, at(4), [suspect(1, 4)]);
    const {send, events} = protocol.receive(0, at(5), [suspect(1, 4)]);
    expect([protocol.incarnation, events, send.length]).toEqual([2, [], 1]);
  });

  test('what an earlier life left behind is outdone', () => {
    const protocol = aRing();
    protocol.receiveState(0, at(2), view({...claim(1, {incarnation: 8}), state: 'alive'}));
    expect(protocol.incarnation).toBe(9);
    protocol.receiveState(0, at(2), view({...claim(1, {incarnation: 20}), state: 'left'}));
    expect(protocol.incarnation).toBe(21);
  });

  test('its own words coming back change nothing', () => {
    const protocol = aRing();
    protocol.receive(0, at(2), [alive(1)]);
    expect(protocol.incarnation).toBe(1);
  });
});

describe('names and addresses', () => {
  const elsewhere = {address: at(99), incarnation: 5};

  test('a living member\'s name is not given away; the conflict is told once', () => {
    const protocol = aRing();
    const conflict = {type: 'name-conflict', name: 'm2', known: at(2), claimed: at(99)};
    expect(protocol.receive(0, at(99), [alive(2, elsewhere)]).events).toEqual([conflict]);
    expect(protocol.receive(1, at(99), [alive(2, elsewhere)]).events).toEqual([]);
    expect(protocol.member('m2')?.address).toEqual(at(2));
  });

  test('a dead member\'s name can be taken after a time, one that left at once', () => {
    const protocol = aRing({config: {reclaimAfter: 5000, pauseDetection: false}});
    protocol.receive(0, at(3), [dead(2, 3), dead(4, 4)]);
    expect(kinds(protocol.receive(4900, at(99), [alive(2, elsewhere), alive(4, elsewhere)]))).toEqual(['name-conflict', 'm4 joined']);
    expect(kinds(protocol.receive(5100, at(99), [alive(2, elsewhere)]))).toEqual(['m2 joined']);
    expect(protocol.member('m2')?.address).toEqual(at(99));
  });

  test('also then only by a greater incarnation', () => {
    const protocol = aRing();
    protocol.receive(0, at(4), [dead(4, 4)]);
    expect(kinds(protocol.receive(0, at(99), [alive(4, {address: at(99), incarnation: 1})]))).toEqual([]);
  });

  test('its own name at another address is a conflict, and no reason to shout', () => {
    const protocol = aRing();
    expect(kinds(protocol.receive(0, at(99), [alive(1, elsewhere)]))).toEqual(['name-conflict']);
    expect(protocol.incarnation).toBe(1);
  });
});

describe('probing', () => {
  test('a ping, then helpers and TCP, then a suspicion that the suspect and the helpers hear of', () => {
    const protocol = aRing();
    const effects = tickUntil(protocol, defaultConfig.probeInterval / 2 + defaultConfig.probeTimeout + defaultConfig.indirectTimeout + 1);
    const first = effects.send.find(({messages}) => messages[0]?.type === 'ping');
    const ping = first?.messages[0];
    const target = ping?.type === 'ping' ? ping.target : '';
    expect(effects.send.filter(({messages}) => messages[0]?.type === 'indirect-ping')).toHaveLength(3);
    expect(effects.streams).toContainEqual({kind: 'fallback-ping', to: first?.to, target, seq: ping?.type === 'ping' ? ping.seq : 0});
    expect(kinds(effects)).toContain(`${target} suspected`);
    const told = effects.send.filter(({messages}) => messages.length === 1 && messages[0]?.type === 'suspect' && messages[0].name === target);
    const everybodyElse = [2, 3, 4, 5].map((n) => at(n).host).filter((host) => host !== first?.to.host);
    expect(told[0]?.to).toEqual(first?.to);
    expect(told.slice(1, 4).map(({to}) => to.host).toSorted()).toEqual(everybodyElse);
  });

  test('an answer in time, by whatever way, is no suspicion', () => {
    for (const way of ['udp', 'tcp'] as const) {
      const protocol = aRing();
      for (let asked = 0; asked < 5; asked++) {
        for (const {messages} of tickUntil(protocol, protocol.nextTick).send) {
          const [ping] = messages;
          if (ping?.type !== 'ping') continue;
          if (way === 'udp') protocol.receive(protocol.nextTick, at(2), [{type: 'ack', seq: ping.seq, payload: new Uint8Array(0)}]);
          else protocol.fallbackAnswered(protocol.nextTick, ping.seq);
        }
      }
      expect(protocol.statistics()).toMatchObject({probeFailures: 0, health: 0});
    }
  });

  test('a refused connection ends the wait for helpers', () => {
    const protocol = aRing();
    const until = defaultConfig.probeInterval / 2 + defaultConfig.probeTimeout;
    const [stream] = tickUntil(protocol, until).streams;
    const refused = protocol.fallbackRefused(until + 1, stream?.kind === 'fallback-ping' ? stream.seq : 0);
    expect(kinds(refused)).toEqual([expect.stringMatching(/suspected$/)]);
    expect(protocol.statistics().health).toBe(0);
  });

  test('a ping is answered if it is for this member, or for whoever listens here', () => {
    const protocol = aProtocol();
    const ask = (target: string): number => protocol.receive(0, at(2), [{type: 'ping', seq: 7, target}]).send.length;
    expect([ask('m1'), ask(''), ask('m2')]).toEqual([1, 1, 0]);
  });

  test('for another it pings, and answers ack or nack', () => {
    const protocol = aProtocol();
    const ask: PacketMessage = {type: 'indirect-ping', seq: 7, target: 'm3', address: at(3), nack: true};
    const ping = protocol.receive(0, at(2), [ask]).send[0]?.messages[0];
    expect(ping).toMatchObject({type: 'ping', target: 'm3'});
    const seq = ping?.type === 'ping' ? ping.seq : 0;
    expect(protocol.receive(10, at(3), [{type: 'ack', seq, payload: new Uint8Array(0)}]).send).toMatchObject([{to: at(2), messages: [{type: 'ack', seq: 7}]}]);
    const later = aProtocol();
    later.receive(0, at(2), [ask]);
    expect(tickUntil(later, 150).send).toMatchObject([{to: at(2), messages: [{type: 'nack', seq: 7}]}]);
  });

  test('who tried in vain for another confirms the suspicion in its own name', () => {
    const protocol = aRing();
    protocol.receive(0, at(2), [{type: 'indirect-ping', seq: 7, target: 'm3', address: at(3), nack: true}]);
    tickUntil(protocol, 150);
    protocol.receive(150, at(2), [suspect(3, 2)]);
    const said = tickUntil(protocol, 260).send.flatMap(({messages}) => messages);
    expect(said).toContainEqual(suspect(3, 1));
    expect(said).toContainEqual(suspect(3, 2));
  });
});

describe('time', () => {
  test('a member that stood still accuses nobody of what it did not hear', () => {
    const protocol = aRing();
    tickUntil(protocol, 150);
    const late = protocol.tick(60_000);
    expect(kinds(late)).toEqual(['paused']);
    expect(protocol.statistics()).toMatchObject({health: 1, pauses: 1, probeFailures: 0});
  });

  test('nor does it believe deaths that it reads of then, before it has asked', () => {
    const protocol = aRing();
    tickUntil(protocol, 150);
    protocol.tick(60_000);
    expect(kinds(protocol.receive(60_001, at(3), [dead(2, 3)]))).toEqual(['m2 suspected']);
    const said = tickUntil(protocol, 60_200).send.filter(({to}) => to.host === at(2).host).flatMap(({messages}) => messages);
    expect(said).toContainEqual(suspect(2, 1));
  });

  test('a member that is always late still finds out who is dead', () => {
    for (const late of [60, 150]) {
      const protocol = aRing({config: {pushPullInterval: 0}});
      const told = new Set<string>();
      while (protocol.nextTick < 30_000) for (const event of kinds(protocol.tick(protocol.nextTick + late))) told.add(event);
      expect([...told].filter((event) => event.endsWith('died'))).toHaveLength(4);
    }
  });

  test('a clock that goes back, or shows nonsense, stops nothing', () => {
    const protocol = aRing();
    tickUntil(protocol, 1000);
    for (const now of [-1e9, NaN, Infinity, -1e9]) protocol.tick(now);
    const {probes} = protocol.statistics();
    expect(protocol.nextTick).toBeLessThan(-1e9 + 1000);
    tickUntil(protocol, -1e9 + 5000);
    expect(protocol.statistics().probes).toBeGreaterThan(probes);
  });

  test('the dead are forgotten in the end, those that left soon', () => {
    const protocol = aRing({config: {forgetAfter: 100_000, gossipToDeadFor: 1000, pauseDetection: false, reviveInterval: 0}});
    protocol.receive(0, at(3), [dead(2, 3), dead(4, 4)]);
    tickUntil(protocol, 5000);
    expect([protocol.member('m2')?.state, protocol.member('m4')]).toEqual(['dead', undefined]);
    tickUntil(protocol, 110_000);
    expect(protocol.member('m2')).toBeUndefined();
  });
});

describe('leaving', () => {
  test('it is said, and said often enough; then there is silence', () => {
    const protocol = aRing();
    const {send} = protocol.leave(0);
    expect(send[0]?.messages[0]).toEqual(dead(1, 1));
    expect(protocol.leaveSpread).toBe(false);
    tickUntil(protocol, 3000);
    expect([protocol.leaveSpread, protocol.nextTick, protocol.member('m1')?.state]).toEqual([true, Infinity, 'left']);
  });

  test('alone, there is nobody to tell', () => {
    const protocol = aProtocol();
    protocol.leave(0);
    expect(protocol.leaveSpread).toBe(true);
  });

  test('accusations do not call it back', () => {
    const protocol = aRing();
    protocol.leave(0);
    expect(protocol.receive(0, at(2), [suspect(1, 2)]).send).toEqual([]);
    expect(protocol.incarnation).toBe(1);
  });
});

describe('what it says', () => {
  test('no packet is larger than it may be, however much there is to say', () => {
    const protocol = aProtocol();
    for (let n = 2; n < 200; n++) protocol.receive(0, at(2), [alive(n, {meta: new Uint8Array(n * 2)})]);
    const {send} = tickUntil(protocol, 3000);
    expect(send.length).toBeGreaterThan(20);
    for (const {messages} of send) expect(packetBytes(messages)).toBeLessThanOrEqual(defaultConfig.packetBytes);
  });

  test('an encoding that takes more room is heeded', () => {
    const protocol = aProtocol({size: (message) => 2 * messageBytes(message)});
    for (let n = 2; n < 200; n++) protocol.receive(0, at(2), [alive(n)]);
    for (const {messages} of tickUntil(protocol, 3000).send) expect(packetBytes(messages)).toBeLessThanOrEqual(defaultConfig.packetBytes / 2 + 60);
  });

  test('its view: itself first, then all that it knows, and what was announced', () => {
    const protocol = aRing();
    protocol.receive(0, at(2), [dead(2, 3)]);
    protocol.announce(0, {topic: 'leader', version: 3, payload: Uint8Array.of(1)});
    const state = protocol.state(true);
    expect(state.join).toBe(true);
    expect(state.members.map(({name, state: life}) => `${name} ${life}`)).toEqual(['m1 alive', 'm2 dead', 'm3 alive', 'm4 alive', 'm5 alive']);
    const other = aProtocol({self: {name: 'm9', address: at(9)}});
    other.receiveState(0, at(1), state);
    expect(other.announcements()).toEqual(protocol.announcements());
  });

  test('new metadata goes with a greater incarnation', () => {
    const protocol = aRing();
    protocol.setMetadata(0, Uint8Array.of(7));
    expect(protocol.member('m1')).toMatchObject({incarnation: 2, meta: Uint8Array.of(7)});
  });

  test('what cannot be is refused by name', () => {
    const protocol = aProtocol();
    expect(() => protocol.setMetadata(0, new Uint8Array(513))).toThrow(expect.objectContaining({code: 'metadata-too-large'}));
    expect(() => protocol.announce(0, {topic: '', version: 1, payload: new Uint8Array(0)})).toThrow(expect.objectContaining({code: 'announcement-invalid'}));
    expect(() => aProtocol({self: {name: '', address: at(1)}})).toThrow(expect.objectContaining({code: 'member-invalid'}));
  });
});
