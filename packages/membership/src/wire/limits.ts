/** Bounds on everything that arrives. What is over them is dropped whole; nothing is allocated for it first. */

/** Bytes of metadata a member may carry, as in memberlist. */
export const MAX_META_BYTES = 512;
/** Bytes of a member's name: 128 UTF-16 units, the protocol's bound, take no more. */
export const MAX_NAME_BYTES = 384;
/** Entries of one msgpack map: the largest of the protocol has 8. */
export const MAX_MAP_ENTRIES = 32;
/** Framings inside framings (checksum, compression, compound): memberlist nests 3. */
export const MAX_FRAMES = 4;
/** Messages of one datagram. */
export const MAX_PACKET_MESSAGES = 512;
/** A datagram unpacked; packed it cannot be larger than UDP allows. */
export const MAX_PACKET_BYTES = 65_536;
/** A stream's message as it arrives. A row of a push-pull takes 100 to 700 bytes, so this is a ring of more than 10,000. */
export const MAX_STREAM_BYTES = 8 * 1024 * 1024;
/** A stream's message unpacked. */
export const MAX_UNPACKED_STREAM_BYTES = 16 * 1024 * 1024;
/** Rows of one push-pull. */
export const MAX_ROWS = 65_536;
/** State that applications exchange within a push-pull. */
export const MAX_USER_STATE_BYTES = 1024 * 1024;
/** An application's message sent over a stream. */
export const MAX_USER_MESSAGE_BYTES = 1024 * 1024;

/**
 * Why bytes were thrown away: `no-key` not sealed by a key of the ring (or not sealed at all), `label` of another ring,
 * `checksum` damaged on the way, `too-large` over a bound, `truncated` shorter than it says, `malformed` not what it says,
 * `unknown-type` a kind of message that this program does not know.
 */
export type DropReason = 'no-key' | 'label' | 'checksum' | 'too-large' | 'truncated' | 'malformed' | 'unknown-type';
