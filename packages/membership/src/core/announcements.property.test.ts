import fc from 'fast-check';
import {type Announcement, announcementFault, Announcements, decodeAnnouncements, encodeAnnouncement, maxTopics} from './announcements.ts';

const announcement: fc.Arbitrary<Announcement> = fc
  .record({topic: fc.string({minLength: 1, maxLength: 20}), version: fc.double({noNaN: true, noDefaultInfinity: true}), payload: fc.uint8Array({maxLength: 400})})
  .filter((value) => announcementFault(value) === undefined);

test('what is encoded is read again', () => {
  fc.assert(fc.property(announcement, (value) => expect(decodeAnnouncements(encodeAnnouncement(value))).toEqual([value])));
});

test('no bytes make it throw, nor does a part of what is right', () => {
  fc.assert(fc.property(fc.uint8Array({maxLength: 600}), (bytes) => void decodeAnnouncements(bytes)));
  fc.assert(fc.property(announcement, fc.nat({max: 500}), (value, length) => void decodeAnnouncements(encodeAnnouncement(value).subarray(0, length))));
});

test('whatever the order in which they are heard, the greatest version of each topic is kept', () => {
  fc.assert(
    fc.property(fc.array(fc.record({topic: fc.constantFrom('a', 'b'), version: fc.nat({max: 9})})), (heard) => {
      const kept = new Announcements();
      for (const {topic, version} of heard) kept.accept({topic, version, payload: Uint8Array.of(version)});
      for (const {topic, version} of kept.all()) expect(version).toBe(Math.max(...heard.filter((one) => one.topic === topic).map((one) => one.version)));
      expect(decodeAnnouncements(kept.encode())).toEqual(kept.all());
    }),
  );
});

test('a topic too many is not kept', () => {
  const kept = new Announcements();
  for (let i = 0; i < maxTopics + 5; i++) kept.accept({topic: `t${i}`, version: 1, payload: new Uint8Array(0)});
  expect(kept.all()).toHaveLength(maxTopics);
});

test.each([
  [{topic: '', version: 1, payload: new Uint8Array(0)}, /1 to 64/],
  [{topic: 'x'.repeat(65), version: 1, payload: new Uint8Array(0)}, /1 to 64/],
  [{topic: 'x', version: NaN, payload: new Uint8Array(0)}, /compared/],
  [{topic: 'x', version: 1, payload: new Uint8Array(401)}, /at most 400/],
])('beyond its bounds it is refused', (value, why) => {
  expect(announcementFault(value)).toMatch(why);
});
