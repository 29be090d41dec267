/**
 * What a Hivemind member tells of its machine, within memberlist's 512 bytes of metadata: `hm1` and a JSON object with one-letter
 * keys. A reader takes what it knows and skips the rest, so that members of different releases share a ring.
 */
import {membershipErrors} from '../errors.ts';
import {maxMetaBytes} from './config.ts';

export interface Metadata {
  readonly zone?: string;
  readonly agentVersion?: string;
  /** `host:port` where the machine's agent or API answers. */
  readonly api?: string;
  readonly tags?: Readonly<Record<string, string>>;
}

const mark = 'hm1';

/** Throws `metadata-too-large` beyond 512 bytes. */
export function encodeMetadata({zone, agentVersion, api, tags}: Metadata): Uint8Array {
  const text = mark + JSON.stringify({z: zone, v: agentVersion, a: api, t: tags && Object.keys(tags).length > 0 ? tags : undefined});
  const bytes = new TextEncoder().encode(text);
  if (bytes.length > maxMetaBytes) {
    throw membershipErrors['metadata-too-large'](`zone, version, API address and tags take ${bytes.length} bytes together; at most ${maxMetaBytes} fit. Shorten the tags.`);
  }
  return bytes;
}

/** Undefined: not of Hivemind's form. Fields of a wrong type are left out. */
export function decodeMetadata(bytes: Uint8Array): Metadata | undefined {
  if (bytes.length > maxMetaBytes) return undefined;
  const text = new TextDecoder().decode(bytes);
  if (!text.startsWith(mark)) return undefined;
  const fields = parseObject(text.slice(mark.length));
  if (!fields) return undefined;
  const {z, v, a, t} = fields;
  return {
    ...(typeof z === 'string' ? {zone: z} : {}),
    ...(typeof v === 'string' ? {agentVersion: v} : {}),
    ...(typeof a === 'string' ? {api: a} : {}),
    ...(isObject(t) ? {tags: Object.fromEntries(Object.entries(t).filter((tag): tag is [string, string] => typeof tag[1] === 'string'))} : {}),
  };
}

function parseObject(json: string): Record<string, unknown> | undefined {
  try {
    const value: unknown = JSON.parse(json);
    return isObject(value) ? value : undefined;
  } catch {
    return undefined;
  }
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
