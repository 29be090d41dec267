/** The cluster's bus by its address. A file of its own, as it is loaded only where there is a bus: with its schemas it takes 10 MB. */
import {type Bus, type BusLogger, connectNatsBus} from '@hivemind/bus';

/** ms for the server to answer; a sidecar that is stopped meanwhile waits for it. */
const CONNECT_WITHIN_MS = 5_000;

/** @throws `disconnected` while it is away */
export function connectBus(servers: string, name: string, logger: BusLogger): Promise<Bus> {
  return connectNatsBus({servers, name: `sidecar ${name}`, logger, timeout: CONNECT_WITHIN_MS});
}
