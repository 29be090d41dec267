/** Arithmetic of IPv4 ranges. An address is an unsigned whole number of 32 bits. Pure. */

export interface Range {
  /** Its first address. */
  readonly base: number;
  /** Length of the prefix, 0 to 32. */
  readonly prefix: number;
}

/** Undefined where it is not four numbers from 0 to 255. */
export function parseAddress(text: string): number | undefined {
  const parts = text.split('.');
  if (parts.length !== 4 || !parts.every((part) => /^(0|[1-9]\d{0,2})$/.test(part) && Number(part) <= 255)) return undefined;
  return parts.reduce((value, part) => value * 256 + Number(part), 0);
}

export function formatAddress(value: number): string {
  return [24, 16, 8, 0].map((shift) => Math.floor(value / 2 ** shift) % 256).join('.');
}

/** Undefined where it is none, or has bits past its prefix. */
export function parseCidr(text: string): Range | undefined {
  const [address = '', length = '', ...more] = text.split('/');
  const base = parseAddress(address);
  const prefix = /^\d{1,2}$/.test(length) ? Number(length) : 33;
  if (more.length > 0 || base === undefined || prefix > 32 || base % sizeOf(prefix) !== 0) return undefined;
  return {base, prefix};
}

export function formatCidr({base, prefix}: Range): string {
  return `${formatAddress(base)}/${prefix}`;
}

/** How many addresses a range of this prefix has. */
export function sizeOf(prefix: number): number {
  return 2 ** (32 - prefix);
}

/** Whether all of `inner` (a range or one address) is in `outer`. */
export function contains(outer: Range, inner: Range | number): boolean {
  const {base, prefix} = typeof inner === 'number' ? {base: inner, prefix: 32} : inner;
  return prefix >= outer.prefix && base >= outer.base && base < outer.base + sizeOf(outer.prefix);
}

export function overlaps(a: Range, b: Range): boolean {
  return contains(a, b) || contains(b, a);
}

/** How many ranges of `prefix` it can be cut into; 0 where it is smaller than one. */
export function partsOf(range: Range, prefix: number): number {
  return prefix < range.prefix ? 0 : 2 ** (prefix - range.prefix);
}

export function partAt(range: Range, prefix: number, index: number): Range {
  return {base: range.base + index * sizeOf(prefix), prefix};
}

/** The bridge's own address in a machine's part: the first after the one that names the range. */
export function gatewayOf({base}: Range): string {
  return formatAddress(base + 1);
}
