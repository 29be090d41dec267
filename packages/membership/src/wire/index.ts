/** The bytes of hashicorp/memberlist's protocol version 5: datagrams and streams, both ways. */
export {addressBytes, addressText, canonicalAddress} from './address.ts';
export {type DropReason, MAX_META_BYTES, MAX_NAME_BYTES, MAX_PACKET_BYTES, MAX_STREAM_BYTES} from './limits.ts';
export {type DecodedPacket, decodePacket, encodePacket, type Framing} from './packet.ts';
export {type Keys} from './seal.ts';
export {encodeStream, StreamDecoder, type StreamError, type StreamMessage, type StreamResult} from './stream.ts';
