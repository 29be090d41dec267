/** A service's own credentials of the bus: it holds the account's key, so it writes them itself, again and again. */
import type {CredentialSource} from '@hivemind/bus';
import type {BusTrust} from './bus-trust.ts';

export interface ServiceCredentials extends CredentialSource {
  stop(): void;
}

/** `ttlMs`: see `UserRequest`; new ones are made at half of it. */
export function serviceCredentials(trust: Pick<BusTrust, 'serviceCredentials'>, {name, ttlMs = 3_600_000}: {readonly name: string; readonly ttlMs?: number}): ServiceCredentials {
  const listeners = new Set<() => void>();
  const make = () => trust.serviceCredentials({name, now: Date.now(), ttlMs});
  let newest = make();
  const timer = setInterval(() => {
    newest = make();
    for (const listener of listeners) listener();
  }, ttlMs / 2).unref();
  return {
    current: () => newest,
    onRenewed(listener) {
      listeners.add(listener);
      return () => void listeners.delete(listener);
    },
    stop: () => clearInterval(timer),
  };
}
