/**
 * Ends flows to containers that left, so that who sends on is led to one that is there: of UDP to those that are gone, of TCP those
 * that were never answered to those out of rotation. Needs the command conntrack.
 */
import type {Clock} from '@hivemind/controller';
import type {Logger} from 'pino';
import {leftBehind} from '../core/balance/flows.ts';
import {run} from './command.ts';

/** After a change (ms): what was on its way then is answered by now, and a first packet that was lost is sent again after a second. */
const SETTLED_MS = 100;
/** Between two looks, however many go: all flows of the machine are listed. */
const REST_MS = 1_000;

export interface ContainersChange {
  readonly whole: boolean;
  /** `addresses`: of all containers of the service, in rotation or not; `endpoints`: in rotation. */
  readonly services: readonly {readonly namespace: string; readonly name: string; readonly addresses?: readonly string[] | undefined; readonly endpoints: readonly {readonly address: string}[]}[];
  readonly gone: readonly {readonly namespace: string; readonly name: string}[];
}

export interface FlowsOptions {
  /** Whether an address can be a container's. */
  readonly within: (address: string) => boolean;
  readonly clock: Clock;
  readonly logger: Logger;
}

interface Known {
  readonly all: readonly string[];
  readonly inRotation: readonly string[];
}

interface Kind {
  /** As conntrack selects them. */
  readonly select: readonly string[];
  /** Containers that they may lead to. */
  readonly leads: (known: Known) => readonly string[];
}

const kinds: readonly Kind[] = [
  {select: ['-p', 'udp'], leads: ({all}) => all},
  {select: ['-p', 'tcp', '--state', 'SYN_SENT'], leads: ({inRotation}) => inRotation},
];

export class Flows {
  readonly #options: FlowsOptions;
  readonly #services = new Map<string, Known>();
  /** Kinds that lead to fewer containers than at their last look: to list a hundred thousand flows takes a tenth of a second. */
  readonly #due = new Set<Kind>();
  #cancel: (() => void) | undefined;
  #looking: Promise<void> = Promise.resolve();
  #lastLook = -REST_MS;
  #stopped = false;
  #isMissing = false;

  constructor(options: FlowsOptions) {
    this.#options = options;
  }

  /** The kernel leads nobody new to those that are not in `change` any more. */
  told({whole, services, gone}: ContainersChange): void {
    const before = [...gone, ...services].map((service) => ({key: keyOf(service), known: this.#services.get(keyOf(service))}));
    if (whole) this.#services.clear();
    for (const service of gone) this.#services.delete(keyOf(service));
    for (const service of services) this.#services.set(keyOf(service), {all: service.addresses ?? [], inRotation: service.endpoints.map(({address}) => address)});
    for (const kind of kinds) {
      // Who went while nobody looked is found once, too.
      const isLess = whole || before.some(({key, known}) => isShorter(led(kind, known), led(kind, this.#services.get(key))));
      if (isLess) this.#due.add(kind);
    }
    if (this.#due.size === 0 || this.#stopped || this.#isMissing) return;
    const {clock} = this.#options;
    this.#cancel ??= clock.setTimer(() => {
      this.#cancel = undefined;
      this.#lastLook = clock.monotonic();
      this.#looking = this.#look();
    }, Math.max(SETTLED_MS, this.#lastLook + REST_MS - clock.monotonic()));
  }

  async stop(): Promise<void> {
    this.#stopped = true;
    this.#cancel?.();
    await this.#looking;
  }

  async #look(): Promise<void> {
    const {within, logger} = this.#options;
    const due = [...this.#due];
    this.#due.clear();
    for (const kind of due) {
      const {select, leads} = kind;
      const {status, stdout, stderr, missing} = await run('conntrack', ['-L', ...select, '--dst-nat']);
      if (missing) {
        this.#isMissing = true;
        return logger.info({}, 'the command conntrack is missing (Debian: conntrack): who sends UDP on to a container that is gone, or was not answered by one, is led to no other until it pauses');
      }
      if (status !== 0) {
        // With the next change.
        this.#due.add(kind);
        logger.debug({stderr}, 'flows could not be listed');
        continue;
      }
      // What changed meanwhile counts.
      const there = new Set([...this.#services.values()].flatMap((known) => leads(known)));
      for (const address of leftBehind(stdout, (one) => there.has(one), within)) await run('conntrack', ['-D', ...select, '--dst-nat', '--reply-src', address]);
    }
  }
}

function led({leads}: Kind, known: Known | undefined): readonly string[] {
  return known === undefined ? [] : leads(known);
}

function isShorter(before: readonly string[], after: readonly string[]): boolean {
  return before.some((address) => !after.includes(address));
}

function keyOf({namespace, name}: {readonly namespace: string; readonly name: string}): string {
  return `${namespace}/${name}`;
}
