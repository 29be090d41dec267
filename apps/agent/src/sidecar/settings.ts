/** With what the machine's sidecar is started. */
import {mkdir, writeFile} from 'node:fs/promises';
import {isIP} from 'node:net';
import {networkInterfaces} from 'node:os';
import {join} from 'node:path';
import type {Description} from '@hivemind/sidecar/client';
import {version} from '@hivemind/contracts/version';

/** What the cluster tells a machine of its ring. */
export interface RingOptions {
  /** 32 bytes, base64. It is taken at the first start; later the ring changes its keys by itself. */
  readonly gossipKey: string;
  /** `ip:port` of members, as they were when the machine joined: who joins later is told by the control plane. */
  readonly seeds: readonly string[];
  /** UDP and TCP; default 7946. */
  readonly port?: number;
  /** `ip:port` each: where the sidecar answers names. Nowhere when absent. */
  readonly dnsListen?: readonly string[];
}

export interface SidecarSettings {
  readonly name: string;
  /** `ip:port`. */
  readonly bind: string;
  /** Empty: as bind. */
  readonly advertise: string;
  readonly keyFile: string;
  readonly seeds: readonly string[];
  readonly socket: string;
  readonly dataDir: string;
}

const DEFAULT_GOSSIP_PORT = 7946;

/** Makes the key file where there is none. `address`: an IP address by which the others reach this machine. */
export async function prepareSettings({name, cluster, address, dataDir, ring}: {readonly name: string; readonly cluster: string; readonly address: string; readonly dataDir: string; readonly ring: RingOptions}): Promise<SidecarSettings> {
  const dir = join(dataDir, 'sidecar');
  // Of this cluster: a machine that joins another one has another ring.
  const keyFile = join(dir, `ring-${cluster.slice(0, 8)}.key`);
  await mkdir(dir, {recursive: true, mode: 0o700});
  await writeFile(keyFile, `${ring.gossipKey}\n`, {flag: 'wx', mode: 0o600}).catch((error: NodeJS.ErrnoException) => {
    if (error.code !== 'EEXIST') throw error;
  });
  const port = ring.port ?? DEFAULT_GOSSIP_PORT;
  const advertise = hostPort(address, port);
  const bind = isOfThisMachine(address) ? advertise : hostPort(isIP(address) === 6 ? '::' : '0.0.0.0', port);
  return {name, bind, advertise: bind === advertise ? '' : advertise, keyFile, seeds: ring.seeds.filter((seed) => seed !== advertise), socket: join(dataDir, 'sidecar.sock'), dataDir};
}

/** Whether a sidecar that runs is the one that would be started now. */
export function isAsWanted(found: Description, {name, bind, advertise, keyFile}: SidecarSettings): boolean {
  return found.version === version && found.name === name && found.bind === bind && found.advertise === advertise && found.keyFile === keyFile;
}

export function wordsOf({name, bind, advertise, keyFile, seeds, socket, dataDir}: SidecarSettings): readonly string[] {
  return [
    'membership', `--name=${name}`, `--bind=${bind}`, `--key-file=${keyFile}`, `--socket=${socket}`, `--data-dir=${dataDir}`,
    ...(advertise === '' ? [] : [`--advertise=${advertise}`]),
    ...(seeds.length === 0 ? [] : [`--join=${seeds.join(',')}`]),
  ];
}

function hostPort(host: string, port: number): string {
  return isIP(host) === 6 ? `[${host}]:${port}` : `${host}:${port}`;
}

/** Behind an address translation it is not: then every address is listened at. */
function isOfThisMachine(address: string): boolean {
  return address.startsWith('127.') || Object.values(networkInterfaces()).flat().some((network) => network?.address === address);
}
