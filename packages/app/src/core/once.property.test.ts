/**
 * Never two of a singleton (law 10), on any schedule: machines are cut off, come back, lose power and start again, their
 * agents are late, their clocks and the control plane's run apart by a hundredth, people drain, restart and vouch. The
 * machines keep the node's half of the bargain: a watchdog of its own clock stops the copy when no heartbeat was answered
 * for the length of the fencing lease.
 */
import {durationMs, fencingOf, type ContainerRecord, type NodeRecord} from '@hivemind/contracts';
import fc from 'fast-check';
import type {ContainerView} from '../model.ts';
import {aContainer, anApp, aRollout, aStatus, at} from '../testing/builders.ts';
import {planSteps} from './reconcile.ts';
import {whereaboutsOf} from './whereabouts.ts';

const STEP_MS = 100;
const BEAT_MS = 200;
const LEASE_MS = 800;
const spec = {singleton: true, fencing: {lease: '5s'}, stop: {grace: '2s'}} as const;

interface Copy {
  readonly record: ContainerRecord;
  /** True time when it runs; undefined: it does not yet, or no more. */
  startsAt: number;
  /** True time when it is gone, once it is being stopped. */
  endsAt: number;
}

class SimulatedMachine {
  readonly name: string;
  readonly rate: number;
  powered = true;
  connected = true;
  /** By its own clock: when the last heartbeat that was answered was sent. */
  heardAt = 0;
  nextBeat = 0;
  readonly copies = new Map<string, Copy>();

  constructor(name: string, rate: number) {
    this.name = name;
    this.rate = rate;
  }

  running(now: number): number {
    return [...this.copies.values()].filter(({startsAt, endsAt}) => startsAt <= now && now < endsAt).length;
  }
}

class Simulation {
  now = 0;
  readonly app = anApp(spec);
  readonly machines: readonly SimulatedMachine[];
  readonly #controlRate: number;
  readonly #random: () => number;
  /** The store: containers, what is reported of them, and until when (true time) each machine's lease lasts. */
  readonly records = new Map<string, ContainerRecord>();
  readonly removed = new Set<string>();
  readonly leaseUntil = new Map<string, number>();
  readonly confirmed = new Set<string>();
  readonly draining = new Set<string>();
  /** The leader's memory, by its own clock. */
  readonly silentSince = new Map<string, number>();

  constructor(rates: readonly number[], controlRate: number, random: () => number) {
    this.machines = rates.map((rate, index) => new SimulatedMachine(`n${index}`, rate));
    this.#controlRate = controlRate;
    this.#random = random;
  }

  step(): void {
    for (const machine of this.machines) this.#live(machine);
    this.#decide();
    this.now += STEP_MS;
    const running = this.machines.reduce((sum, machine) => sum + machine.running(this.now), 0);
    if (running > 1) throw new Error(`${running} run at once after ${this.now} ms`);
  }

  pass(ms: number): void {
    for (const end = this.now + ms; this.now < end; ) this.step();
  }

  heard(name: string): boolean {
    return (this.leaseUntil.get(name) ?? -1) > this.now;
  }

