/**
 * Hivemind on one machine, in one process: gateway, managers and an agent over an embedded bus and a SQLite store.
 * Only this file is loaded before the compile cache is on: what it imports would be compiled anew at each start.
 */
import {enableCompileCache} from 'node:module';
import type {Standalone, StandaloneOptions} from './standalone.ts';

export type {Standalone, StandaloneOptions};

/**
 * Starts it; resolves when it serves.
 * @throws `store-locked` 503 when another process has the data dir; `invalid-listen`, `not-shared` 422; `address-in-use`,
 * `other-cluster` 409; `nats-server-missing`, `nats-server-failed` 503; `data-dir-damaged`. What had been started is stopped then.
 */
export async function startStandalone(options: StandaloneOptions): Promise<Standalone> {
  enableCompileCache();
  const {start} = await import('./standalone.ts');
  return start(options);
}
