/** The configuration of a nats-server (2.9 or later) that trusts this cluster and nobody else. */
import type {BusTrust} from './bus-trust.ts';

export interface NatsConfigOptions {
  readonly trust: Pick<BusTrust, 'account' | 'systemAccount' | 'operatorJwt' | 'systemAccountJwt' | 'accountJwt'>;
  /** Where the server keeps what is pushed to it, revocations among that. Absolute, its own. */
  readonly dir: string;
  /** `HOST:PORT`. */
  readonly listen?: string;
  /** `HOST:PORT` at which clients are told to reach it; default: each address that it listens at. */
  readonly advertise?: string;
  /** Files, PEM. Without them the server takes connections in the clear: loopback only. */
  readonly tls?: {readonly certificate: string; readonly key: string};
  /** The other servers of the same bus. They know each other by certificates of the authority in the file `ca`. */
  readonly peers?: {readonly name: string; readonly listen: string; readonly advertise?: string; readonly routes: readonly string[]; readonly ca: string};
}

/** Older than whatever is pushed: neither a restart nor a new server beside others brings revoked credentials back. */
const BEFORE_ALL = 1;

/** Text of the file, the same whenever it is made. A server that has newer account claims in `dir` keeps those. */
export function natsServerConfig({trust, dir, listen, advertise, tls, peers}: NatsConfigOptions): string {
  const files = tls === undefined ? '' : `cert_file: ${quoted(tls.certificate)}, key_file: ${quoted(tls.key)}, timeout: 5`;
  return [
    ...(listen === undefined ? [] : [`listen: ${quoted(listen)}`]),
    ...(advertise === undefined ? [] : [`client_advertise: ${quoted(advertise)}`]),
    `operator: ${trust.operatorJwt}`,
    `system_account: ${trust.systemAccount}`,
    `resolver: {type: full, dir: ${quoted(dir)}, allow_delete: false, interval: "2m"}`,
    `resolver_preload: {${trust.systemAccount}: ${trust.systemAccountJwt}, ${trust.account}: ${trust.accountJwt({}, BEFORE_ALL)}}`,
    ...(tls === undefined ? [] : [`tls: {${files}}`]),
    ...(peers === undefined ? [] : [
      'cluster: {',
      `  name: ${quoted(peers.name)}`,
      `  listen: ${quoted(peers.listen)}`,
      ...(peers.advertise === undefined ? [] : [`  cluster_advertise: ${quoted(peers.advertise)}`]),
      `  tls: {${files}, ca_file: ${quoted(peers.ca)}, verify: true}`,
      `  routes: [${peers.routes.map((route) => quoted(`tls://${route}`)).join(', ')}]`,
      '}',
    ]),
    '',
  ].join('\n');
}

const quoted = (text: string): string => JSON.stringify(text);
