/** Addresses for networks of the machine's own: which range a new one has, and which address a container. IPv4. Pure. */

/** Of which each network has a part: beside the cluster's own ranges (10.244.0.0/16, 10.96.0.0/16) and Docker's. */
const FIRST = numberOf('10.192.0.0');
const PARTS = 1024;
const PREFIX = 22;
const SIZE = 2 ** (32 - PREFIX);

/** The first part that overlaps nothing. @param taken ranges as `10.0.0.0/8` @returns undefined where there is none */
export function freeSubnet(taken: readonly string[]): string | undefined {
  const ranges = taken.map(rangeOf);
  for (let part = 0; part < PARTS; part++) {
    const first = FIRST + part * SIZE;
    if (ranges.every((range) => first + SIZE <= range.first || range.first + range.size <= first)) return `${textOf(first)}/${PREFIX}`;
  }
  return undefined;
}

/** The bridge's: the first after the one that names the range. */
export function gatewayOf(subnet: string): string {
  return textOf(rangeOf(subnet).first + 1);
}

/** The first that nobody has. @returns undefined where all are taken */
export function freeAddress(subnet: string, taken: ReadonlySet<string>): string | undefined {
  const {first, size} = rangeOf(subnet);
  for (let address = first + 2; address < first + size - 1; address++) if (!taken.has(textOf(address))) return textOf(address);
  return undefined;
}

/** Follows from the address, so that who had it before is not looked for at another place. */
export function hardwareAddress(address: string): string {
  return ['0a', '58', ...address.split('.').map((part) => Number(part).toString(16).padStart(2, '0'))].join(':');
}

function rangeOf(text: string): {readonly first: number; readonly size: number} {
  const [address = '', prefix = '32'] = text.split('/');
  const size = 2 ** (32 - Number(prefix));
  return {first: Math.floor(numberOf(address) / size) * size, size};
}

function numberOf(text: string): number {
  return text.split('.').reduce((value, part) => value * 256 + Number(part), 0);
}

function textOf(value: number): string {
  return [24, 16, 8, 0].map((shift) => Math.floor(value / 2 ** shift) % 256).join('.');
}
