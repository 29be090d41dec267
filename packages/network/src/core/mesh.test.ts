import fc from 'fast-check';
import {answered, decodeProbe, encodeProbe, intervalOf, type Reach, sent, summary} from './mesh.ts';

describe('how well a machine is reached', () => {
  it('is told by the last probes, those that may still be answered left out', () => {
    let reach: Reach = [];
    expect(summary(reach, 0)).toEqual({sent: 0, loss: null, roundTrip: null});
    for (let sequence = 1; sequence <= 4; sequence++) reach = sent(reach, sequence, sequence * 100);
    expect(summary(reach, 450)).toEqual({sent: 0, loss: null, roundTrip: null});
    reach = answered(answered(answered(reach, 1, 100.5), 2, 200.25), 99, 500);
    expect(summary(reach, 450)).toEqual({sent: 2, loss: 0, roundTrip: {least: 250, mean: 375, most: 500}});
    expect(summary(reach, 2_000)).toMatchObject({sent: 4, loss: 0.5});
    // Doubled, or too late.
    expect(summary(answered(answered(reach, 1, 900), 3, 1_900), 2_000)).toMatchObject({sent: 4, loss: 0.5, roundTrip: {most: 500}});
    for (let sequence = 5; sequence <= 30; sequence++) reach = answered(sent(reach, sequence, sequence * 100), sequence, sequence * 100 + 1);
    expect(summary(reach, 9_000)).toEqual({sent: 20, loss: 0, roundTrip: {least: 1_000, mean: 1_000, most: 1_000}});
  });

  it('costs no more than 25 packets a second', () => {
    expect([intervalOf(1), intervalOf(50), intervalOf(1_000)]).toEqual([2_000, 2_000, 40_000]);
  });

  it('is asked in packets that nothing else is taken for', () => {
    expect(decodeProbe(encodeProbe('probe', 4_294_967_295))).toEqual({kind: 'probe', sequence: 4_294_967_295});
    expect(decodeProbe(encodeProbe('answer', 0))).toEqual({kind: 'answer', sequence: 0});
    fc.assert(fc.property(fc.uint8Array({maxLength: 40}), (bytes) => {
      const decoded = decodeProbe(bytes);
      if (decoded) expect(Buffer.from(bytes).subarray(0, 4).toString()).toBe('HMP1');
    }));
  });
});
