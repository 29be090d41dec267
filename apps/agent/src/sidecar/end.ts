/** For a machine that is in no ring any more. */
import {existsSync} from 'node:fs';
import {join, resolve} from 'node:path';
import {endIngress} from '@hivemind/sidecar/ingress';

/** Ends the sidecar of this data dir, and HAProxy that it keeps; nothing where there is none. gRPC is loaded only where one may be. */
export async function endSidecar(dataDir: string): Promise<void> {
  await endIngress(dataDir);
  const socket = join(resolve(dataDir), 'sidecar.sock');
  if (!existsSync(socket)) return;
  const {connectSidecar} = await import('@hivemind/sidecar/client');
  using client = connectSidecar(socket);
  await client.leave().catch(() => undefined);
}
