/** What must hold in every run, whatever the network does. */
import type {ProtocolEvent} from '../core/protocol.ts';
import type {Host, SimulatedRing} from './ring.ts';

/** Throws at the first event that breaks an invariant. */
export class InvariantWatch {
  readonly #seed: number;
  readonly #incarnations = new Map<string, number>();

  constructor(seed: number) {
    this.#seed = seed;
  }

  saw(observer: Host, event: ProtocolEvent, now: number): void {
    if (!('member' in event)) return;
    const {name, incarnation} = event.member;
    if (name === observer.name) throw this.#broken(now, `${observer.name} tells of itself as of another`);
    const key = `${observer.index} ${name}`;
    const before = this.#incarnations.get(key) ?? 0;
    if (incarnation < before) throw this.#broken(now, `${observer.name} has seen ${name} go back from incarnation ${before} to ${incarnation}`);
    this.#incarnations.set(key, incarnation);
  }

  /** A new process of this host knows nothing. */
  restarted(host: Host): void {
    for (const key of this.#incarnations.keys()) if (key.startsWith(`${host.index} `)) this.#incarnations.delete(key);
  }

  #broken(now: number, what: string): Error {
    return new Error(`at ${now} ms: ${what} (seed ${this.#seed})`);
  }
}

/** Where views differ from what is: `A: B is dead` though B runs, and the like. Empty: all views have converged. */
export function disagreements(ring: SimulatedRing): string[] {
  const found: string[] = [];
  const up = ring.hosts.filter((host) => host.up);
  for (const observer of up) {
    const views = new Map(observer.core.members().map((row) => [row.name, row]));
    for (const {name, core} of up) {
      const view = views.get(name);
      if (view?.state !== 'alive') found.push(`${observer.name}: ${name} is ${view?.state ?? 'unknown'}, and runs`);
      else if (view.incarnation !== core.incarnation) found.push(`${observer.name}: ${name} is of incarnation ${view.incarnation}, not ${core.incarnation}`);
    }
    for (const {name, state} of views.values()) {
      if ((state === 'alive' || state === 'suspect') && !up.some((host) => host.name === name)) found.push(`${observer.name}: ${name} is ${state}, and does not run`);
    }
  }
  return found;
}
