/** The settings of the WireGuard device: in the words of `wg`, and whether it has them. Pure. */

export interface WireGuardSettings {
  /** The machine's public key. */
  readonly key: string;
  /** UDP, where it listens. */
  readonly port: number;
  /** `endpoint` as in `10.0.0.12:51820`; `range`: what is encrypted for it, and taken from it. */
  readonly peers: readonly {readonly key: string; readonly endpoint: string; readonly range: string}[];
}

export interface WireGuardState {
  readonly key: string;
  readonly port: number;
  /** `handshake`: when the two last agreed on a key of a few minutes, ms since 1970; 0: never. */
  readonly peers: readonly {readonly key: string; readonly endpoint: string; readonly ranges: readonly string[]; readonly handshake: number}[];
}

/** Older than this (ms) what two machines agreed on encrypts nothing any more. */
const SESSION_MS = 180_000;

/** @param dump what `wg show hm-wg dump` printed. It holds the private key, which goes no further */
export function parseDump(dump: string): WireGuardState | undefined {
  const [own, ...peers] = dump.split('\n').filter((line) => line !== '').map((line) => line.split('\t'));
  if (own === undefined) return undefined;
  const [, key = '', port = ''] = own;
  return {
    key, port: Number(port),
    peers: peers.map(([peer = '', , endpoint = '', ranges = '', handshake = '0']) => ({key: peer, endpoint, ranges: ranges.split(','), handshake: Number(handshake) * 1_000})),
  };
}

/**
 * A peer that was heard from another address, as one with several, is answered there by the kernel: that is left alone for as long as
 * they understand each other.
 * @param now ms since 1970
 */
export function isSetTo({key, port, peers}: WireGuardSettings, state: WireGuardState, now: number): boolean {
  if (state.key !== key || state.port !== port || state.peers.length !== peers.length) return false;
  const has = new Map(state.peers.map((peer) => [peer.key, peer]));
  return peers.every((peer) => {
    const found = has.get(peer.key);
    return found !== undefined && found.ranges.join() === peer.range && (found.endpoint === peer.endpoint || now - found.handshake < SESSION_MS);
  });
}

/** For `wg syncconf`: what is not in it goes, and sessions with those that stay go on. */
export function configOf({port, peers}: WireGuardSettings, privateKey: string): string {
  return [
    '[Interface]', `PrivateKey = ${privateKey}`, `ListenPort = ${port}`,
    ...peers.flatMap(({key, endpoint, range}) => ['[Peer]', `PublicKey = ${key}`, `Endpoint = ${endpoint}`, `AllowedIPs = ${range}`]),
    '',
  ].join('\n');
}
