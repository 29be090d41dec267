/** Ends flows of UDP to containers that are gone, so that who sends on is led to one that is there. Needs the command conntrack. */
import type {Clock} from '@hivemind/controller';
import type {Logger} from 'pino';
import {leftBehind} from '../core/balance/flows.ts';
import {run} from './command.ts';

/** Between two looks, however many go: all flows of the machine are listed. */
const REST_MS = 1_000;

export interface ContainersChange {
  readonly whole: boolean;
  /** `addresses`: of all containers of the service, in rotation or not. */
  readonly services: readonly {readonly namespace: string; readonly name: string; readonly addresses?: readonly string[] | undefined}[];
  readonly gone: readonly {readonly namespace: string; readonly name: string}[];
}

export interface UdpFlowsOptions {
  /** Whether an address can be a container's. */
  readonly within: (address: string) => boolean;
  readonly clock: Clock;
  readonly logger: Logger;
}

export class UdpFlows {
  readonly #options: UdpFlowsOptions;
  readonly #addresses = new Map<string, readonly string[]>();
  #cancel: (() => void) | undefined;
  #looking: Promise<void> = Promise.resolve();
  #stopped = false;
  #isMissing = false;

  constructor(options: UdpFlowsOptions) {
    this.#options = options;
  }

  /** The kernel leads nobody new to those that are not in `change` any more. */
  told({whole, services, gone}: ContainersChange): void {
    // Who went while nobody looked is found once, too.
    let isLess = whole;
    if (whole) this.#addresses.clear();
    for (const service of gone) isLess = this.#addresses.delete(keyOf(service)) || isLess;
    for (const service of services) {
      const {addresses = []} = service;
      const key = keyOf(service);
      isLess ||= (this.#addresses.get(key) ?? []).some((address) => !addresses.includes(address));
      this.#addresses.set(key, addresses);
    }
    if (!isLess || this.#stopped || this.#isMissing) return;
    this.#cancel ??= this.#options.clock.setTimer(() => {
      this.#cancel = undefined;
      this.#looking = this.#look();
    }, REST_MS);
  }

  async stop(): Promise<void> {
    this.#stopped = true;
    this.#cancel?.();
    await this.#looking;
  }

  async #look(): Promise<void> {
    const {within, logger} = this.#options;
    const {status, stdout, stderr, missing} = await run('conntrack', ['-L', '-p', 'udp', '--dst-nat']);
    if (missing) {
      this.#isMissing = true;
      return logger.info({}, 'the command conntrack is missing (Debian: conntrack): who sends UDP on to a container that is gone is led to no other until it pauses');
    }
    if (status !== 0) return logger.debug({stderr}, 'flows of UDP could not be listed');
    const there = new Set([...this.#addresses.values()].flat());
    for (const address of leftBehind(stdout, (one) => there.has(one), within)) await run('conntrack', ['-D', '-p', 'udp', '--dst-nat', '--reply-src', address]);
  }
}

function keyOf({namespace, name}: {readonly namespace: string; readonly name: string}): string {
  return `${namespace}/${name}`;
}
