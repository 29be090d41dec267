/**
 * Law 12: what machines run and a rewound or emptied store does not list is held until a person, or an empty report, says
 * what becomes of it.
 */
import {call, serve, type Subscription} from '@hivemind/bus';
import {EngineOrigin, resourceKey, revisionKey, type AdoptionRecord, type StrangerRecord} from '@hivemind/contracts';
import * as subjects from '@hivemind/contracts/subjects';
import {recordEvent, type ManagerContext} from '@hivemind/service';
import {commit, type Stored, type Write} from '@hivemind/store';
import type * as z from 'zod';
import {adoptApp, type Found} from '../core/adopt.ts';
import {errors} from '../errors.ts';
import {ADOPTION_KEY, checkSession} from './assignments.ts';
import {adoption, appRevisions, apps, containers, namespaces, strangers} from './collections.ts';
import {newNamespace} from './namespace-record.ts';
import {PlacementCommit} from './placement-commit.ts';
import {untilWon} from './races.ts';
import type {ClusterView} from './view.ts';
import {wakeNodes} from './wake-nodes.ts';

/** ms for which a decision covers what is reported after it: a machine reports its containers one by one. */
const DECISION_MS = 60_000;

type Reported = z.output<typeof subjects.reportStrangers.request>['containers'][number];

export interface AdoptionResult {
  readonly adopted: readonly string[];
  readonly discarded: readonly string[];
  readonly skipped: readonly {readonly id: string; readonly reason: string}[];
}

export interface AdoptionStatus extends Pick<AdoptionRecord, 'held' | 'reason' | 'since'> {
  readonly strangers: readonly StrangerRecord[];
}

export class Adoption {
  readonly #context: ManagerContext;
  readonly #view: ClusterView;

  constructor(context: ManagerContext, view: ClusterView) {
    this.#context = context;
    this.#view = view;
  }

