/** `hivemind service NAME`: any manager, or a gateway, as a process of its own. */
import {nearestName} from '@hivemind/contracts';
import {parseListen} from '@hivemind/service';
import type {TlsMode} from '@hivemind/gateway';
import {catalogue, isManagerName} from './catalogue.ts';
import {hostErrors} from './errors.ts';
import type {RunningService} from './manager-service.ts';
import {openShared, type SharedOptions} from './foundation.ts';

export {hostErrors} from './errors.ts';
export {sharedIdentity, type SharedIdentityOptions} from './identity.ts';
export {openShared, type Shared, type SharedOptions} from './foundation.ts';
export type {RunningService} from './manager-service.ts';

export interface ServiceOptions extends SharedOptions {
  /** A manager's name, or `gateway`. */
  readonly name: string;
  /** `HOST:PORT`; default: any port of 127.0.0.1, and 127.0.0.1:4483 for a gateway. */
  readonly listen?: string | undefined;
  /** `HOST[:PORT]` at which others reach it; default: where it listens. */
  readonly advertise?: string | undefined;
  /** Of a gateway: `off` serves others in the clear. */
  readonly tls?: TlsMode | undefined;
}

/** What can be started. */
export const serviceNames: readonly string[] = [...Object.keys(catalogue), 'gateway'];

/**
 * Starts it; resolves when it serves and others can find it.
 * @throws `unknown-service` 400; `not-shared`, `advertise-needed`, `invalid-listen` 422; `address-in-use`, `other-cluster` 409;
 * `cluster-key-missing` 503; what store and bus say when they are not reached. What had been started is stopped then.
 */
export async function startService({name, listen, advertise, tls, ...options}: ServiceOptions): Promise<RunningService> {
  if (name !== 'gateway' && !isManagerName(name)) {
    const nearest = nearestName(name, serviceNames);
    throw hostErrors['unknown-service'](`There is no service ${name}.${nearest === undefined ? '' : ` Did you mean ${nearest}?`} There are ${serviceNames.join(', ')}.`);
  }
  const address = parseListen(listen ?? (name === 'gateway' ? '127.0.0.1:4483' : '127.0.0.1:0'));
  const shared = await openShared(name, options);
  try {
    const service = await start();
    return {...service, stop: () => service.stop().finally(() => shared.close())};
  } catch (error) {
    await shared.close();
    throw error;
  }

  async function start(): Promise<RunningService> {
    const {context} = shared;
    if (!isManagerName(name)) {
      const {startGatewayService} = await import('./gateway-service.ts');
      return startGatewayService({context, listen: address, advertise, ...(tls === undefined ? {} : {tls})});
    }
    const [{startManagerService}, create] = await Promise.all([import('./manager-service.ts'), catalogue[name].load()]);
    return startManagerService({name, create, context, listen: address, advertise});
  }
}
