/**
 * Quantities as people write them. Specs keep the text as written, so that what was read can be written back;
 * whoever acts on one converts it with the functions below.
 */
import * as z from 'zod';

const memoryUnits: Readonly<Record<string, number>> = {
  '': 1, b: 1,
  k: 1e3, K: 1e3, M: 1e6, G: 1e9, T: 1e12,
  Ki: 2 ** 10, Mi: 2 ** 20, Gi: 2 ** 30, Ti: 2 ** 40,
};
const memoryPattern = /^(\d+(?:\.\d+)?)(b|k|K|M|G|T|Ki|Mi|Gi|Ti)?$/;
const durationUnits: Readonly<Record<string, number>> = {ms: 1, s: 1e3, m: 60e3, h: 3600e3, d: 86400e3};
const durationPattern = /^(?:\d+(?:\.\d+)?(?:ms|s|m|h|d))+$/;
const durationPart = /(\d+(?:\.\d+)?)(ms|s|m|h|d)/g;

/** Bytes: a whole number, or text such as `64Mi`, `1.5G`. */
export const Memory = z.union([z.number().int().nonnegative(), z.string().regex(memoryPattern, 'is not a size: write bytes, or a number with Ki, Mi, Gi, Ti, k, M, G or T, as in 64Mi')]);
export type Memory = z.infer<typeof Memory>;

/** CPU cores: 0.25 is a quarter of one core; `250m` is the same. */
export const Cpu = z.union([z.number().nonnegative().max(100_000), z.string().regex(/^\d+(\.\d+)?m?$/, 'is not an amount of CPU: write cores, as in 0.25, or millicores, as in 250m')]);
export type Cpu = z.infer<typeof Cpu>;

/** A length of time, as in `500ms`, `10s`, `1m30s`. */
export const Duration = z.string().regex(durationPattern, 'is not a duration: write a number with ms, s, m, h or d, as in 10s or 1m30s');
export type Duration = z.infer<typeof Duration>;

/** @returns bytes, rounded to a whole number. */
export function memoryBytes(memory: Memory): number {
  if (typeof memory === 'number') return memory;
  const match = memoryPattern.exec(memory);
  if (!match) throw new TypeError(`not a size: ${memory}`);
  return Math.round(Number(match[1]) * (memoryUnits[match[2] ?? ''] ?? 1));
}

/** @returns millicores, rounded up so that a request is never taken for nothing. */
export function cpuMillicores(cpu: Cpu): number {
  if (typeof cpu === 'number') return Math.ceil(cpu * 1000);
  return cpu.endsWith('m') ? Math.ceil(Number(cpu.slice(0, -1))) : Math.ceil(Number(cpu) * 1000);
}

/** @returns milliseconds. */
export function durationMs(duration: Duration): number {
  let total = 0;
  for (const [, amount, unit] of duration.matchAll(durationPart)) total += Number(amount) * (durationUnits[unit ?? 's'] ?? 0);
  return total;
}
