/**
 * Which container each slot of a service stands for. A connection is given a slot (the next, one by chance, or the one of its
 * client); a container's weight is how many slots it has. Pure.
 */
import {hashOf} from '../nft/ruleset.ts';

export interface Weighted {
  /** Unique within the service. */
  readonly id: string;
  /** Above 0. */
  readonly weight: number;
}

/** Weights are rounded to fit, but nobody loses its last slot. */
const MOST_SLOTS = 1024;

/**
 * Each as often as it weighs, and the heavy ones spread out: 3 to 1 is `a a b a`. Equal weights are one slot each, in order.
 * @param among not empty
 */
export function slotsInTurn<T extends Weighted>(among: readonly T[]): readonly T[] {
  const shares = sharesOf(among.map(({weight}) => weight));
  const total = shares.reduce((sum, share) => sum + share, 0);
  if (total === among.length) return among;
  const credit = shares.map(() => 0);
  return Array.from({length: total}, () => {
    let best = 0;
    for (let index = 0; index < among.length; index++) {
      credit[index] = (credit[index] ?? 0) + (shares[index] ?? 0);
      if ((credit[index] ?? 0) > (credit[best] ?? 0)) best = index;
    }
    credit[best] = (credit[best] ?? 0) - total;
    return among[best]!;
  });
}

/**
 * By rendezvous: a slot is its container's as long as that is there, and who comes takes only the share that is its due. So a
 * client stays where it is when others come and go. The same on every machine.
 * @param among not empty
 */
export function slotsByHash<T extends Weighted>(among: readonly T[]): readonly T[] {
  return Array.from({length: hashSlots(among.length)}, (_, slot) => {
    let best = among[0]!;
    let most = -Infinity;
    for (const candidate of among) {
      const score = candidate.weight / -Math.log(unit(`${candidate.id}/${slot}`));
      if (score > most) [best, most] = [candidate, score];
    }
    return best;
  });
}

/** Two sizes, as another number of slots moves every client. */
function hashSlots(containers: number): number {
  return containers <= 64 ? 256 : 1024;
}

function sharesOf(weights: readonly number[]): readonly number[] {
  const divisor = weights.reduce(greatestCommonDivisor, 0);
  const least = weights.map((weight) => weight / divisor);
  const total = least.reduce((sum, share) => sum + share, 0);
  const most = Math.max(MOST_SLOTS, weights.length);
  return total <= most ? least : least.map((share) => Math.max(1, Math.floor((share * most) / total)));
}

function greatestCommonDivisor(a: number, b: number): number {
  return b === 0 ? a : greatestCommonDivisor(b, a % b);
}

/** Above 0 and below 1. FNV alone is alike for texts that are. */
function unit(text: string): number {
  let hash = hashOf(text);
  hash = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b);
  hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2ae35);
  return (((hash ^ (hash >>> 16)) >>> 0) + 0.5) / 2 ** 32;
}
