/** All services of a machine, and what a change of some of them changes in the kernel. Fed with whole services, one at a time. */
import type {Chain, ElementChanges, Ruleset} from '../nft/ruleset.ts';
import {type BalancedService, type BalanceMachine, compileService, type Element, frame, type SetName, sets} from './compile.ts';

export interface ServicesChange {
  /** As they are now. */
  readonly services: readonly BalancedService[];
  readonly gone: readonly {readonly namespace: string; readonly name: string}[];
  /** Those in `services` are all there are. */
  readonly whole: boolean;
}

/** What to write over what was there. */
export interface BalanceChange {
  readonly chains: ReadonlyMap<string, Chain>;
  readonly elements: ElementChanges;
}

/** Whose an element is. Two services may have a container, or a port of the machine, for a moment: the first keeps it. */
interface Held {
  owner: string;
  value: string;
  others?: Map<string, string>;
}

export class Balancer {
  readonly #machine: BalanceMachine;
  readonly #services = new Map<string, readonly Element[]>();
  readonly #held: ReadonlyMap<SetName, Map<string, Held>> = new Map(sets.map((set) => [set, new Map()]));
  /** They stay when nobody needs them: they are few, and would come back. */
  readonly #chains = new Map<string, Chain>();

  constructor(machine: BalanceMachine) {
    this.#machine = machine;
  }

  apply({services, gone, whole}: ServicesChange): BalanceChange {
    const touched = new Map<SetName, Set<string>>();
    const chains = new Map<string, Chain>();
    const compiled = new Map(services.map((service) => [keyOf(service), compileService(service, this.#machine.node)]));
    const leaving = whole ? [...this.#services.keys()] : gone.map(keyOf);
    for (const key of leaving) if (!compiled.has(key)) this.#put(key, [], touched);
    for (const [key, {elements, chains: own}] of compiled) {
      this.#put(key, elements, touched);
      for (const [name, chain] of own) {
        if (this.#chains.has(name)) continue;
        this.#chains.set(name, chain);
        chains.set(name, chain);
      }
    }
    const elements = new Map([...touched].map(([set, keys]) => [set, new Map([...keys].map((key) => [key, this.#heldIn(set).get(key)?.value]))]));
    return {chains, elements};
  }

  /** All of it. */
  ruleset(): Ruleset {
    const {table, objects, chains, elements} = frame(this.#machine);
    const all = new Map(elements);
    for (const set of sets) all.set(set, new Map([...this.#heldIn(set)].map(([key, {value}]) => [key, value])));
    return {table, objects, chains: new Map([...chains, ...this.#chains]), elements: all};
  }

  #put(service: string, after: readonly Element[], touched: Map<SetName, Set<string>>): void {
    const before = this.#services.get(service) ?? [];
    const has = new Set(after.map(({set, key}) => `${set} ${key}`));
    for (const {set, key} of before) {
      if (has.has(`${set} ${key}`)) continue;
      this.#release(set, key, service);
      touch(touched, set, key);
    }
    for (const {set, key, value} of after) if (this.#claim(set, key, service, value)) touch(touched, set, key);
    if (after.length > 0) this.#services.set(service, after);
    else this.#services.delete(service);
  }

  #release(set: SetName, key: string, service: string): void {
    const held = this.#heldIn(set).get(key);
    if (held?.owner !== service) return void held?.others?.delete(service);
    const [next] = held.others ?? [];
    if (next === undefined) return void this.#heldIn(set).delete(key);
    [held.owner, held.value] = next;
    held.others?.delete(next[0]);
  }

  /** @returns whether that changes what is in the set */
  #claim(set: SetName, key: string, service: string, value: string): boolean {
    const held = this.#heldIn(set).get(key);
    if (held !== undefined && held.owner !== service) {
      (held.others ??= new Map()).set(service, value);
      return false;
    }
    if (held === undefined) this.#heldIn(set).set(key, {owner: service, value});
    else if (held.value === value) return false;
    else held.value = value;
    return true;
  }

  #heldIn(set: SetName): Map<string, Held> {
    const held = this.#held.get(set);
    if (held === undefined) throw new TypeError(`there is no set ${set}`);
    return held;
  }
}

function touch(touched: Map<SetName, Set<string>>, set: SetName, key: string): void {
  const keys = touched.get(set);
  if (keys) keys.add(key);
  else touched.set(set, new Set([key]));
}

function keyOf({namespace, name}: {readonly namespace: string; readonly name: string}): string {
  return `${namespace}/${name}`;
}
