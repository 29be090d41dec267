/** Amounts as people read them. */

/** `5s`, `12m`, `3h`, `4d`: how long ago; `-` when never. */
export function age(time: string | undefined, now: number): string {
  const since = time === undefined || time === '' ? NaN : now - Date.parse(time);
  if (Number.isNaN(since)) return '-';
  const seconds = Math.max(0, Math.floor(since / 1000));
  if (seconds < 120) return `${seconds}s`;
  if (seconds < 7200) return `${Math.floor(seconds / 60)}m`;
  if (seconds < 172_800) return `${Math.floor(seconds / 3600)}h`;
  return `${Math.floor(seconds / 86_400)}d`;
}

/** `512B`, `64.0MiB`. */
export function bytes(amount: number): string {
  let value = amount;
  for (const unit of ['B', 'KiB', 'MiB', 'GiB', 'TiB']) {
    if (value < 1024 || unit === 'TiB') return unit === 'B' ? `${Math.round(value)}B` : `${value.toFixed(1)}${unit}`;
    value /= 1024;
  }
  return `${amount}B`;
}

/** Millicores as cores: `0.25`, `4`. */
export function cores(millicores: number): string {
  return String(Math.round(millicores / 10) / 100);
}
