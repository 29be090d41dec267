/** Messages at random, for property tests. */
import fc from 'fast-check';
import type {Address, MemberClaim, MemberView, PacketMessage, PushPull} from '../core/messages.ts';
import {canonicalAddress} from './address.ts';

const port = fc.integer({min: 1, max: 65_535});
const uint32 = fc.nat({max: 0xffff_ffff});
export const address: fc.Arbitrary<Address> = fc.record({host: fc.oneof(fc.ipV4(), fc.ipV6()).map((host) => canonicalAddress(host) ?? '::1'), port});
export const name = fc.string({unit: 'binary', minLength: 1, maxLength: 60}).filter((text) => text.isWellFormed());
const bytes = (maxLength: number): fc.Arbitrary<Uint8Array> => fc.uint8Array({maxLength});
const source = fc.record({name, address});

export const claim: fc.Arbitrary<MemberClaim> = fc.record({
  name,
  address,
  incarnation: uint32,
  meta: bytes(512),
  versions: fc.array(fc.nat({max: 255}), {minLength: 6, maxLength: 6}),
});

export const message: fc.Arbitrary<PacketMessage> = fc.oneof(
  fc.record({type: fc.constant('ping' as const), seq: uint32, target: name, source}, {requiredKeys: ['type', 'seq', 'target']}),
  fc.record(
    {type: fc.constant('indirect-ping' as const), seq: uint32, target: name, address, nack: fc.boolean(), source},
    {requiredKeys: ['type', 'seq', 'target', 'address', 'nack']},
  ),
  fc.record({type: fc.constant('ack' as const), seq: uint32, payload: bytes(40)}),
  fc.record({type: fc.constant('nack' as const), seq: uint32}),
  fc.record({type: fc.constantFrom('suspect' as const, 'dead' as const), incarnation: uint32, name, from: name}),
  fc.record({type: fc.constant('alive' as const), claim}),
  fc.record({type: fc.constant('user' as const), payload: bytes(200)}),
);

const view: fc.Arbitrary<MemberView> = fc.tuple(claim, fc.constantFrom('alive' as const, 'suspect' as const, 'dead' as const, 'left' as const))
  .map(([of, state]) => ({...of, state}));

export const pushPull: fc.Arbitrary<PushPull> = fc.record({
  type: fc.constant('push-pull' as const),
  join: fc.boolean(),
  members: fc.array(view, {maxLength: 20}),
  userState: bytes(300),
});

/** Keys and labels for a framing: an index a test turns into one. */
export const framingChoice = fc.record({keyBytes: fc.constantFrom(0, 16, 24, 32), label: fc.constantFrom('', 'blue')});
