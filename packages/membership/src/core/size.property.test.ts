import fc from 'fast-check';
import {encodePacket, encodeStream} from '../wire/index.ts';
import {message, pushPull} from '../wire/testing.ts';
import {packetBytes, pushPullBytes} from './size.ts';

test('a packet takes what was reckoned', () => {
  fc.assert(fc.property(fc.array(message, {minLength: 1, maxLength: 5}), (messages) => expect(packetBytes(messages)).toBe(encodePacket(messages).length)));
});

test('so does a view that is too small to be compressed', () => {
  const small = pushPull.map((state) => ({...state, members: state.members.slice(0, 2).map((view) => ({...view, meta: view.meta.slice(0, 20)})), userState: state.userState.slice(0, 40)}));
  fc.assert(fc.property(small, (state) => expect(pushPullBytes(state)).toBe(encodeStream(state, {}, true).length)));
});
