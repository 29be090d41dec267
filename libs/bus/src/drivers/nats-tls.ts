/** TLS to NATS servers that are known by their address. */
import {checkServerIdentity, type PeerCertificate} from 'node:tls';
import type {ConnectionOptions} from 'nats';

/**
 * The library upgrades a socket without telling whose it is, so that a server given by its IP address would be taken for
 * `localhost`. Its certificate must be for one of those that were asked for.
 */
export function checkedTls(tls: ConnectionOptions['tls'], servers: string | readonly string[]): Pick<ConnectionOptions, 'tls'> {
  if (!tls) return {};
  const hosts = [servers].flat().map(hostOf);
  const identity = {
    checkServerIdentity(_host: string, certificate: PeerCertificate): Error | undefined {
      const verdicts = hosts.map((host) => checkServerIdentity(host, certificate));
      return verdicts.includes(undefined) ? undefined : verdicts[0];
    },
  };
  return {tls: {...tls, ...identity}};
}

function hostOf(server: string): string {
  return new URL(server.includes('://') ? server : `nats://${server}`).hostname.replace(/^\[(.*)\]$/, '$1');
}
