import fc from 'fast-check';
import {Broadcasts} from './broadcasts.ts';
import type {PacketMessage} from './messages.ts';
import {bytesInCompound, messageBytes} from './size.ts';

const suspect = (name: string, from = 'me', incarnation = 1): PacketMessage => ({type: 'suspect', name, from, incarnation});
const dead = (name: string, from = 'me'): PacketMessage => ({type: 'dead', name, from, incarnation: 1});
const collect = (queue: Broadcasts, room = 1e6, limit = 4, counts = true): PacketMessage[] => {
  const into: PacketMessage[] = [];
  queue.collect(into, room, limit, counts);
  return into;
};
const make = (bound?: number): Broadcasts => new Broadcasts(messageBytes, bound);

test('a message is sent as often as the limit says, then forgotten', () => {
  const queue = make();
  queue.put('a', suspect('a'));
  expect([1, 2, 3, 4, 5].map(() => collect(queue, 1e6, 4).length)).toEqual([1, 1, 1, 1, 0]);
  expect(queue.size).toBe(0);
});

test('what was sent least goes first, the newest of those before', () => {
  const queue = make();
  queue.put('a', suspect('a'));
  collect(queue);
  queue.put('b', suspect('b'));
  queue.put('c', suspect('c'));
  expect(collect(queue).map((message) => message.type === 'suspect' && message.name)).toEqual(['c', 'b', 'a']);
});

test('news of a member replaces older news of it; its accusers stand beside each other', () => {
  const queue = make();
  queue.put('a', suspect('a', 'x'));
  queue.put('a', suspect('a', 'y'));
  queue.put('a', suspect('a', 'y', 2));
  expect(collect(queue)).toEqual([suspect('a', 'y', 2), suspect('a', 'x')]);
  queue.put('a', dead('a'));
  expect(collect(queue)).toEqual([dead('a')]);
});

test('accusations can be withdrawn; that a member leaves, and what it says of itself, stays', () => {
  const queue = make();
  const alive: PacketMessage = {type: 'alive', claim: {name: 'c', address: {host: '10.0.0.1', port: 1}, incarnation: 1, meta: new Uint8Array(0), versions: []}};
  queue.put('a', suspect('a', 'me'));
  queue.put('a', suspect('a', 'x'));
  queue.put('b', dead('b', 'me'));
  queue.put('c', alive);
  queue.put('d', dead('d', 'd'));
  queue.withdrawAccusations();
  expect(new Set(collect(queue))).toEqual(new Set([alive, dead('d', 'd')]));
});

test('telling the dead is not counted', () => {
  const queue = make();
  queue.put('a', suspect('a'));
  for (let i = 0; i < 20; i++) expect(collect(queue, 1e6, 4, false)).toHaveLength(1);
  expect(queue.size).toBe(1);
});

test('beyond its bound it drops what was sent most', () => {
  const queue = make(3);
  queue.put('old', suspect('old'));
  collect(queue);
  for (const name of ['a', 'b', 'c']) queue.put(name, suspect(name));
  expect(queue.size).toBe(3);
  expect(queue.has('old')).toBe(false);
});

test('never more bytes than there is room, never a message twice in a packet, and each is sent in the end', () => {
  const names = fc.uniqueArray(fc.string({minLength: 1, maxLength: 40}), {minLength: 1, maxLength: 60});
  fc.assert(
    fc.property(names, fc.integer({min: 120, max: 600}), (all, room) => {
      const queue = make();
      for (const name of all) queue.put(name, suspect(name));
      const times = new Map<string, number>();
      for (let packets = 0; queue.size > 0; packets++) {
        expect(packets).toBeLessThan(all.length * 4 + 1);
        const messages = collect(queue, room, 3);
        expect(messages.reduce((sum, message) => sum + messageBytes(message) + bytesInCompound, 0)).toBeLessThanOrEqual(room);
        const inPacket = messages.map((message) => (message.type === 'suspect' ? message.name : ''));
        expect(new Set(inPacket).size).toBe(inPacket.length);
        for (const name of inPacket) times.set(name, (times.get(name) ?? 0) + 1);
      }
      for (const name of all) expect(times.get(name)).toBe(3);
    }),
  );
});
