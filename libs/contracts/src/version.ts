/** Of this release: of every service, agent, sidecar and command in it. Held to their package.json by a test. */
export const version = '0.1.0';
