/** One container in the worker's hands: what is known of it, and what is being done. */
import type {ContainerRecord} from '@hivemind/contracts';
import type {RuntimeContainer} from '@hivemind/runtime';
import type {Contact} from './core/isolation.ts';
import {blankMemory, type Memory} from './core/memory.ts';
import type {Situation} from './core/plan.ts';
import type {Action} from './core/steps.ts';

export interface Entry {
  readonly id: string;
  record: ContainerRecord | undefined;
  wanted: boolean;
  observed: RuntimeContainer | undefined;
  memory: Memory;
  /** The step that runs now. */
  doing: Action | undefined;
  progress: string | undefined;
  /** What is observed may be out of date: ask the engine before the next plan. */
  stale: boolean;
  /** Something changed while it was busy: plan again. */
  again: boolean;
  busy: Promise<void> | undefined;
  /** Its last lines, being read. */
  reading: Promise<void> | undefined;
  /** The engine said that it ran out of memory, before it said that it exited. */
  outOfMemory: boolean;
  /** The hooks' `prepare` ran in this process. */
  prepared: boolean;
  /** Ends the step that runs, where that can be interrupted. */
  abort: AbortController;
  cancelWake: (() => void) | undefined;
  /** The status that was reported last, as JSON. */
  reported: string;
}

export function newEntry(id: string): Entry {
  return {
    id, record: undefined, wanted: false, observed: undefined, memory: blankMemory,
    doing: undefined, progress: undefined, stale: false, again: false, busy: undefined, reading: undefined,
    outOfMemory: false, prepared: false, abort: new AbortController(), cancelWake: undefined, reported: '',
  };
}

export function situationOf(entry: Entry, held: boolean, contact?: Contact): Situation {
  return {record: entry.record, wanted: entry.wanted, held, observed: entry.observed, memory: entry.memory, ...(contact ? {contact} : {})};
}
