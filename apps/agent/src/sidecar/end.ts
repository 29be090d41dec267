/** For a machine that is in no ring any more. */
import {existsSync} from 'node:fs';
import {join, resolve} from 'node:path';
import {endIngress} from '@hivemind/sidecar/ingress';

/** Ends the sidecar of this data dir, and HAProxy that it keeps; nothing where there is none. */
export async function endSidecar(dataDir: string): Promise<void> {
  await endIngress(dataDir);
  await endSidecarAlone(dataDir);
}

/** HAProxy goes on. gRPC is loaded only where there may be a sidecar. */
export async function endSidecarAlone(dataDir: string): Promise<void> {
  const socket = join(resolve(dataDir), 'sidecar.sock');
  if (!existsSync(socket)) return;
  const {connectSidecar} = await import('@hivemind/sidecar/client');
  using client = connectSidecar(socket);
  await client.leave().catch(() => undefined);
}