  async serve(): Promise<Subscription> {
    return serve(
      this.#context.bus,
      subjects.reportStrangers,
      {},
      async ({session, containers}, {tokens: {node}}) => {
        await checkSession(this.#context.store, node, session);
        return containers.length === 0 ? untilWon(() => this.#none(node)) : this.#reported(node, containers);
      },
      {queue: 'app'},
    );
  }

  async status(): Promise<AdoptionStatus> {
    const [record, undecided] = await Promise.all([this.#record(), this.#undecided()]);
    const {held = false, reason = '', since = ''} = record?.value ?? {};
    return {held, reason, since, strangers: undecided.map(({value}) => value)};
  }

  /**
   * Keep what runs, or give it up. It holds for what is reported within the next minute too.
   * @throws `not-held` 409
   */
  async decide(mode: 'keep' | 'discard'): Promise<AdoptionResult> {
    const record = await this.#record();
    if (record?.value.held !== true && (await this.#undecided()).length === 0) throw errors['not-held']('Nothing is held: all that the machines run is known.');
    const decision = {mode, at: this.#now()};
    // Before anything else: what is reported from here on is settled by its own report, what was noted before is in the list.
    await this.#put({held: true, reason: '', since: this.#now(), ...record?.value, decision});
    const undecided = await this.#undecided();
    const result = mode === 'keep' ? await this.#keep(undecided) : await this.#discard(undecided);
    const held = result.skipped.length > 0;
    const reason = held ? `These cannot be adopted, only discarded: ${result.skipped.map(({id, reason: why}) => `${id} (${why})`).join(', ')}.` : '';
    await this.#put({held, reason, since: this.#now(), decision});
    this.#event(mode === 'keep' ? 'Adopted' : 'Discarded', `${result.adopted.length} adopted, ${result.discarded.length} discarded, ${result.skipped.length} skipped`);
    await this.#wakeAll();
    return result;
  }

  /** Once more, from the start, when somebody decided meanwhile: the decision may have been made without what was just noted. */
  #reported(node: string, reported: readonly Reported[]): Promise<{accepted: boolean}> {
    return untilWon(() => this.#note(node, reported));
  }

  async #note(node: string, reported: readonly Reported[]): Promise<{accepted: boolean}> {
    const before = await this.#record();
    const {unknown, listed} = await this.#sort(node, reported);
    if (listed) wakeNodes(this.#context, [node], this.#view.revision().n);
    const records = unknown.map(({id, running, origin}): StrangerRecord => {
      const parsed = EngineOrigin.safeParse(origin);
      return {id, node, running, origin: parsed.success ? parsed.data : null, discarded: false, reportedAt: this.#now()};
    });
    const mode = this.#standingDecision(before);
    const fresh: Stored<StrangerRecord>[] = [];
    for (const record of records) {
      const key = resourceKey(node, record.id);
      const known = await strangers.in(this.#context.store).get(key);
      const discarded = known?.value.discarded === true || mode === 'discard';
      const stored = await strangers.in(this.#context.store).put(key, {...record, discarded}, known ? {expect: known} : {});
      if (!discarded) fresh.push(stored);
    }
    if (fresh.length === 0) return {accepted: !listed};
    if (mode === 'keep') {
      const {skipped} = await this.#keep(fresh);
      if (skipped.length === 0) return {accepted: false};
    }
    await this.#hold(before, `Node ${node} runs containers that the store does not list, from a time that it does not know.`);
    return {accepted: !listed};
  }

  /**
   * What the store knows is no stranger, though its label is of another time, as that of everything adopted is: if it was
   * told to go it may; if it is listed, the node's list is from before that.
   */
  async #sort(node: string, reported: readonly Reported[]): Promise<{unknown: readonly Reported[]; listed: boolean}> {
    const records = await this.#context.store.getMany(reported.map(({id}) => ({collection: containers.name, key: id})));
    const known = records.flatMap((record) => (record === undefined ? [] : [containers.decode(record).value])).filter((record) => record.node === node);
    const ids = new Set(known.map(({id}) => id));
    return {unknown: reported.filter(({id}) => !ids.has(id)), listed: known.some(({removedAt}) => removedAt === undefined)};
  }

  /** It has none (left): with the last one, the hold ends by itself. */
  async #none(node: string): Promise<{accepted: boolean}> {
    const {store} = this.#context;
    const record = await this.#record();
    const all = await strangers.in(store).list();
    const own = all.items.filter(({value}) => value.node === node);
    if (own.length > 0) await store.transact({writes: own.map(({key}) => strangers.deleting(key))});
    const left = all.items.some(({value}) => value.node !== node && !value.discarded);
    if (record?.value.held === true && !left) {
      await adoption.in(store).put(ADOPTION_KEY, {...record.value, held: false, reason: '', since: this.#now()}, {expect: record});
      this.#event('Released', `Node ${node} holds nothing that is not known: nothing waits to be adopted any more.`);
      await this.#wakeAll();
    }
    return {accepted: true};
  }

  async #keep(found: readonly Stored<StrangerRecord>[]): Promise<AdoptionResult> {
    const adopted: string[] = [];
    const skipped = found.filter(({value}) => value.origin === null).map(({value}) => ({id: value.id, reason: 'its label cannot be read'}));
    const byApp = Map.groupBy(
      found.filter(({value}) => value.origin !== null),
      ({value}) => resourceKey(value.origin?.container.namespace ?? '', value.origin?.container.app ?? ''),
    );
    for (const [key, group] of byApp) {
      const result = await untilWon(() => this.#adoptApp(key, group));
      adopted.push(...result.adopted);
      skipped.push(...result.skipped);
    }
    return {adopted, discarded: [], skipped};
  }

  async #discard(found: readonly Stored<StrangerRecord>[]): Promise<AdoptionResult> {
    for (const {key, value} of found) await strangers.in(this.#context.store).put(key, {...value, discarded: true});
    return {adopted: [], discarded: found.map(({value}) => value.id), skipped: []};
  }

  /** One app in one transaction. */
  async #adoptApp(key: string, group: readonly Stored<StrangerRecord>[]): Promise<Pick<AdoptionResult, 'adopted' | 'skipped'>> {
    const {store, bus} = this.#context;
    await this.#view.catchUp((await store.revision()).n);
    const found = group.flatMap(({value: {origin, node}}): Found[] => (origin === null ? [] : [{origin, node}]));
    const [namespace = '', name = ''] = key.split('/');
    const stored = this.#view.apps.get(key);
    const known = this.#view.appView(key).containers.filter(({record}) => record.removedAt === undefined).map(({record}) => record);
    const plan = adoptApp({namespace, name, app: stored?.value, known, found, now: this.#now()});
    const draft = new PlacementCommit(this.#view);
    draft.require(stored ? apps.unchanged(stored) : apps.absent(key));
    if (plan.app) draft.write(apps.putting(key, plan.app, {previous: stored}));
    if (!this.#view.namespaces.get(namespace)) draft.write(namespaces.putting(namespace, newNamespace(namespace, this.#context)));
    for (const revision of plan.revisions) draft.write(appRevisions.putting(revisionKey(namespace, name, revision.number), revision));
    const made = plan.containers.filter(({id}) => !this.#view.containers.get(id));
    for (const record of made) draft.create(record);
    const skippedIds = new Set(plan.skipped.map(({id}) => id));
    draft.write(...group.filter(({value}) => !skippedIds.has(value.id)).map((stranger): Write => strangers.deleting(stranger.key)));
    const claims = made.flatMap(({namespace: within, node, template}) => template.volumes.flatMap((volume) => (volume.name === undefined ? [] : [{namespace: within, name: volume.name, node}])));
    if (claims.length > 0) await call(bus, subjects.claimVolumes, {}, {claims});
    const {transaction, nodes} = draft.finish();
    const {n} = await commit(store, transaction);
    wakeNodes(this.#context, nodes, n);
    return {adopted: plan.containers.map(({id}) => id), skipped: plan.skipped};
  }

  /** @throws `version-mismatch`, `already-exists` when `before` is no longer what is stored */
  async #hold(before: Stored<AdoptionRecord> | undefined, reason: string): Promise<void> {
    if (before?.value.held === true) {
      if ((await this.#record())?.version !== before.version) throw errors['version-mismatch']('What is held was decided upon meanwhile.');
      return;
    }
    await adoption.in(this.#context.store).put(ADOPTION_KEY, {...before?.value, held: true, reason, since: this.#now()}, {expect: before ?? 0});
    this.#event('Held', `${reason} Nothing is removed from machines until it is adopted: hivemind cluster adopt.`);
  }

  #standingDecision(record: Stored<AdoptionRecord> | undefined): 'keep' | 'discard' | undefined {
    const decision = record?.value.decision;
    return decision !== undefined && Math.abs(this.#context.now() - Date.parse(decision.at)) <= DECISION_MS ? decision.mode : undefined;
  }

  #record(): Promise<Stored<AdoptionRecord> | undefined> {
    return adoption.in(this.#context.store).get(ADOPTION_KEY);
  }

  async #put(record: AdoptionRecord): Promise<void> {
    await adoption.in(this.#context.store).put(ADOPTION_KEY, record);
  }

  async #undecided(): Promise<readonly Stored<StrangerRecord>[]> {
    return (await strangers.in(this.#context.store).list()).items.filter(({value}) => !value.discarded);
  }

  /** What was held may be done now. */
  async #wakeAll(): Promise<void> {
    const {n} = await this.#context.store.revision();
    wakeNodes(this.#context, this.#view.nodes.list().map(({key}) => key), n);
  }

  #event(reason: string, message: string): void {
    recordEvent(this.#context, {namespace: 'default', kind: 'Cluster', name: this.#context.cluster, type: 'warning', reason, message});
  }

  #now(): string {
    return new Date(this.#context.now()).toISOString();
  }
}
