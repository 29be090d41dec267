/**
 * Values that every member should know, spread by gossip and in push-pulls: the greater version wins and is kept.
 *
 * On the wire, in a user message or one after the other in a push-pull's user state, big-endian:
 *   0xA7 · topic length u8 · topic UTF-8 · version f64 · payload length u16 · payload
 */
import {utf8Length} from './size.ts';

/** At most 400 bytes of payload, at most 16 topics (of 64 bytes); the last writer wins. The leader of the cluster travels so. */
export interface Announcement {
  readonly topic: string;
  /** Compared as (epoch text equal or unknown, n): only `n` decides. */
  readonly version: number;
  readonly payload: Uint8Array;
}

const mark = 0xa7;
export const maxTopics = 16;
export const maxTopicBytes = 64;
export const maxPayloadBytes = 400;

/** What is wrong with it; undefined: nothing. */
export function announcementFault({topic, version, payload}: Announcement): string | undefined {
  const bytes = utf8Length(topic);
  if (bytes === 0 || bytes > maxTopicBytes) return `topic "${topic}" has ${bytes} bytes; 1 to ${maxTopicBytes} are allowed`;
  if (!Number.isFinite(version)) return `version ${version} of topic "${topic}" is not a number that can be compared`;
  if (payload.length > maxPayloadBytes) return `the payload of topic "${topic}" has ${payload.length} bytes; at most ${maxPayloadBytes} are allowed`;
  return undefined;
}

export function encodeAnnouncement({topic, version, payload}: Announcement): Uint8Array {
  const name = new TextEncoder().encode(topic);
  const bytes = new Uint8Array(1 + 1 + name.length + 8 + 2 + payload.length);
  const view = new DataView(bytes.buffer);
  bytes[0] = mark;
  bytes[1] = name.length;
  bytes.set(name, 2);
  view.setFloat64(2 + name.length, version);
  view.setUint16(10 + name.length, payload.length);
  bytes.set(payload, 12 + name.length);
  return bytes;
}

/** What can be read; what is not of this form, or beyond its bounds, is left out with all that follows. */
export function decodeAnnouncements(bytes: Uint8Array): Announcement[] {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const found: Announcement[] = [];
  let at = 0;
  while (found.length < maxTopics && at + 2 <= bytes.length && bytes[at] === mark) {
    const nameEnd = at + 2 + (bytes[at + 1] ?? 0);
    if (nameEnd + 10 > bytes.length) break;
    const end = nameEnd + 10 + view.getUint16(nameEnd + 8);
    if (end > bytes.length) break;
    const topic = new TextDecoder().decode(bytes.subarray(at + 2, nameEnd));
    const announcement = {topic, version: view.getFloat64(nameEnd), payload: bytes.slice(nameEnd + 10, end)};
    if (announcementFault(announcement) !== undefined) break;
    found.push(announcement);
    at = end;
  }
  return found;
}

/** The newest of each topic. */
export class Announcements {
  readonly #byTopic = new Map<string, Announcement>();

  all(): readonly Announcement[] {
    return [...this.#byTopic.values()];
  }

  /** Whether it is news. A topic beyond the bound is not kept. */
  accept(announcement: Announcement): boolean {
    const known = this.#byTopic.get(announcement.topic);
    if (known ? announcement.version <= known.version : this.#byTopic.size >= maxTopics) return false;
    this.#byTopic.set(announcement.topic, announcement);
    return true;
  }

  encode(): Uint8Array {
    const parts = this.all().map(encodeAnnouncement);
    const bytes = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
    let at = 0;
    for (const part of parts) {
      bytes.set(part, at);
      at += part.length;
    }
    return bytes;
  }
}
