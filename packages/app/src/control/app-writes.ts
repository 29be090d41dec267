/**
 * Every write of an app by a person: read, decide, admit, and put app and revision in one transaction that compares what
 * was read. A lost race without `If-Match` reads and decides anew.
 */
import {resourceKey, revisionKey, type AppRecord, type AppSpec, type HivemindError, type HostPortRecord} from '@hivemind/contracts';
import {checkMatch, recordEvent, type ManagerContext} from '@hivemind/service';
import {commit, type Compare, type Stored, type Write} from '@hivemind/store';
import {canonical} from '../core/canonical.ts';
import {revisionNumber, revisionOf, revisionsToForget} from '../core/revision.ts';
import {errors} from '../errors.ts';
import {admit} from './admission.ts';
import {appRevisions, apps, hostPorts, namespaces} from './collections.ts';
import {newNamespace} from './namespace-record.ts';
import {untilWon} from './races.ts';
import type {ClusterView} from './view.ts';

/** What a person may change of an app. */
export type Change = Partial<Pick<AppRecord, 'labels' | 'annotations' | 'spec' | 'stopped' | 'restarts' | 'deletedAt'>>;

export interface WriteRequest {
  readonly namespace: string;
  readonly name: string;
  /** Answers what changes. `before` undefined: there is no such app; answer a whole one, or throw. */
  readonly change: (before: AppRecord | undefined) => Change;
  /** Kept with the revision, should one be made. */
  readonly cause: string;
  /** Version from `If-Match`. */
  readonly expected?: number;
}

export interface Written {
  readonly stored: Stored<AppRecord>;
  readonly isNew: boolean;
}

/** A write that was decided but not made. */
export interface Draft {
  readonly before: Stored<AppRecord> | undefined;
  readonly after: AppRecord;
  readonly changed: boolean;
  /** The fixed host ports it asks for, as they were before it was admitted. */
  readonly ports: readonly PortClaim[];
}

interface PortClaim {
  readonly key: string;
  readonly stored: Stored<HostPortRecord> | undefined;
  readonly record: HostPortRecord;
}

export class AppWrites {
  readonly #context: ManagerContext;
  readonly #view: ClusterView;

  constructor(context: ManagerContext, view: ClusterView) {
    this.#context = context;
    this.#view = view;
  }

