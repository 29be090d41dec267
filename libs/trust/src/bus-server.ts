/** What one nats-server of a cluster's bus reads: `nats.conf`, and a certificate of the cluster's own authority. */
import {rename, writeFile} from 'node:fs/promises';
import {join} from 'node:path';
import {natsServerConfig, type NatsConfigOptions} from './nats-config.ts';

export interface BusServerOptions extends Omit<NatsConfigOptions, 'dir' | 'tls' | 'peers'> {
  /** Absolute, and there. */
  readonly dir: string;
  /** Where the server keeps its accounts; default: `accounts` in `dir`. */
  readonly accounts?: string;
  /** PEM. */
  readonly tls: {readonly certificate: string; readonly key: string; readonly ca: string};
  readonly peers?: Omit<NonNullable<NatsConfigOptions['peers']>, 'ca'>;
}

/**
 * Each file whole or not at all, mode 0600. Written again it holds the same, but for the certificate: a server that runs takes that
 * over when it is told to reload.
 */
export async function writeBusServer({dir, accounts = join(dir, 'accounts'), tls, peers, ...options}: BusServerOptions): Promise<void> {
  const [certificate, key, ca] = ['nats.crt', 'nats.key', 'ca.crt'].map((file) => join(dir, file)) as [string, string, string];
  await replace(key, tls.key);
  await replace(certificate, tls.certificate);
  await replace(ca, tls.ca);
  await replace(join(dir, 'nats.conf'), natsServerConfig({...options, dir: accounts, tls: {certificate, key}, ...(peers === undefined ? {} : {peers: {...peers, ca}})}));
}

async function replace(path: string, text: string): Promise<void> {
  await writeFile(`${path}.new`, text, {mode: 0o600});
  await rename(`${path}.new`, path);
}
