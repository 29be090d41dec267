/** Main processes of containers, as containerd calls them: tasks. */
import {constants} from 'node:os';
import {setTimeout as pause} from 'node:timers/promises';
import {runtimeErrors} from '@hivemind/runtime';
import {type ContainerdClient, isStatus} from './api/client.ts';
import type {Process} from './api/messages.ts';
import type {LogPump} from './logs/pump.ts';
import {orGone} from './snapshots.ts';

const SIGKILL = 9;
/** What was written just before the end is read from its pipes within (ms). */
const DRAIN_MS = 2_000;

export class Tasks {
  readonly #client: ContainerdClient;
  readonly #pump: LogPump;

  constructor(client: ContainerdClient, pump: LogPump) {
    this.#client = client;
    this.#pump = pump;
  }

  /** undefined: it has none. */
  async get(runtimeId: string): Promise<Process | undefined> {
    try {
      return (await this.#client.call('getTask', {containerId: runtimeId})).process;
    } catch (error) {
      if (isStatus(error, 'NOT_FOUND')) return undefined;
      throw error;
    }
  }

  async runs(runtimeId: string): Promise<boolean> {
    const task = await this.get(runtimeId);
    return task?.status === 'RUNNING' || task?.status === 'PAUSED' || task?.status === 'PAUSING';
  }

  /** It has processes, whether it began or not. */
  async lives(runtimeId: string): Promise<boolean> {
    const task = await this.get(runtimeId);
    return task !== undefined && task.status !== 'STOPPED';
  }

  /** A signal; what has not ended after the grace (ms) is killed. */
  async stop(runtimeId: string, signal: number, graceMs: number): Promise<void> {
    if (!(await this.kill(runtimeId, signal))) return;
    const stopped = this.waited(runtimeId);
    const grace = new AbortController();
    const inTime = await Promise.race([stopped.then(() => true), pause(graceMs, false, {signal: grace.signal})]).finally(() => grace.abort());
    if (inTime) return;
    await this.kill(runtimeId);
    await stopped;
  }

  /** False: there is nothing to kill. */
  async kill(runtimeId: string, signal = SIGKILL): Promise<boolean> {
    try {
      await this.#client.call('kill', {containerId: runtimeId, signal});
      return true;
    } catch (error) {
      if (isStatus(error, 'NOT_FOUND', 'FAILED_PRECONDITION')) return false;
      throw error;
    }
  }

  /** Resolves when it has ended, with its exit code; undefined where that is not known any more. */
  async waited(runtimeId: string): Promise<number | undefined> {
    try {
      return (await this.#client.call('wait', {containerId: runtimeId}, {deadlineMs: Infinity})).exitStatus;
    } catch (error) {
      if (isStatus(error, 'NOT_FOUND')) return undefined;
      throw error;
    }
  }

  /** Kills it first, if need be. */
  async delete(runtimeId: string): Promise<void> {
    if (await this.kill(runtimeId)) await this.waited(runtimeId);
    await orGone(this.#client.call('deleteTask', {containerId: runtimeId}));
    await this.drained(runtimeId);
  }

  /** All that it wrote is in its log. */
  async drained(runtimeId: string): Promise<void> {
    const enough = new AbortController();
    await Promise.race([this.#pump.drained(runtimeId), pause(DRAIN_MS, undefined, {signal: enough.signal}).catch(() => undefined)]).finally(() => enough.abort());
  }

  /** It has ended, and all that it wrote is in its log. */
  async ended(runtimeId: string): Promise<void> {
    await this.waited(runtimeId);
    await this.drained(runtimeId);
  }
}

/** Of its container. */
export function taskId({containerId, id}: Process): string {
  return containerId === '' ? id : containerId;
}

/** @throws `runtime-conflict` for one that this machine does not have */
export function signalNumber(name: string): number {
  const realTime = /^SIGRTMIN(?:\+(\d{1,2}))?$/.exec(name);
  const number = realTime ? 34 + Number(realTime[1] ?? 0) : (constants.signals as Readonly<Record<string, number>>)[name];
  if (number === undefined) throw runtimeErrors['runtime-conflict'](`${name} is not a signal of this machine.`);
  return number;
}
