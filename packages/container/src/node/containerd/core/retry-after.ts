/** How long a busy server asks to be left alone. Pure. */

/** Its `Retry-After`: seconds, or a date, which is read by its own clock. @returns ms; undefined where it does not say */
export function retryAfterMs({'retry-after': after = '', date = ''}: {readonly 'retry-after'?: string | undefined; readonly date?: string | undefined}): number | undefined {
  const ms = /^\d+$/.test(after) ? Number(after) * 1000 : Date.parse(after) - Date.parse(date);
  return Number.isFinite(ms) ? Math.max(0, ms) : undefined;
}