  #live(machine: SimulatedMachine): void {
    if (!machine.powered) return;
    const local = this.now * machine.rate;
    // Its watchdog: by its own clock, whatever its agent does.
    const {leaseMs} = fencingOf(this.app.spec) ?? {leaseMs: 0};
    if (local - machine.heardAt >= leaseMs) for (const copy of machine.copies.values()) this.#end(copy, durationMs(spec.stop.grace) / machine.rate);
    if (!machine.connected || this.now < machine.nextBeat) return;
    machine.nextBeat = this.now + BEAT_MS;
    this.leaseUntil.set(machine.name, this.now + LEASE_MS * this.#controlRate);
    // An answer may be lost: then it was heard, and does not know.
    if (this.#random() < 0.2) return;
    machine.heardAt = local;
    this.#obey(machine);
  }

  /** It asks for its assignment, and reports. */
  #obey(machine: SimulatedMachine): void {
    const assigned = [...this.records.values()].filter(({node, removedAt}) => node === machine.name && removedAt === undefined);
    for (const record of assigned) {
      const copy = machine.copies.get(record.id);
      if (copy === undefined || copy.endsAt <= this.now) machine.copies.set(record.id, {record, startsAt: this.now + this.#random() * 600, endsAt: Infinity});
    }
    for (const [id, copy] of machine.copies) {
      if (assigned.some((record) => record.id === id)) continue;
      this.#end(copy, this.#random() * durationMs(spec.stop.grace));
      if (copy.endsAt > this.now) continue;
      machine.copies.delete(id);
    }
    // What it was told to remove and does not have is gone.
    for (const {id, node, removedAt} of this.records.values()) if (node === machine.name && removedAt !== undefined && !machine.copies.has(id)) this.removed.add(id);
  }

  #end(copy: Copy, withinMs: number): void {
    copy.endsAt = Math.min(copy.endsAt, this.now + withinMs);
  }

  #decide(): void {
    const control = this.now * this.#controlRate;
    for (const {name} of this.machines) {
      if (this.heard(name)) {
        this.silentSince.delete(name);
        this.confirmed.delete(name);
      } else if (!this.silentSince.has(name)) this.silentSince.set(name, control);
    }
    const containers = [...this.records.values()].map((record): ContainerView => ({record, status: aStatus({phase: this.removed.has(record.id) ? 'removed' : 'running'})}));
    const {create, remove, forget} = planSteps({
      app: this.app, rollout: aRollout(this.app), containers, waiting: [], now: control,
      whereabouts: (view) => whereaboutsOf(view, {machine: this.#view(view.record.node, control), global: false, braked: false, localVolume: undefined, now: control}),
    });
    for (const id of forget) this.records.delete(id);
    for (const id of remove) {
      const record = this.records.get(id);
      if (record) this.records.set(id, {...record, removedAt: at(control)});
    }
    const open = this.machines.filter(({name}) => this.heard(name) && !this.draining.has(name));
    const target = open[Math.floor(this.#random() * open.length)];
    if (target) for (const {count} of create) for (let made = 0; made < count; made++) {
      const record = aContainer(this.app, {node: target.name});
      this.records.set(record.id, record);
    }
  }

  #view(name: string, control: number) {
    const since = this.silentSince.get(name);
    const node: NodeRecord = {name, labels: {}, annotations: {}, spec: {unschedulable: false, taints: [], address: '', ...(this.draining.has(name) ? {drain: {since: at(0), stopLocal: false}} : {})}, meta: {uid: name, generation: 1, createdAt: at(0), updatedAt: at(0)}};
    const silentMs = since === undefined ? undefined : control - since;
    return {node, silentMs, confirmedDead: this.confirmed.has(name), state: silentMs === undefined ? 'ready' as const : silentMs > 4_000 ? 'dead' as const : 'unreachable' as const};
  }
}

type Fault = 'cut' | 'plug' | 'power off' | 'power on' | 'drain' | 'undrain' | 'vouch' | 'new leader';
const fault = fc.record({kind: fc.constantFrom<Fault>('cut', 'plug', 'power off', 'power on', 'drain', 'undrain', 'vouch', 'new leader'), machine: fc.nat({max: 2}), afterMs: fc.integer({min: 0, max: 15_000})});
const rate = fc.double({min: 0.996, max: 1.004, noNaN: true});

function happen(simulation: Simulation, kind: Fault, machine: SimulatedMachine): void {
  switch (kind) {
    case 'cut':
      machine.connected = false;
      return;
    case 'plug':
      machine.connected = true;
      return;
    case 'power off':
      machine.powered = false;
      for (const copy of machine.copies.values()) copy.endsAt = Math.min(copy.endsAt, simulation.now);
      return;
    case 'power on':
      machine.powered = true;
      return;
    case 'drain':
      simulation.draining.add(machine.name);
      return;
    case 'undrain':
      simulation.draining.delete(machine.name);
      return;
    case 'vouch':
      // A person who vouches tells the truth.
      if (!machine.powered && !simulation.heard(machine.name)) simulation.confirmed.add(machine.name);
      return;
    case 'new leader':
      simulation.silentSince.clear();
  }
}

/** mulberry32: even enough, and the same for the same seed. */
function chance(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

it('a singleton never runs twice, and runs once when all is well again', () => {
  fc.assert(
    fc.property(fc.array(rate, {minLength: 3, maxLength: 3}), rate, fc.array(fault, {maxLength: 12}), fc.integer(), (rates, controlRate, faults, seed) => {
      const simulation = new Simulation(rates, controlRate, chance(seed));
      simulation.pass(5_000);
      for (const {kind, machine, afterMs} of faults) {
        const target = simulation.machines[machine];
        if (target) happen(simulation, kind, target);
        simulation.pass(afterMs);
      }
      for (const machine of simulation.machines) {
        machine.connected = machine.powered = true;
        simulation.draining.delete(machine.name);
      }
      simulation.pass(30_000);
      expect(simulation.machines.reduce((sum, machine) => sum + machine.running(simulation.now), 0)).toBe(1);
    }),
    {numRuns: 60},
  );
});
