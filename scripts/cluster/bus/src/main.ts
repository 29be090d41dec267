/**
 * Run once before the dev cluster's NATS: makes what the cluster is trusted by, and writes the configuration of a server that
 * trusts this cluster and nobody else. `node bus.js STORE DATA_DIR OUT HOST`: the Redis, the data dir that services share,
 * where the server finds its files, and the name that it is reached by.
 */
import {access, rename, writeFile} from 'node:fs/promises';
import {join} from 'node:path';
import {sharedIdentity} from '@hivemind/service-host';
import {openRedisStore} from '@hivemind/store';
import {clusterKeyFile, hasTrust, issueCertificate, natsServerConfig, openClusterKey, openClusterTrust} from '@hivemind/trust';
import {z} from 'zod';

/** Of the server, not of this container. */
const accounts = '/var/lib/nats/accounts';

const [url, dataDir, out, host] = z.tuple([z.string().startsWith('redis://'), z.string(), z.string(), z.string()]).parse(process.argv.slice(2));
const now = Date.now();
const store = await openRedisStore({url});
try {
  const cluster = await sharedIdentity({store, dataDir, now});
  const clusterKey = await openClusterKey(clusterKeyFile(dataDir, process.env), () => hasTrust(store));
  const {authority, bus: trust} = await openClusterTrust({store, clusterKey, cluster, now});
  const {certificate, key} = await issueCertificate(authority, {name: 'nats', dns: [host, 'localhost'], addresses: ['127.0.0.1'], now});
  const files = {certificate: join(out, 'nats.crt'), key: join(out, 'nats.key')};
  await replace(files.key, key);
  await replace(files.certificate, certificate);
  // Its account claims are dated: written anew, they would outrank what was pushed to the server since.
  if (!(await exists(join(out, 'nats.conf')))) await replace(join(out, 'nats.conf'), natsServerConfig({trust, dir: accounts, listen: '0.0.0.0:4222', tls: files, now}));
} finally {
  await store.close();
}

async function exists(path: string): Promise<boolean> {
  return access(path).then(() => true, () => false);
}

/** Whole or not at all. */
async function replace(path: string, text: string): Promise<void> {
  await writeFile(`${path}.new`, text, {mode: 0o600});
  await rename(`${path}.new`, path);
}
