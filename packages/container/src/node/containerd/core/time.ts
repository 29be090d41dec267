/** Moments as containerd writes them. Pure. */

interface Moment {
  readonly seconds: number;
  readonly nanos: number;
}

/** ISO, to the millisecond. Go's zero time, and what is not there, is no time. */
export function fromTimestamp(time: Moment | undefined): string | undefined {
  return time === undefined || time.seconds <= 0 ? undefined : new Date(time.seconds * 1000 + time.nanos / 1e6).toISOString();
}

/** @param ms since the epoch */
export function toTimestamp(ms: number): Moment {
  const seconds = Math.floor(ms / 1000);
  return {seconds, nanos: Math.round((ms - seconds * 1000) * 1e6)};
}
