/** Timing and the summary of repeated measurements. */

/** ms since an arbitrary moment, of a clock that never jumps. */
export const nowMs = (): number => Number(process.hrtime.bigint()) / 1e6;

export async function timed(work: () => Promise<unknown>): Promise<number> {
  const from = nowMs();
  await work();
  return nowMs() - from;
}

export function median(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b);
  const middle = Math.floor(sorted.length / 2);
  const upper = sorted[middle] ?? Number.NaN;
  return sorted.length % 2 === 1 ? upper : ((sorted[middle - 1] ?? upper) + upper) / 2;
}

/** One line of the report. `must` and `goal` are bounds of `value`; `better` says which way. */
export interface Row {
  readonly what: string;
  readonly value: number;
  readonly unit: 'x' | 'ms' | 'µs' | 'MB' | '/s' | 'failed';
  readonly better: 'lower' | 'higher';
  readonly must?: number;
  readonly goal?: number;
  /** Medians behind a ratio, rounds, spread. */
  readonly detail: string;
}

export function meets(row: Row, bound: number): boolean {
  return row.better === 'lower' ? row.value <= bound : row.value >= bound;
}

export function formatValue(value: number, unit: Row['unit']): string {
  switch (unit) {
    case 'x':
      return `${value.toFixed(2)} ×`;
    case '/s':
      return `${Math.round(value).toLocaleString('en')} /s`;
    default:
      return `${Math.round(value)} ${unit}`;
  }
}

/** `median (min … max) of n` in ms. */
export function spread(values: readonly number[]): string {
  return `${Math.round(median(values))} ms (${Math.round(Math.min(...values))} … ${Math.round(Math.max(...values))}, n=${values.length})`;
}
