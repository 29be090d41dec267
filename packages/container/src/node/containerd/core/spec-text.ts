/** An OCI runtime spec, or a part of it, as text: a limit of -1, which is none, is a number there that JavaScript's are too coarse for. */

declare global {
  interface JSON {
    /** Of ECMAScript since 2025; TypeScript does not know it yet. */
    rawJSON(text: string): {readonly rawJSON: string};
  }
}

/** RLIM_INFINITY. */
const WITHOUT_LIMIT = '18446744073709551615';
const isLimit = (key: string): boolean => key === 'soft' || key === 'hard';

export function specText(spec: unknown): string {
  return JSON.stringify(spec, (key, value: unknown) => (value === -1 && isLimit(key) ? JSON.rawJSON(WITHOUT_LIMIT) : value));
}

/** What `specText` wrote. */
export function parseSpec(text: string): unknown {
  return JSON.parse(text, (key, value: unknown) => (typeof value === 'number' && isLimit(key) && value > Number.MAX_SAFE_INTEGER ? -1 : value));
}
