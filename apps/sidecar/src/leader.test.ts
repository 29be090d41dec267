import fc from 'fast-check';
import type {Announcement} from '@hivemind/membership/model';
import {type AnnouncedLeader, decodeLeader, encodeLeader, leaderNow, supersedes} from './leader.ts';
import {LeaderWatch} from './leader-watch.ts';

const leader = (fields: Partial<AnnouncedLeader> = {}): AnnouncedLeader => ({name: 'manager-1', since: '2026-01-01T00:00:00.000Z', revision: {epoch: 'e1', n: 7}, renewal: 0, leaseMs: 30_000, ...fields});
const alive = (...names: string[]) => names.map((name) => ({name, state: 'alive' as const}));

describe('who leads', () => {
  it('is who was announced, for the length of its lease', () => {
    const heard = {leader: leader({node: 'n1'}), heardAt: 1_000};
    expect(leaderNow(heard, alive('a'), 30_999)).toEqual({name: 'manager-1', node: 'n1', since: '2026-01-01T00:00:00.000Z', revision: {epoch: 'e1', n: 7}, provisional: false});
    expect(leaderNow(heard, alive('a'), 31_000)).toEqual({name: 'a', node: 'a', provisional: true});
  });

  it('is nobody where nobody is', () => {
    expect(leaderNow(undefined, [{name: 'a', state: 'dead'}, {name: 'b', state: 'suspect'}], 0)).toBeUndefined();
  });

  it('is provisionally the same whatever the order: the alive one of the lowest name', () => {
    const members = fc.uniqueArray(fc.record({name: fc.string(), state: fc.constantFrom('alive' as const, 'suspect' as const, 'dead' as const, 'left' as const)}), {selector: ({name}) => name});
    fc.assert(fc.property(members, (ring) => {
      const named = leaderNow(undefined, ring, 0);
      expect(leaderNow(undefined, ring.toReversed(), 0)).toEqual(named);
      const names = ring.filter(({state}) => state === 'alive').map(({name}) => name).toSorted((a, b) => (a < b ? -1 : 1));
      expect(named?.name).toBe(names[0]);
    }));
  });

  it('is told in gossip as it was, and nothing else is taken for it', () => {
    fc.assert(fc.property(fc.record({name: fc.string({minLength: 1, maxLength: 40}), since: fc.string({maxLength: 30}), revision: fc.record({epoch: fc.string({maxLength: 30}), n: fc.nat()}), renewal: fc.nat(), leaseMs: fc.integer({min: 1, max: 600_000})}), (given) => {
      const payload = encodeLeader(given);
      if (payload) expect(decodeLeader(payload)).toEqual(given);
    }));
    fc.assert(fc.property(fc.oneof(fc.uint8Array(), fc.json().map((text) => Buffer.from(text))), (noise) => expect(decodeLeader(noise)).toBeUndefined()));
    expect(encodeLeader(leader({name: 'x'.repeat(400)}))).toBeUndefined();
  });

  it('goes forward: by fencing revision, then by renewal; another epoch is another life of the store', () => {
    const known = leader({renewal: 3});
    expect(supersedes(leader({renewal: 4}), known)).toBe(true);
    expect(supersedes(leader({renewal: 3}), known)).toBe(false);
    expect(supersedes(leader({revision: {epoch: 'e1', n: 6}, renewal: 9}), known)).toBe(false);
    expect(supersedes(leader({revision: {epoch: 'e2', n: 1}}), known)).toBe(true);
  });
});

describe('a ring of sidecars', () => {
  /** One sidecar's watch beside a member whose announcements the test passes on. */
  function sidecar(random = 0) {
    const told: Announcement[] = [];
    const listeners: ((announcement: Announcement) => void)[] = [];
    const timers: (() => void)[] = [];
    let now = 0;
    const watch = new LeaderWatch({
      member: {
        members: () => alive('b', 'a').map((member) => ({...member, address: {host: '127.0.0.1', port: 1}, incarnation: 0, since: 0})),
        announce: (announcement) => void told.push(announcement),
        announcements: () => [],
        onAnnouncement: (listener) => (listeners.push(listener), () => undefined),
      },
      now: () => now,
      random: () => random,
      setTimer: (callback) => (timers.push(callback), () => void timers.splice(timers.indexOf(callback), 1)),
    });
    return {
      watch, told,
      gossip: (announcement: Announcement) => listeners.forEach((listener) => listener(announcement)),
      fire: () => timers.splice(0).forEach((timer) => timer()),
      advance: (ms: number) => void (now += ms),
    };
  }

  it('one passes on what the bus says; another that heard it in the ring meanwhile stays silent', async () => {
    const [a, b] = [sidecar(), sidecar()];
    for (const {watch} of [a, b]) watch.heardOnBus(leader());
    a.fire();
    expect(a.told).toHaveLength(1);
    expect(a.told[0]).toMatchObject({topic: 'leader', version: 7});
    b.gossip(a.told[0]!);
    b.fire();
    expect(b.told).toEqual([]);
    expect(await b.watch.view()).toMatchObject({name: 'manager-1', provisional: false});
  });

  it('one without a bus learns it, and names a provisional one when it is no longer renewed', async () => {
    const [a, c] = [sidecar(), sidecar()];
    expect(await c.watch.view()).toEqual({name: 'a', node: 'a', provisional: true});
    a.watch.heardOnBus(leader());
    a.fire();
    c.gossip(a.told[0]!);
    c.advance(29_999);
    expect(await c.watch.view()).toMatchObject({provisional: false});
    a.watch.heardOnBus(leader({renewal: 1}));
    a.fire();
    c.gossip(a.told[1]!);
    c.advance(29_999);
    expect(await c.watch.view()).toMatchObject({name: 'manager-1', provisional: false});
    c.advance(1);
    expect(await c.watch.view()).toEqual({name: 'a', node: 'a', provisional: true});
  });

  it('is told of a rewound store: the new epoch wins, though its revision is lower', async () => {
    const [a, c] = [sidecar(), sidecar()];
    a.watch.heardOnBus(leader({revision: {epoch: 'e1', n: 900}}));
    a.fire();
    a.watch.heardOnBus(leader({name: 'manager-2', revision: {epoch: 'e2', n: 3}}));
    a.fire();
    for (const announcement of a.told) c.gossip(announcement);
    expect(await c.watch.view()).toMatchObject({name: 'manager-2', revision: {epoch: 'e2', n: 3}});
  });
});
