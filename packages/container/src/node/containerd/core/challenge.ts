/** What a registry asks for: the header `WWW-Authenticate`. Pure. */

export interface Challenge {
  /** In lower case: `basic`, `bearer`. */
  readonly scheme: string;
  readonly parameters: Readonly<Record<string, string>>;
}

/** `Bearer realm="https://auth.example/token",service="example"`. undefined: there is none. */
export function parseChallenge(header: string): Challenge | undefined {
  const scheme = /^\s*([A-Za-z]+)/.exec(header)?.[1];
  if (scheme === undefined) return undefined;
  const parameters = [...header.matchAll(/([a-z_]+)=(?:"((?:[^"\\]|\\.)*)"|([^\s,"]+))/gi)];
  return {scheme: scheme.toLowerCase(), parameters: Object.fromEntries(parameters.map(([, name = '', quoted, bare = '']) => [name.toLowerCase(), quoted?.replaceAll(/\\(.)/g, '$1') ?? bare]))};
}
