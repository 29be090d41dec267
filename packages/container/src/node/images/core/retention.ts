/** Which images a machine may let go of: never one that is used or wanted, never one that is fresh, the longest unused first. Pure. */

export interface Retention {
  /** Percent of the disk: above `high` images go until it is at `low`. Absent: it is not looked at. */
  readonly disk?: {readonly high: number; readonly low: number};
  /** What was fetched, or used, less long ago stays (ms). */
  readonly minAgeMs: number;
  /** What was not used for so long goes, whatever the disk (ms). Absent: it stays. */
  readonly maxAgeMs?: number;
}

export const defaultRetention: Retention = {disk: {high: 85, low: 80}, minAgeMs: 120_000};

export interface HeldImage {
  /** In full. */
  readonly name: string;
  /** The engine's. */
  readonly id: string;
  /** When it was last known to be used, or was fetched; ms since the epoch. */
  readonly usedAt: number;
}

export interface Holdings {
  /** Those that Hivemind fetched: what people built or brought is theirs to remove. */
  readonly images: readonly HeldImage[];
  /** Ids that containers are made from. */
  readonly used: ReadonlySet<string>;
  /** Names that the machine's assignment has. */
  readonly wanted: ReadonlySet<string>;
}

/** @param now ms since the epoch */
export function removable({images, used, wanted}: Holdings, {minAgeMs}: Retention, now: number): readonly HeldImage[] {
  return images.filter(({name, id, usedAt}) => !used.has(id) && !wanted.has(name) && now - usedAt >= minAgeMs).toSorted((a, b) => a.usedAt - b.usedAt || (a.name < b.name ? -1 : 1));
}

export function isOld({usedAt}: HeldImage, {maxAgeMs}: Retention, now: number): boolean {
  return maxAgeMs !== undefined && now - usedAt >= maxAgeMs;
}
