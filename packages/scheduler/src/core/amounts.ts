/** Amounts in words, for reasons that people read. */

const units = ['Ki', 'Mi', 'Gi', 'Ti', 'Pi'] as const;

/** `12.1Gi`: at most one decimal, so that a person can compare two at a glance. Below 1Ki: plain bytes. */
export function memoryText(bytes: number): string {
  let amount = bytes;
  let unit = '';
  for (const next of units) {
    if (Math.abs(amount) < 1024) break;
    amount /= 1024;
    unit = next;
  }
  return `${trimmed(amount)}${unit}`;
}

/** Cores from millicores: `0.25`, `2`. */
export function cpuText(millicores: number): string {
  return String(Number((millicores / 1000).toFixed(3)));
}

function trimmed(amount: number): string {
  return String(Number(amount.toFixed(1)));
}
