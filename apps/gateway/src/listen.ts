/** Where the API listens. Off loopback it is served over TLS, unless someone said otherwise (law 16). */
import {isLoopback, type ListenAddress} from '@hivemind/service';

export const DEFAULT_LISTEN = '127.0.0.1:4483';

/** `auto`: TLS wherever others can reach it; `off`: never, on closed test networks. */
export type TlsMode = 'auto' | 'off';

/** What `/status` calls it. */
export type Transport = 'loopback' | 'tls' | 'off';

export function transportFor(address: ListenAddress, tls: TlsMode): Transport {
  return isLoopback(address) ? 'loopback' : tls === 'off' ? 'off' : 'tls';
}