  /** Fresh from the store, so that one reads one's own writes whoever serves. @throws `app-not-found` 404 */
  async read(namespace: string, name: string): Promise<Stored<AppRecord>> {
    const stored = await apps.in(this.#context.store).get(resourceKey(namespace, name));
    if (!stored) throw this.notFound(namespace, name);
    return stored;
  }

  notFound(namespace: string, name: string): HivemindError {
    return errors['app-not-found'](`There is no app ${name} in namespace ${namespace}.`);
  }

  /**
   * Decide, and write.
   * @throws what `change` throws, `app-deleting` 409, `version-mismatch` 412, and what admission throws
   */
  async write(request: WriteRequest): Promise<Written> {
    const attempt = async (): Promise<Written> => {
      const draft = await this.draft(request);
      const {before} = draft;
      return {stored: draft.changed || before === undefined ? await this.#put(draft, request.cause) : before, isNew: before === undefined};
    };
    // Who said what they saw is told that they lost; all others only meant the change.
    return request.expected === undefined ? untilWon(attempt) : attempt();
  }

  /** What a write would make of the app; admitted, not written. */
  async draft({namespace, name, change, expected}: WriteRequest): Promise<Draft> {
    const before = await apps.in(this.#context.store).get(resourceKey(namespace, name));
    checkMatch(expected, before?.version ?? 0, `App ${name}`);
    if (before?.value.deletedAt !== undefined) throw errors['app-deleting'](`App ${name} is being deleted: wait until it is gone.`);
    const after = this.#apply(namespace, name, before?.value, change(before?.value));
    const changed = canonical(after) !== canonical(before?.value);
    const specChanged = before === undefined || canonical(before.value.spec) !== canonical(after.spec);
    if (!specChanged || after.deletedAt !== undefined) return {before, after, changed, ports: []};
    const ports = await this.#portClaims(after);
    await admit(this.#context, this.#view, after);
    return {before, after, changed, ports};
  }

  /** Read before anybody looks whose ports these are: whoever else is admitted from here on moves them, and one of the two begins anew. */
  async #portClaims({namespace, name, spec}: AppRecord): Promise<readonly PortClaim[]> {
    const fixed = new Map(spec.ports.flatMap(({host, protocol}) => (typeof host === 'number' && host > 0 ? [[`${protocol}/${host}`, {port: host, protocol, app: resourceKey(namespace, name)}] as const] : [])));
    if (fixed.size === 0) return [];
    const found = await this.#context.store.getMany([...fixed.keys()].map((key) => ({collection: hostPorts.name, key})));
    const claims = [...fixed].map(([key, record], index): PortClaim => {
      const stored = found[index];
      return {key, record, stored: stored && hostPorts.decode(stored)};
    });
    await this.#view.catchUp(Math.max(...claims.map(({stored}) => stored?.version ?? 0)));
    return claims;
  }

  #apply(namespace: string, name: string, before: AppRecord | undefined, change: Change): AppRecord {
    const now = new Date(this.#context.now()).toISOString();
    const spec: AppSpec | undefined = change.spec ?? before?.spec;
    if (spec === undefined) throw this.notFound(namespace, name);
    const base = before ?? {name, namespace, labels: {}, annotations: {}, spec, revision: 1, stopped: false, restarts: 0, meta: {uid: this.#context.uid(), generation: 1, createdAt: now, updatedAt: now}};
    const next = {...base, ...change};
    if (canonical(next) === canonical(before)) return base;
    const generation = before === undefined || canonical(before.spec) === canonical(spec) ? base.meta.generation : before.meta.generation + 1;
    return {...next, revision: revisionNumber(before, next), meta: {...base.meta, generation, updatedAt: now}};
  }

  async #put({before, after, ports}: Draft, cause: string): Promise<Stored<AppRecord>> {
    const key = resourceKey(after.namespace, after.name);
    const compare: Compare[] = [before ? apps.unchanged(before) : apps.absent(key)];
    const put = apps.putting(key, after, {previous: before});
    const writes: Write[] = [put, ...ports.map((claim) => hostPorts.putting(claim.key, claim.record, {previous: claim.stored}))];
    compare.push(...ports.map((claim) => (claim.stored ? hostPorts.unchanged(claim.stored) : hostPorts.absent(claim.key))));
    if (before?.value.revision !== after.revision) {
      writes.push(appRevisions.putting(revisionKey(after.namespace, after.name, after.revision), revisionOf(after, cause, after.meta.updatedAt)));
      writes.push(...this.#pruning(key, after));
    }
    if (before === undefined) this.#withNamespace(after.namespace, compare, writes);
    const {n} = await commit(this.#context.store, {compare, writes});
    this.#tell(after, cause);
    await this.#view.catchUp(n);
    return apps.decode({collection: apps.name, key, version: n, created: before?.created ?? n, value: put.op === 'put' ? put.value : ''});
  }

  #tell({namespace, name, revision}: AppRecord, cause: string): void {
    recordEvent(this.#context, {namespace, kind: 'App', name, type: 'normal', reason: 'Changed', message: `${cause}; revision ${revision}`});
  }

  /** Revisions beyond the last ten go, but for those that still run or may be gone back to. */
  #pruning(key: string, app: AppRecord): readonly Write[] {
    const {containers, rollout} = this.#view.appView(key);
    const inUse = new Set([app.revision, rollout?.revision ?? 0, rollout?.previous ?? 0, ...containers.map(({record}) => record.revision)]);
    const numbers = [...this.#view.revisions.byIndex('app', key).map(({value}) => value.number), app.revision];
    return revisionsToForget([...new Set(numbers)], inUse).map((number) => appRevisions.deleting(revisionKey(app.namespace, app.name, number)));
  }

  /** A namespace is made when it is first used; it must not be deleted under an app that is just being made. */
  #withNamespace(name: string, compare: Compare[], writes: Write[]): void {
    const known = this.#view.namespaces.get(name);
    compare.push(known ? namespaces.unchanged(known) : namespaces.absent(name));
    if (!known) writes.push(namespaces.putting(name, newNamespace(name, this.#context)));
  }
}
