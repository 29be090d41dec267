/** The configuration of a nats-server (2.9 or later) that trusts this cluster and nobody else. */
import type {BusTrust} from './bus-trust.ts';

export interface NatsConfigOptions {
  readonly trust: Pick<BusTrust, 'account' | 'systemAccount' | 'operatorJwt' | 'systemAccountJwt' | 'accountJwt'>;
  /** Where the server keeps what is pushed to it, revocations among that. Absolute, its own. */
  readonly dir: string;
  /** `HOST:PORT`. */
  readonly listen?: string;
  /** Files, PEM. Without them the server takes connections in the clear: loopback only. */
  readonly tls?: {readonly certificate: string; readonly key: string};
  /** ms since the epoch. */
  readonly now: number;
}

/** Text of the file. A server that has newer account claims in `dir` keeps those. */
export function natsServerConfig({trust, dir, listen, tls, now}: NatsConfigOptions): string {
  // Older than whatever is pushed: a restart brings no revoked credentials back.
  const account = trust.accountJwt({}, Math.floor(now / 1000) - 1);
  return [
    ...(listen === undefined ? [] : [`listen: ${JSON.stringify(listen)}`]),
    `operator: ${trust.operatorJwt}`,
    `system_account: ${trust.systemAccount}`,
    `resolver: {type: full, dir: ${JSON.stringify(dir)}, allow_delete: false, interval: "2m"}`,
    `resolver_preload: {${trust.systemAccount}: ${trust.systemAccountJwt}, ${trust.account}: ${account}}`,
    ...(tls === undefined ? [] : [`tls: {cert_file: ${JSON.stringify(tls.certificate)}, key_file: ${JSON.stringify(tls.key)}, timeout: 5}`]),
    '',
  ].join('\n');
}
