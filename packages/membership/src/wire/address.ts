/** IP addresses as text and as the 4 or 16 bytes that travel. Texts are canonical, so that two of one address are equal. */
import {isIPv4, isIPv6} from 'node:net';

/** The bytes of an address; undefined: not one (a name, a zone). */
export function addressBytes(host: string): Buffer | undefined {
  if (isIPv4(host)) return Buffer.from(host.split('.').map(Number));
  if (!isIPv6(host) || host.includes('%')) return undefined;
  return ipv6Bytes(host);
}

/** The text of an address; undefined: neither 4 nor 16 bytes. IPv4 inside IPv6, which Go keeps, reads as IPv4. */
export function addressText(bytes: Uint8Array): string | undefined {
  if (bytes.length === 4) return bytes.join('.');
  if (bytes.length !== 16) return undefined;
  const mapped = bytes[10] === 0xff && bytes[11] === 0xff && bytes.subarray(0, 10).every((byte) => byte === 0);
  return mapped ? bytes.subarray(12).join('.') : ipv6Text(bytes);
}

/** The one text of an address; undefined: not an IP address. */
export function canonicalAddress(host: string): string | undefined {
  const bytes = addressBytes(host);
  return bytes && addressText(bytes);
}

function ipv6Bytes(host: string): Buffer {
  // A dotted tail is two groups.
  const text = host.replace(/(\d+)\.(\d+)\.(\d+)\.(\d+)$/, (_, a, b, c, d) =>
    [Number(a) * 256 + Number(b), Number(c) * 256 + Number(d)].map((group) => group.toString(16)).join(':'),
  );
  const [head = '', tail] = text.split('::');
  const before = head === '' ? [] : head.split(':');
  const after = tail === undefined || tail === '' ? [] : tail.split(':');
  const zeros = Array.from({length: 8 - before.length - after.length}, () => '0');
  const bytes = Buffer.alloc(16);
  [...before, ...zeros, ...after].forEach((group, n) => bytes.writeUInt16BE(Number.parseInt(group, 16), 2 * n));
  return bytes;
}

/** RFC 5952: small letters, no leading zeros, the first longest run of two or more zero groups as `::`. */
function ipv6Text(bytes: Uint8Array): string {
  const groups = Array.from({length: 8}, (_, n) => (bytes[2 * n] ?? 0) * 256 + (bytes[2 * n + 1] ?? 0));
  let start = 0;
  let length = 0;
  for (let at = 0; at < 8; at += 1) {
    let end = at;
    while (end < 8 && groups[end] === 0) end += 1;
    if (end - at > length) [start, length] = [at, end - at];
  }
  const text = (part: readonly number[]): string => part.map((group) => group.toString(16)).join(':');
  return length < 2 ? text(groups) : `${text(groups.slice(0, start))}::${text(groups.slice(start + length))}`;
}
