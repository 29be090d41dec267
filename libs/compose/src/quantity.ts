/** Sizes and lengths of time as Compose writes them, and as Hivemind does. */

const sizePattern = /^(\d+(?:\.\d+)?)\s*(b|k|kb|kib|m|mb|mib|g|gb|gib|t|tb|tib)?$/i;
const powers: Readonly<Record<string, number>> = {b: 0, k: 1, m: 2, g: 3, t: 4};

/** `64m` is 64 MiB: Compose counts in powers of 1024 whatever the letter. @returns bytes, or undefined. */
export function composeBytes(size: string | number): number | undefined {
  if (typeof size === 'number') return Number.isInteger(size) && size >= 0 ? size : undefined;
  const match = sizePattern.exec(size.trim());
  if (!match) return undefined;
  return Math.round(Number(match[1]) * 1024 ** (powers[(match[2] ?? 'b').charAt(0).toLowerCase()] ?? 0));
}

/** Bytes as Hivemind writes them: the largest unit that divides them. */
export function memoryText(bytes: number): string | number {
  for (const [unit, size] of [['Gi', 2 ** 30], ['Mi', 2 ** 20], ['Ki', 2 ** 10]] as const) {
    if (bytes >= size && bytes % size === 0) return `${bytes / size}${unit}`;
  }
  return bytes;
}

const durationUnits: Readonly<Record<string, number>> = {ns: 1e-6, us: 1e-3, µs: 1e-3, ms: 1, s: 1e3, m: 60e3, h: 3600e3, d: 86_400e3};
const durationPattern = /^(?:\d+(?:\.\d+)?(?:ns|us|\u00b5s|ms|s|m|h|d))+$/;

/** @returns milliseconds, or undefined when it is not a duration. */
export function composeDuration(text: string | number): number | undefined {
  if (text === 0 || text === '0') return 0;
  if (typeof text === 'number' || !durationPattern.test(text)) return undefined;
  let total = 0;
  for (const [, amount, unit] of text.matchAll(/(\d+(?:\.\d+)?)(ns|us|\u00b5s|ms|s|m|h|d)/g)) total += Number(amount) * (durationUnits[unit ?? 's'] ?? 0);
  return total;
}

/** Milliseconds as Hivemind writes them; rounded up to a whole one. */
export function durationText(milliseconds: number): string {
  const whole = Math.ceil(milliseconds);
  return whole % 1000 === 0 ? `${whole / 1000}s` : `${whole}ms`;
}
