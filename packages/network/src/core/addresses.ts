/** Addresses of one machine's containers: each has one for its life, no two the same. Pure. */
import {contains, formatAddress, parseAddress, type Range, sizeOf} from './cidr.ts';

/** The range's first address names the other end of the overlay, the second is the gateway. */
const FIRST = 2;
/** At the end: for what others put on the engine's network, and for the broadcast. */
const KEPT_BACK = 4;

/** The part of a range from which an engine may give addresses to what is not ours. */
export function rangeOfOthers({base, prefix}: Range): Range {
  return {base: base + sizeOf(prefix) - KEPT_BACK, prefix: 30};
}

/** How many containers there can be. */
export function roomIn({prefix}: Pick<Range, 'prefix'>): number {
  return Math.max(0, sizeOf(prefix) - FIRST - KEPT_BACK);
}

/** The next free one after `last`, round to it, so that one that was freed rests for long; undefined where all are taken. */
export function nextAddress(subnet: Range, taken: ReadonlySet<string>, last: string | undefined): string | undefined {
  const room = roomIn(subnet);
  const before = last === undefined ? undefined : parseAddress(last);
  const from = before !== undefined && contains(subnet, before) ? before - subnet.base - FIRST + 1 : 0;
  for (let step = 0; step < room; step++) {
    const address = formatAddress(subnet.base + FIRST + ((from + step) % room));
    if (!taken.has(address)) return address;
  }
  return undefined;
}
