/** What the worker hears of the managers, in memory: an assignment to change, and the statuses that were reported. */
import {type Bus, emit, serve, type Subscription} from '@hivemind/bus';
import {type ContainerRecord, type ContainerStatus, defineErrors, type EventRecord} from '@hivemind/contracts';
import * as subjects from '@hivemind/contracts/subjects';
import type {Session} from '../session.ts';

const errors = defineErrors({'session-expired': {status: 409, title: 'Session expired'}});

export class ControlPlane {
  readonly statuses = new Map<string, ContainerStatus>();
  readonly events: EventRecord[] = [];
  readonly strangers = new Set<string>();
  readonly configs = new Map<string, Record<string, string>>();
  fullReports = 0;
  session = 1;
  hold = false;
  acceptStrangers = true;
  revision = {epoch: 'e1', n: 1};
  readonly #bus: Bus;
  readonly #node: string;
  readonly #assigned = new Map<string, ContainerRecord>();
  #subscriptions: Subscription[] = [];
  #version = 1;

  constructor(bus: Bus, node = 'n1') {
    this.#bus = bus;
    this.#node = node;
  }

  async start(): Promise<void> {
    const tokens = {node: this.#node};
    this.#subscriptions = [
      await serve(this.#bus, subjects.getAssignment, tokens, async ({session}) => {
        this.#check(session);
        const records = [...this.#assigned.values()];
        return {cluster: 'test', revision: this.revision, version: this.#version, hold: this.hold, containers: records.map(({id, generation}) => ({id, generation})), bodies: records.slice(0, 2)};
      }),
      await serve(this.#bus, subjects.getContainers, tokens, async ({ids}) => ({containers: ids.flatMap((id) => this.#assigned.get(id) ?? [])})),
      await serve(this.#bus, subjects.getConfigs, tokens, async ({configs}) => ({
        configs: configs.flatMap(({namespace, name}) => {
          const data = this.configs.get(name);
          return data ? [{namespace, name, data: Object.fromEntries(Object.entries(data).map(([key, text]) => [key, Buffer.from(text).toString('base64')]))}] : [];
        }),
        missing: configs.filter(({name}) => !this.configs.has(name)),
      })),
      await serve(this.#bus, subjects.reportStrangers, tokens, async ({containers}) => {
        for (const {id} of containers) this.strangers.add(id);
        return {accepted: this.acceptStrangers};
      }),
      await serve(this.#bus, subjects.reportStatus, tokens, async ({session, full, containers, events}) => {
        this.#check(session);
        if (full) {
          this.fullReports += 1;
          this.statuses.clear();
        }
        for (const {id, status} of containers) {
          this.statuses.set(id, status);
        }
        this.events.push(...events);
        return {};
      }),
    ];
  }

  /** The control plane is gone: nobody answers. */
  async stop(): Promise<void> {
    await Promise.all(this.#subscriptions.map((subscription) => subscription.unsubscribe()));
    this.#subscriptions = [];
  }

  async assign(...records: readonly ContainerRecord[]): Promise<void> {
    for (const record of records) this.#assigned.set(record.id, record);
    await this.#changed();
  }

  async unassign(...ids: readonly string[]): Promise<void> {
    for (const id of ids) this.#assigned.delete(id);
    await this.#changed();
  }

  phase(id: string): string | undefined {
    return this.statuses.get(id)?.phase;
  }

  async #changed(): Promise<void> {
    this.#version += 1;
    this.revision = {...this.revision, n: this.revision.n + 1};
    await this.wake();
  }

  async wake(): Promise<void> {
    await emit(this.#bus, subjects.assignmentChanged, {node: this.#node}, {version: this.#version});
  }

  #check(session: number): void {
    if (session !== this.session) throw errors['session-expired'](`Session ${session} is over.`);
  }
}

/** A registration that a test controls. */
export class TestSession implements Session {
  number: number | undefined = 1;
  /** ms for which the control plane has not been heard. */
  silent = 0;
  readonly refused: number[] = [];
  readonly #listeners = new Set<() => void>();

  current(): number | undefined {
    return this.number;
  }

  silentMs(): number {
    return this.silent;
  }

  expired(session: number): void {
    if (this.number !== session) return;
    this.refused.push(session);
    this.number = undefined;
  }

  onRegistered(listener: () => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  register(number: number): void {
    this.number = number;
    for (const listener of this.#listeners) listener();
  }
}
