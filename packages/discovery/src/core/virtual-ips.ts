/**
 * Which virtual IP a service gets: the one that its name hashes to, or the next that is free. So a service that is made anew, or
 * a store that was lost, comes to the same address as a rule, without anything being remembered. Pure.
 */

/** Addresses as numbers, both inclusive. */
export interface AddressRange {
  readonly first: number;
  readonly last: number;
}

/** The range without its first and last address, which people take for the network's own. `cidr` is valid IPv4, 8 to 30 bits. */
export function rangeOf(cidr: string): AddressRange {
  const [address = '', bits = ''] = cidr.split('/');
  const size = 2 ** (32 - Number(bits));
  const base = Math.floor(numberOf(address) / size) * size;
  return {first: base + 1, last: base + size - 2};
}

/** undefined: every address is taken. */
export function chooseAddress({first, last}: AddressRange, key: string, taken: (address: string) => boolean): string | undefined {
  const size = last - first + 1;
  const start = hashOf(key) % size;
  for (let step = 0; step < size; step++) {
    const address = textOf(first + ((start + step) % size));
    if (!taken(address)) return address;
  }
  return undefined;
}

export function isWithin({first, last}: AddressRange, address: string): boolean {
  const number = numberOf(address);
  return number >= first && number <= last;
}

export function overlap(one: string, other: string): boolean {
  const [a, b] = [rangeOf(one), rangeOf(other)];
  return a.first <= b.last + 1 && b.first <= a.last + 1;
}

/** NaN where it is no IPv4 address. */
function numberOf(address: string): number {
  const parts = address.split('.').map(Number);
  return parts.length === 4 ? parts.reduce((sum, part) => sum * 256 + part, 0) : Number.NaN;
}

function textOf(number: number): string {
  return [24, 16, 8, 0].map((shift) => Math.floor(number / 2 ** shift) % 256).join('.');
}

/** FNV-1a, 32 bits. */
export function hashOf(text: string): number {
  let hash = 0x811c9dc5;
  for (let at = 0; at < text.length; at++) hash = Math.imul(hash ^ text.charCodeAt(at), 0x01000193);
  return hash >>> 0;
}
