/**
 * When a probe runs: at a steady interval, on a grid that differs from container to container, so that many that started
 * together are not all asked at once. A probe never overlaps itself: what would begin before the last one ended waits.
 */

/** Where in its interval a container's grid lies, in [0.5, 1): the same for the same name. */
export function gridOffset(name: string): number {
  let hash = 2_166_136_261;
  for (let index = 0; index < name.length; index++) hash = Math.imul(hash ^ name.charCodeAt(index), 16_777_619);
  return 0.5 + ((hash >>> 0) % 1024) / 2048;
}

/**
 * Start of the next probe, in ms on the caller's clock.
 * @param first start of the first one; @param last start of the latest one
 */
export function nextProbeAt(first: number, last: number, intervalMs: number, offset: number, now: number): number {
  const interval = Math.max(1, intervalMs);
  const grid = first + interval * offset;
  const passed = Math.max(0, Math.floor((last - grid) / interval) + 1);
  return Math.max(grid + passed * interval, now);
}
