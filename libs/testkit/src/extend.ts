import {type TestServer} from './server.ts';

/** Adds fields to a server without reading its getters once and for all. */
export function extend<S extends TestServer, E extends object>(server: S, extra: E): S & E {
  return Object.defineProperties(server, Object.getOwnPropertyDescriptors(extra)) as S & E;
}
