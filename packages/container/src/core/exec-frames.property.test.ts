import fc from 'fast-check';
import {encodeFrames, FrameDecoder, MAX_FRAME_BYTES} from './exec-frames.ts';

describe('exec frames', () => {
  it('come back whole, however the stream was cut', () => {
    const write = fc.record({channel: fc.constantFrom(1, 2), data: fc.uint8Array({maxLength: 200})});
    fc.assert(fc.property(fc.array(write, {maxLength: 20}), fc.integer({min: 1, max: 50}), (writes, size) => {
      const bytes = Buffer.concat(writes.map(({channel, data}) => encodeFrames(channel, data)));
      const decoder = new FrameDecoder();
      const read = [];
      for (let at = 0; at < bytes.length; at += size) read.push(...decoder.push(bytes.subarray(at, at + size)));
      expect(read.map(({channel, data}) => ({channel, data: [...data]}))).toEqual(writes.filter(({data}) => data.length > 0).map(({channel, data}) => ({channel, data: [...data]})));
    }));
  });

  it('are cut to a size that every reader takes', () => {
    const data = new Uint8Array(2 * MAX_FRAME_BYTES + 1).map((_, index) => index % 251);
    const frames = [...new FrameDecoder().push(encodeFrames(1, data))];
    expect(frames.map((frame) => frame.data.length)).toEqual([MAX_FRAME_BYTES, MAX_FRAME_BYTES, 1]);
    expect(Buffer.concat(frames.map((frame) => frame.data)).equals(data)).toBe(true);
  });

  it('refuse a length that nobody writes', () => {
    expect(() => [...new FrameDecoder().push(Uint8Array.of(1, 255, 255, 255, 255))]).toThrow(RangeError);
  });
});
