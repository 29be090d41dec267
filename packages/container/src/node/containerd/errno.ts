/** The system's code of an error, such as ENOENT. By its shape: errors of Node's own modules are of another realm under test. */
export function errnoOf(error: unknown): string | undefined {
  const code: unknown = typeof error === 'object' && error !== null ? Reflect.get(error, 'code') : undefined;
  return typeof code === 'string' ? code : undefined;
}
