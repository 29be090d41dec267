/** Of this release: an agent replaces a sidecar of another one. Held to package.json by a test. */
export const version = '0.1.0';
