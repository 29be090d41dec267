/** Published ports on their way to the kernel: before one leads to containers here, it is looked whether a process has it. */
import {networkInterfaces} from 'node:os';
import type {TakenPort} from '@hivemind/contracts';
import type {Clock} from '@hivemind/controller';
import type {Logger} from 'pino';
import type {ServicesChange} from '../core/balance/balancer.ts';
import type {BalancedService} from '../core/balance/compile.ts';
import {decide, type Decision, keyOf, type Machine, type WantedPort} from '../core/host-ports.ts';
import {readListeners} from './listeners.ts';

/** A process may have ended, or have begun to listen. */
const LOOK_MS = 5_000;

export interface HostPortsOptions {
  readonly node: string;
  /** What changes, with the ports that lead to containers here. */
  readonly apply: (change: ServicesChange) => Promise<void>;
  /** Ports that an agent before this one led on, as in `tcp/80`. */
  readonly before: () => Promise<readonly string[]>;
  /** As in {@link Machine}. */
  readonly engine: () => Promise<Machine['engine']>;
  /** Told of all that are left to processes, where that is otherwise than before, and first that there are none. */
  readonly onTaken: (taken: readonly TakenPort[]) => void;
  readonly clock: Clock;
  readonly logger: Logger;
}

export class HostPorts {
  readonly #options: HostPortsOptions;
  /** Those with published ports, by namespace/name. */
  readonly #services = new Map<string, BalancedService>();
  #decision: Decision = {led: new Set(), taken: [], overridden: []};
  /** What was looked at, and is as it was decided. */
  #known = new Set<string>();
  /** One after another, in the order told. */
  #deciding: Promise<void>;
  #problem: string | undefined;
  #cancel = (): void => undefined;
  #stopped = false;

  constructor(options: HostPortsOptions) {
    this.#options = options;
    options.onTaken([]);
    this.#deciding = options.before().then((ports) => {
      this.#decision = {...this.#decision, led: new Set(ports.map((port) => `${port}/`))};
    }).catch((err: unknown) => options.logger.warn({err}, 'it is not known which ports led to containers before'));
    this.#lookLater();
  }

  get problems(): readonly string[] {
    const {node} = this.#options;
    const {taken, overridden} = this.#decision;
    return [
      ...(this.#problem === undefined ? [] : [this.#problem]),
      ...taken.map(({port, protocol, service}) => `published port ${port}/${protocol} of ${service} does not lead there on ${node}: a process of the machine listens on it`),
      ...overridden.map(({port, protocol, service}) => `a process on ${node} listens on ${port}/${protocol} and gets nothing: the port led to ${service} before`),
    ];
  }

  /** Resolves when the kernel does it. */
  apply(change: ServicesChange): Promise<void> {
    const begun = this.#deciding.then(async () => {
      if (change.whole) this.#services.clear();
      for (const {namespace, name} of change.gone) this.#services.delete(`${namespace}/${name}`);
      for (const service of change.services) {
        const key = `${service.namespace}/${service.name}`;
        if ((service.published ?? []).length > 0) this.#services.set(key, service);
        else this.#services.delete(key);
      }
      if (change.services.some(({published = []}) => published.some((port) => !this.#known.has(keyOf(port))))) await this.#look();
      // Others are to wait for their turn, not for the kernel.
      return {applied: this.#options.apply({...change, services: change.services.map((service) => this.#led(service))})};
    });
    this.#deciding = begun.then(() => undefined, () => undefined);
    return begun.then(({applied}) => applied);
  }

  /** Leaves all as it is. */
  async stop(): Promise<void> {
    this.#stopped = true;
    this.#cancel();
    await this.#deciding;
  }

  #lookLater(): void {
    if (!this.#stopped) this.#cancel = this.#options.clock.setTimer(() => void this.#lookAgain(), LOOK_MS);
  }

  async #lookAgain(): Promise<void> {
    this.#deciding = this.#deciding.then(async () => {
      const before = new Map([...this.#services].map(([key, service]) => [key, JSON.stringify(this.#led(service).published)]));
      await this.#look();
      const services = [...this.#services].filter(([key, service]) => JSON.stringify(this.#led(service).published) !== before.get(key)).map(([, service]) => this.#led(service));
      if (services.length > 0) this.#options.apply({services, gone: [], whole: false}).catch((err: unknown) => this.#options.logger.warn({err}, 'published ports could not be changed'));
    });
    await this.#deciding;
    this.#lookLater();
  }

  /** What cannot be looked at stays as it was, and what is new waits. */
  async #look(): Promise<void> {
    const {engine, onTaken, logger} = this.#options;
    const wanted = this.#wanted();
    const before = this.#decision;
    try {
      const listeners = wanted.length === 0 ? [] : await readListeners();
      const ports = new Set(wanted.map(({port}) => port));
      const clashing = listeners.some(({host}) => ports.has(host));
      this.#decision = decide(wanted, before.led, {listeners, engine: clashing ? await engine() : [], addresses: ownAddresses()});
      this.#known = new Set(wanted.map(keyOf));
      this.#problem = undefined;
    } catch (err) {
      this.#problem = `published ports that are new lead nowhere yet: who listens on this machine is not known (${err instanceof Error ? err.message : String(err)})`;
      logger.warn({err}, 'it could not be seen who listens on this machine');
    }
    const {taken} = this.#decision;
    if (JSON.stringify(taken) === JSON.stringify(before.taken)) return;
    for (const {port, protocol, service} of taken) logger.warn({port, protocol, service}, 'a published port is left to a process that listens on it');
    onTaken(taken);
  }

  #wanted(): readonly WantedPort[] {
    return [...this.#services].flatMap(([service, {published = []}]) => published.map((port) => ({...port, service})));
  }

  #led(service: BalancedService): BalancedService {
    const {published, ...rest} = service;
    if (published === undefined) return service;
    return {...rest, published: published.filter((port) => this.#decision.led.has(keyOf(port)))};
  }
}

function ownAddresses(): ReadonlySet<string> {
  return new Set(Object.values(networkInterfaces()).flatMap((all = []) => all.map(({address}) => address)));
}
